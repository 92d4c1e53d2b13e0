"""What a browser kept of pages is forgotten at logout, so that Back shows none of them to whoever sits there next."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from flask import Flask, current_app
from werkzeug.http import dump_cookie
from werkzeug.wrappers import Response

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_SECONDS = 60


def forget_pages(response: Response) -> None:
    """Make *response*, which ends a session, tell the browser to drop the pages it kept (W3C Clear Site Data).

    The page that is left by this very response is not among them yet: Chromium keeps it, `no-store` or not, when the
    next page shows. So whatever that next page loads first says it once more; a cookie of a minute asks for it.
    """
    # Not "cookies": that would remove those of the whole registrable domain, and the provider's session with them.
    response.headers["Clear-Site-Data"] = '"cache", "storage"'
    response.headers.add("Set-Cookie", _cookie(current_app, _SECONDS))


class ForgetAgain:
    """WSGI middleware that answers the cookie; not with the next page itself, which comes too early."""

    def __init__(self, app: "WSGIApplication", flask: Flask) -> None:
        self._app = app
        self._cookie = _cookie_name(flask) + "="
        self._headers = [("Clear-Site-Data", '"cache"'), ("Set-Cookie", _cookie(flask, 0))]

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Answer the request, with these headers where they are due."""
        if self._cookie not in environ.get("HTTP_COOKIE", "") or _is_page(environ):
            return self._app(environ, start_response)

        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            return start_response(status, headers + self._headers, exc_info)

        return self._app(environ, start)


def init_app(app: Flask) -> None:
    """Put the middleware around the app."""
    app.wsgi_app = ForgetAgain(app.wsgi_app, app)  # type: ignore[method-assign]


def _is_page(environ: "WSGIEnvironment") -> bool:
    return bool(environ.get("HTTP_SEC_FETCH_MODE", "navigate") == "navigate")


def _cookie_name(app: Flask) -> str:
    return "__Host-signed-out" if app.config["SESSION_COOKIE_SECURE"] else "signed-out"


def _cookie(app: Flask, seconds: int) -> str:
    secure = app.config["SESSION_COOKIE_SECURE"]
    return dump_cookie(_cookie_name(app), "1", seconds, path="/", secure=secure, httponly=True, samesite="Lax")
