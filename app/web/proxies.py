"""Whose `X-Forwarded-*` headers are believed: those of configured proxies, nobody else's."""

import functools
import ipaddress
from collections.abc import Callable, Iterable, Sequence
from typing import Any

_Environ = dict[str, Any]
_WsgiApp = Callable[[_Environ, Callable[..., Any]], Iterable[bytes]]
_UNIX = ""
_ONLY_FROM_PROXIES = (
    "HTTP_X_FORWARDED_FOR",
    "HTTP_X_FORWARDED_PROTO",
    "HTTP_X_FORWARDED_HOST",
    "HTTP_X_FORWARDED_PORT",
    "HTTP_X_FORWARDED_PREFIX",
    "HTTP_X_REAL_IP",
    "HTTP_FORWARDED",
)
# Of the request and its trace: kept for what is behind this, unless a stranger has sent them.
_IDS = ("HTTP_X_REQUEST_ID", "HTTP_TRACEPARENT", "HTTP_TRACESTATE")


class TrustedProxies:
    """WSGI middleware that takes the client's address and scheme from a trusted proxy's headers.

    The headers are removed from every request, so that nothing behind this believes them by accident. *trusted* holds
    addresses, networks, and `unix` for a peer on a unix socket, which has no address.
    """

    def __init__(self, app: _WsgiApp, trusted: Sequence[str]) -> None:
        self._app = app
        self._unix = "unix" in trusted
        self._networks = [ipaddress.ip_network(name) for name in trusted if name != "unix"]
        self._trusts = functools.lru_cache(4096)(self._is_trusted)

    def __call__(self, environ: _Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Adjust `REMOTE_ADDR` and `wsgi.url_scheme`, and go on."""
        if self._trusts(environ.get("REMOTE_ADDR", _UNIX)):
            self._believe(environ)
        elif not environ.keys().isdisjoint(_IDS):
            for name in _IDS:
                environ.pop(name, None)
        if not environ.keys().isdisjoint(_ONLY_FROM_PROXIES):
            for name in _ONLY_FROM_PROXIES:
                environ.pop(name, None)
        return self._app(environ, start_response)

    def _believe(self, environ: _Environ) -> None:
        # Each proxy appends the peer it saw, so from the right up to the first that is no proxy of ours.
        for address in reversed(environ.get("HTTP_X_FORWARDED_FOR", "").split(",")):
            client = _address(address.strip())
            if client is None:
                break
            environ["REMOTE_ADDR"] = client
            if not self._trusts(client):
                break
        scheme = environ.get("HTTP_X_FORWARDED_PROTO", "").rpartition(",")[2].strip()
        if scheme in ("http", "https"):
            environ["wsgi.url_scheme"] = scheme

    def _is_trusted(self, address: str) -> bool:
        if address == _UNIX:
            return self._unix
        client = _address(address)
        return client is not None and any(ipaddress.ip_address(client) in network for network in self._networks)


def _address(text: str) -> str | None:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return None
