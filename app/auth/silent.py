"""Silent sign-in: who has a session at the provider is signed in at the first page, without seeing anything of it."""

from flask import Flask, current_app, request
from werkzeug.http import dump_cookie
from werkzeug.wrappers import Response

from app.server import await_, on_loop
from app.sessions import StoreUnavailable

from .starting import begin_login, here, is_visit


def init_app(app: Flask) -> None:
    """Try it once in each browser session, at the first visit of a page by somebody who is not signed in."""
    secure = app.config["SESSION_COOKIE_SECURE"]
    name = "__Host-asked" if secure else "asked"

    @app.before_request
    @on_loop
    def sign_in_silently() -> Response | None:
        if not _is_page() or name in request.cookies or not _is_anonymous():
            return None
        response = await_(begin_login(here() or "/", {"prompt": "none"}))
        if response.status_code != 302:
            # The provider cannot be asked: the page does without.
            return None
        # Ends with the browser's session.
        response.headers.add("Set-Cookie", dump_cookie(name, "1", secure=secure, httponly=True, samesite="Lax"))
        return response


def _is_anonymous() -> bool:
    try:
        return await_(current_app.extensions["auth0"].get_user()) is None
    except StoreUnavailable:
        # Who it is cannot be known now, and many a page does without.
        return False


def _is_page() -> bool:
    # Only browsers say so: anything else would be sent to the provider for nothing.
    navigates = request.headers.get("Sec-Fetch-Mode") == "navigate" and is_visit()
    outside = request.blueprint in ("auth", "look") or request.url_rule is None
    return request.method == "GET" and navigates and not outside
