"""Where a browser may be sent after login: a path of this origin, nothing else (OWASP unvalidated redirects)."""

# It is kept in a cookie, with room for all that else is there.
_MAXIMUM_BYTES = 1024


def is_safe_path(target: str) -> bool:
    r"""Whether *target* is a path (with a query, if any) that every browser resolves within this origin.

    `//host`, `/\host` and paths with control characters or spaces are refused: browsers drop tabs and line ends and
    read a backslash as a slash (WHATWG URL, 4.4), after which they may name another host. Half of a surrogate pair is
    refused too, as no address can have it.
    """
    if not target.startswith("/") or target.startswith("//"):
        return False
    try:
        if len(target.encode()) > _MAXIMUM_BYTES:
            return False
    except UnicodeEncodeError:
        return False
    # `/./` and `/../` are resolved by the browser before it looks for a host, so `/.//host` stays here; `///` does not.
    return "\\" not in target and not any(character <= " " or character == "\x7f" for character in target)
