"""Which routes a request is matched against: what Flask makes of its host, made once for each host."""

import functools
from typing import TYPE_CHECKING

from flask import Request
from werkzeug.exceptions import BadHost
from werkzeug.routing import Map, MapAdapter
from werkzeug.sansio.utils import get_host

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment


def is_plain(environ: "WSGIEnvironment") -> bool:
    """Whether `adapter` is for this request: it names its host, and asks for no other protocol."""
    return "HTTP_HOST" in environ and "HTTP_UPGRADE" not in environ


def adapter(routes: Map, request: Request) -> MapAdapter:
    """What `Flask.create_url_adapter` makes where neither hosts nor subdomains choose routes. Sets `request.host`.

    :raises BadHost: the host is no name (400).
    """
    environ = request.environ
    scheme = environ["wsgi.url_scheme"]
    request.host, server_name = _names(scheme, environ["HTTP_HOST"])
    return MapAdapter(
        routes,
        server_name,
        _text(environ["SCRIPT_NAME"]) or "/",
        routes.default_subdomain or "",
        scheme,
        _text(environ["PATH_INFO"]),
        environ["REQUEST_METHOD"],
        _text(environ["QUERY_STRING"]),
    )


@functools.lru_cache(128)
def _names(scheme: str, header: str) -> tuple[str, str]:
    # As werkzeug's `get_host` and `Map.bind` have it: the host of the request, and the name for the routes.
    host = get_host(scheme, header)
    name, colon, port = host.lower().partition(":")
    try:
        return host, name.encode("idna").decode("ascii") + colon + port
    except UnicodeError:
        raise BadHost from None


def _text(value: str) -> str:
    # Latin-1 in PEP 3333's environment.
    return value if value.isascii() else value.encode("latin-1").decode(errors="replace")
