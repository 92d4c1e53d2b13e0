"""The WSGI environment (PEP 3333) of an ASGI HTTP scope."""

import sys
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

from werkzeug.wsgi import FileWrapper

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

    from .body import Body

Scope = dict[str, Any]
DEFAULT_PORTS = {"http": "80", "https": "443"}


class BadScope(ValueError):
    """The request's headers contradict HTTP; it gets 400."""


def _file_wrapper(file: Any, buffer_size: int = 65_536) -> FileWrapper:
    # Each block is a trip to a pool thread, so larger than werkzeug's 8 KiB.
    return FileWrapper(file, max(buffer_size, 65_536))


# The same in every request.
_CONSTANT: dict[str, Any] = {
    "wsgi.version": (1, 0),
    "wsgi.errors": sys.stderr,
    "wsgi.multithread": True,
    "wsgi.multiprocess": True,
    "wsgi.run_once": False,
    "wsgi.input_terminated": True,
    "wsgi.file_wrapper": _file_wrapper,
}


@lru_cache(512)
def _key(name: bytes) -> str | None:
    """A header's key in the environment, or None for a header to drop.

    `X_Forwarded_For` would become the same key as `X-Forwarded-For`, which a proxy in front has checked, so names with
    an underscore are dropped, as nginx does.
    """
    if b"_" in name:
        return None
    key = name.decode("latin-1").upper().replace("-", "_")
    return key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else "HTTP_" + key


def environ_of(scope: Scope, body: "Body") -> "WSGIEnvironment":
    """Build the environment.

    :raises BadScope: there are several Host headers, or none in HTTP/1.1 (RFC 9112, 3.2).
    """
    environ = _CONSTANT.copy()
    root_path = scope.get("root_path", "")
    raw_path = scope.get("raw_path")
    path = scope["path"].encode() if raw_path is None else raw_path
    if raw_path is not None and b"%" in raw_path:
        path = unquote_to_bytes(raw_path)
    path_info = path.decode("latin-1")
    if root_path:
        root_path = root_path.encode().decode("latin-1")
        path_info = path_info.removeprefix(root_path)
    scheme = scope.get("scheme", "http")
    # On a unix socket it is the socket's path and no port.
    host, port = scope.get("server") or ("", None)
    environ["REQUEST_METHOD"] = scope["method"]
    environ["SCRIPT_NAME"] = root_path
    environ["PATH_INFO"] = path_info
    environ["QUERY_STRING"] = scope["query_string"].decode("latin-1")
    environ["SERVER_PROTOCOL"] = "HTTP/" + scope["http_version"]
    environ["SERVER_NAME"] = host if host and port else "localhost"
    environ["SERVER_PORT"] = str(port or DEFAULT_PORTS.get(scheme, "80"))
    environ["wsgi.url_scheme"] = scheme
    environ["wsgi.input"] = body
    client = scope.get("client")
    if client and client[0]:
        environ["REMOTE_ADDR"] = client[0]
        environ["REMOTE_PORT"] = str(client[1])
    _add_headers(environ, scope["headers"])
    if "HTTP_HOST" not in environ and scope["http_version"] == "1.1":
        raise BadScope("no Host header")
    return environ


def _add_headers(environ: "WSGIEnvironment", headers: list[tuple[bytes, bytes]]) -> None:
    for name, value in headers:
        key = _key(name)
        if key is None:
            continue
        text = value.decode("latin-1")
        if key not in environ:
            environ[key] = text
        elif key == "HTTP_HOST":
            raise BadScope("several Host headers")
        else:
            # RFC 9110, 5.3; Cookie is the exception (RFC 9113, 8.2.3).
            environ[key] += ("; " if key == "HTTP_COOKIE" else ",") + text
