"""Pages for what goes wrong between a page and an API: no access token to be had, or no answer."""

import logging

import httpx
from auth0_server_python.error import AccessTokenError, SessionExpiredError
from flask import Flask, current_app
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import BadGateway, GatewayTimeout, HTTPException, InternalServerError, ServiceUnavailable

from app.server import on_loop
from app.web import error_page

from .failures import DOWN, MISCONFIGURED, SLOW, classify, code_of
from .guards import login_path
from .problems import problem, wants_json
from .tokens import TokenUnavailable

log = logging.getLogger(__name__)

RETRY_AFTER_SECONDS = 5

_PAGES: dict[str, type[HTTPException]] = {
    SLOW.cause: GatewayTimeout,
    DOWN.cause: BadGateway,
    MISCONFIGURED.cause: InternalServerError,
}


def init_app(app: Flask) -> None:
    """Answer these errors of any page, so that each need not catch them."""

    @app.errorhandler(TokenUnavailable)
    @on_loop
    def no_token_now(error: TokenUnavailable) -> ResponseReturnValue:
        log.warning("an API could not be called: no token for now", extra={"code": code_of(error)})
        if wants_json():
            response = problem(503, "Try again later.")
            response.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
            return response
        return current_app.handle_user_exception(ServiceUnavailable(retry_after=RETRY_AFTER_SECONDS))

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
        if wants_json():
            return problem(401, "Sign in again to use this.", {"error": "access_ended"}, login="/login")
        # A link, not a redirect: a provider that grants less than was asked for would make that a loop.
        title, text = "Please sign in again", "Your access to what this page needs has ended."
        return error_page(403, title, text, action=(login_path(), "Sign in again"))
