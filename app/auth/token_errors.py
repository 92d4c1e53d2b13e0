"""Pages for what goes wrong between a page and an API: no access token to be had, or no answer."""

import logging

import httpx
from auth0_server_python.error import AccessTokenError, SessionExpiredError
from flask import Flask, current_app
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import BadGateway, GatewayTimeout, HTTPException, InternalServerError

from app.server import on_loop
from app.web import error_page

from .failures import DOWN, MISCONFIGURED, SLOW, classify, code_of
from .guards import login_path

log = logging.getLogger(__name__)

_PAGES: dict[str, type[HTTPException]] = {
    SLOW.cause: GatewayTimeout,
    DOWN.cause: BadGateway,
    MISCONFIGURED.cause: InternalServerError,
}


def init_app(app: Flask) -> None:
    """Answer these errors of any page, so that each need not catch them."""

    @app.errorhandler(httpx.HTTPError)
    @app.errorhandler(AccessTokenError)
    @app.errorhandler(SessionExpiredError)
    @on_loop
    def no_answer(error: Exception) -> ResponseReturnValue:
        failure = classify(error)
        page = _PAGES.get(failure.cause)
        cause = failure.cause if page else "access_ended"
        log.log(
            logging.ERROR if page and failure.operator else logging.WARNING,
            "an API could not be called: %s",
            cause,
            extra={"cause": cause, "code": code_of(error)},
        )
        if page:
            return current_app.handle_user_exception(page())
        # A link, not a redirect: a provider that grants less than was asked for would make that a loop.
        title, text = "Please sign in again", "Your access to what this page needs has ended."
        return error_page(403, title, text, action=(login_path(), "Sign in again"))
