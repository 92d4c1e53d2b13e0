"""The routes of the guide: `/login`, `/callback`, `/logout`."""

import asyncio
import logging
from typing import Any

from auth0_server_python.auth_types import LogoutOptions
from flask import Blueprint, abort, current_app, redirect, request
from werkzeug.wrappers import Response

from app.server import on_loop
from app.web import error_page, forget_pages

from . import auth0, events
from .client import NotSilently, Overtaken
from .failures import CODE_USED, EXPIRED, NEEDS_THE_PERSON, REFUSED_BY_HOOK, classify
from .hooks import LoginRefused, before_logout
from .return_to import is_safe_path
from .starting import begin_login, is_visit, login_failed, note_failure, parameter, tell_timed_out

log = logging.getLogger(__name__)
routes = Blueprint("auth", __name__)

_PARAMETER_LENGTH = 512


@routes.before_request
@on_loop
def refuse_all_but_visits() -> None:
    """Nobody is signed in or out by a picture in a text."""
    if not is_visit():
        abort(403)


@routes.get("/login")
async def login() -> Any:
    """Send the browser to Auth0's login page; `?return_to=/path` says where to come back to."""
    return_to = request.args.get("return_to", "/")
    names = current_app.config["AUTH0_LOGIN_PARAMETERS"]
    sent = {name: value for name in names if (value := parameter(name, _PARAMETER_LENGTH)) is not None}
    organization, invitation = sent.pop("organization", None), sent.pop("invitation", None)
    return await begin_login(return_to, sent, organization, invitation)


@routes.get("/callback")
async def callback() -> Any:
    """Complete the login that `/login` began, and go where it was asked for."""
    if any(len(request.args.getlist(name)) > 1 for name in ("state", "code", "error")):
        # "Request and response parameters MUST NOT be included more than once" (RFC 6749, 3.1).
        return login_failed("callback", ValueError("a parameter stands twice"), EXPIRED)
    try:
        result = await auth0.complete_interactive_login(str(request.url))
    except asyncio.CancelledError:
        tell_timed_out("callback")
        raise
    except (NotSilently, Overtaken) as error:
        if isinstance(error, NotSilently):
            _note_not_silently(error)
        return _to(error.app_state)
    except LoginRefused as error:
        events.tell(events.login_failed, step="callback", cause=REFUSED_BY_HOOK, code="LoginRefused", operator=False)
        log.warning("login refused", extra={"reason": error.reason})
        return error_page(403, "You cannot sign in here", "Your account is not meant for this app.")
    except Exception as error:  # noqa: BLE001 - each kind gets its page
        failure = classify(error)
        # Back, or a reload, after a login that succeeded.
        if failure in (EXPIRED, CODE_USED) and await auth0.get_user() is not None:
            return redirect("/")
        return login_failed("callback", error, failure)
    events.tell(events.login_completed, user=events.pseudonym(await auth0.get_user()))
    return _to(result.get("app_state"))


@routes.get("/logout")
async def logout() -> Response:
    """End the session here and at Auth0, and come back to the start page."""
    user = await auth0.get_user()
    await before_logout(user or {})
    federated = current_app.config["AUTH0_LOGOUT_FEDERATED"]
    url = await auth0.logout(LogoutOptions(return_to=current_app.config["ORIGIN"], federated=federated))
    events.tell(events.logged_out, kind="user", sessions=0 if user is None else 1, user=events.pseudonym(user))
    response = redirect(url)
    forget_pages(response)
    return response


def _note_not_silently(error: NotSilently) -> None:
    if isinstance(error.__cause__, Exception):
        note_failure("callback", error.__cause__)
    else:
        events.tell(events.login_failed, step="callback", cause=NEEDS_THE_PERSON, code=error.code, operator=False)


def _to(app_state: Any) -> Response:
    # A page that begins a login has whatever state it likes.
    return_to = app_state.get("return_to") if isinstance(app_state, dict) else None
    return redirect(return_to if isinstance(return_to, str) and is_safe_path(return_to) else "/")
