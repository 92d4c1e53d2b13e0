"""Response headers that are the same each time: checked, and made what is sent, once."""

from collections.abc import Collection, Iterable

PRESET = "app.server.preset"
"""The key of a `Place` in the WSGI environment. A server without it gets the headers as headers."""
# What these say is the response's own, or changes what becomes of the connection.
_NEVER = frozenset({"content-length", "connection", "transfer-encoding"})


class Preset:
    """Some headers; `names` in lower case, `lines` as they are sent.

    :raises ValueError: one cannot be the same in each response, or is none that HTTP allows.
    """

    def __init__(self, headers: Iterable[tuple[str, str]]) -> None:
        self.headers = [(name.lower(), value) for name, value in headers]
        self.names = frozenset(name for name, _ in self.headers)
        lines = [f"{name}: {value}" for name, value in self.headers]
        if self.names & _NEVER or not all(line.isascii() and line.isprintable() for line in lines):
            raise ValueError(f"These headers cannot be the same in each response: {self.headers!r}")
        self.lines = "".join(f"{line}\r\n" for line in lines)

    def without(self, names: Collection[str]) -> "Preset":
        """Those whose name, in lower case, is none of these."""
        if self.names.isdisjoint(names):
            return self
        return Preset(header for header in self.headers if header[0] not in names)


NOTHING = Preset([])


class Place:
    """Where middleware leaves its `preset` before it calls `start_response`."""

    __slots__ = ("preset",)

    def __init__(self) -> None:
        self.preset = NOTHING
