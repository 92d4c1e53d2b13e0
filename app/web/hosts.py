"""Requests for another host than the app's own are refused, so no `Host` header ends up in a link."""

import functools
from collections.abc import Iterable
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from flask import Flask
from werkzeug.exceptions import BadRequest
from werkzeug.sansio.utils import get_host

from app.settings import Settings

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

# Probes come with the machine's address.
_PROBES = ("/healthz/live", "/healthz/ready")


class OwnHost:
    """WSGI middleware that refuses, with 400, every host but that of *origin*, before any code of the pages runs."""

    def __init__(self, app: "WSGIApplication", flask: Flask, origin: str) -> None:
        self._app = app
        self._flask = flask
        self._origin = origin
        self._own = urlsplit(origin).hostname
        self._is_own = functools.lru_cache(256)(self._names_own)

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Answer the request, or refuse it."""
        if self._is_own(environ.get("HTTP_HOST", environ["SERVER_NAME"])) or environ["PATH_INFO"] in _PROBES:
            return self._app(environ, start_response)
        with self._flask.request_context(environ):
            error = BadRequest(f"This is {self._origin}; the request was for another host.")
            page = self._flask.handle_user_exception(error)
            return self._flask.finalize_request(page)(environ, start_response)

    def _names_own(self, header: str) -> bool:
        # The port is not compared: behind a load balancer or a port-forward it is another one.
        try:
            return urlsplit(f"//{get_host('https', header)}").hostname == self._own
        except ValueError:
            # Brackets without an address in them.
            return False


def init_app(app: Flask, settings: Settings) -> None:
    """Put the middleware around the app."""
    app.wsgi_app = OwnHost(app.wsgi_app, app, settings.origin)  # type: ignore[method-assign]
