"""The routes of the guide: `/login`, `/callback`, `/logout`."""

import logging
from typing import Any

from auth0_server_python.auth_types import LogoutOptions, StartInteractiveLoginOptions
from flask import Blueprint, abort, current_app, redirect, request
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response

from app.server import on_loop
from app.web import error_page, forget_pages

from . import auth0
from .failures import CODE_USED, EXPIRED, classify, code_of
from .return_to import is_safe_path

log = logging.getLogger(__name__)
routes = Blueprint("auth", __name__)

_PARAMETER_LENGTH = 512


@routes.before_request
@on_loop
def refuse_all_but_visits() -> None:
    """Refuse what is no visit of a person: an `<img src="/logout">` in a text, a link that is fetched in advance.

    Browsers say so (W3C Fetch Metadata; `Sec-Purpose` of the Fetch standard); who sends neither is let through.
    """
    sent = request.headers
    if sent.get("Sec-Fetch-Dest", "document") != "document" or "prefetch" in sent.get("Sec-Purpose", ""):
        abort(403)


@routes.get("/login")
async def login() -> Any:
    """Send the browser to Auth0's login page; `?return_to=/path` says where to come back to."""
    return_to = request.args.get("return_to", "/")
    parameters = _authorization_parameters()
    options = StartInteractiveLoginOptions(
        app_state={"return_to": return_to if is_safe_path(return_to) else "/"},
        organization=parameters.pop("organization", None),
        invitation=parameters.pop("invitation", None),
        authorization_params=parameters,
    )
    try:
        authorization_url = await auth0.start_interactive_login(options)
    except Exception as error:  # noqa: BLE001 - each kind gets its page
        return _failed("login", error)
    return redirect(authorization_url)


@routes.get("/callback")
async def callback() -> Any:
    """Complete the login that `/login` began, and go where it was asked for."""
    if any(len(request.args.getlist(name)) > 1 for name in ("state", "code", "error")):
        # "Request and response parameters MUST NOT be included more than once" (RFC 6749, 3.1).
        return _failed("callback", ValueError("a parameter stands twice"), EXPIRED)
    try:
        result = await auth0.complete_interactive_login(str(request.url))
    except Exception as error:  # noqa: BLE001 - each kind gets its page
        failure = classify(error)
        # Back, or a reload, after a login that succeeded.
        if failure in (EXPIRED, CODE_USED) and await auth0.get_user() is not None:
            return redirect("/")
        return _failed("callback", error, failure)
    log.info("login succeeded")
    return redirect(result["app_state"]["return_to"] if result.get("app_state") else "/")


@routes.get("/logout")
async def logout() -> Response:
    """End the session here and at Auth0, and come back to the start page."""
    federated = current_app.config["AUTH0_LOGOUT_FEDERATED"]
    url = await auth0.logout(LogoutOptions(return_to=current_app.config["ORIGIN"], federated=federated))
    response = redirect(url)
    forget_pages(response)
    return response


def _authorization_parameters() -> dict[str, str]:
    names = current_app.config["AUTH0_LOGIN_PARAMETERS"]
    values = {name: request.args.get(name, "").strip() for name in names}
    return {name: value for name, value in values.items() if 0 < len(value) <= _PARAMETER_LENGTH}


def _failed(step: str, error: Exception, failure: Any = None) -> Any:
    if isinstance(error, HTTPException):
        raise error
    failure = failure or classify(error)
    log.log(
        logging.ERROR if failure.operator else logging.WARNING,
        "login failed: %s",
        failure.cause,
        extra={"step": step, "cause": failure.cause, "code": code_of(error)},
        # Only what nobody foresaw needs its traceback.
        exc_info=error if failure.cause == "unknown" else None,
    )
    return error_page(failure.status, failure.title, failure.text, action=("/login", "Sign in again"))
