"""A login begins: the answer that sends a browser to the provider, and what is said when something goes wrong."""

import asyncio
import logging
from typing import Any
from urllib.parse import quote

from auth0_server_python.auth_types import StartInteractiveLoginOptions
from flask import current_app, redirect, request
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response

from app.web import error_page

from . import events
from .failures import OPERATORS, TIMED_OUT, UNKNOWN, Failure, cause_of_http, classify, code_of
from .return_to import is_safe_path

log = logging.getLogger(__name__)

# What stands for itself there (RFC 3986, 3.3 and 3.4); a query has been encoded already.
_IN_PATH = "/!$&'()*+,;=:@"
_IN_QUERY = _IN_PATH + "?%"


async def begin_login(
    return_to: str,
    parameters: dict[str, str] | None = None,
    organization: str | None = None,
    invitation: str | None = None,
) -> Response:
    """Send the browser to Auth0; it comes back to *return_to* if that is a path of this origin, else to the start page.

    :param parameters: further authorization parameters.
    """
    options = StartInteractiveLoginOptions(
        app_state={"return_to": return_to if is_safe_path(return_to) else "/"},
        organization=organization,
        invitation=invitation,
        authorization_params=parameters or {},
    )
    try:
        url = await current_app.extensions["auth0"].start_interactive_login(options)
    except asyncio.CancelledError:
        tell_timed_out("login")
        raise
    except Exception as error:  # noqa: BLE001 - each kind gets its page
        return login_failed("login", error)
    events.tell(events.login_started, silent=(parameters or {}).get("prompt") == "none")
    # 303: what was a POST must not be sent on to the provider.
    return redirect(url, 302 if request.method in ("GET", "HEAD") else 303)


def login_failed(step: str, error: Exception, failure: Failure | None = None) -> Response:
    """The page for a login that failed at *step*; told to whoever watches."""
    failure = note_failure(step, error, failure)
    if isinstance(error, HTTPException):
        raise error
    return error_page(failure.status, failure.title, failure.text, action=("/login", "Sign in again"))


def note_failure(step: str, error: Exception, failure: Failure | None = None) -> Failure:
    """Tell whoever watches that a login has failed at *step*; returns which kind of failure it is.

    An answer of the app's own (an `HTTPException`) is told by its cause.
    """
    failure = failure or classify(error)
    if isinstance(error, HTTPException):
        cause = cause_of_http(error)
        events.tell(events.login_failed, step=step, cause=cause, code=type(error).__name__, operator=cause in OPERATORS)
        return failure
    events.tell(
        events.login_failed, step=step, cause=failure.cause, code=code_of(error), operator=failure.cause in OPERATORS
    )
    if failure is UNKNOWN:
        log.error("a login failed for a reason that nobody foresaw", exc_info=error)
    return failure


def tell_timed_out(step: str) -> None:
    """Tell of a login whose request has reached its time limit; its page is that of any such request."""
    events.tell(events.login_failed, step=step, cause=TIMED_OUT, code="CancelledError", operator=True)


def is_visit() -> bool:
    """Whether this is a visit of a person, not an `<img src="/logout">` in a text or a link fetched in advance.

    Browsers say so (W3C Fetch Metadata; `Sec-Purpose` of the Fetch standard); who sends neither is let through.
    """
    sent = request.headers
    return sent.get("Sec-Fetch-Dest", "document") == "document" and "prefetch" not in sent.get("Sec-Purpose", "")


def here() -> str | None:
    """The page that is being asked for, with its query; None for one that cannot be asked for again."""
    if request.method not in ("GET", "HEAD"):
        return None
    # As it was asked for: `/%5Chost` is a page of ours, and `/\host` another host to a browser.
    path, query = quote(request.path, _IN_PATH), quote(request.query_string, _IN_QUERY)
    return f"{path}?{query}" if query else path


def parameter(name: str, longest: int) -> Any:
    """A parameter of the request, None where it is blank or longer than *longest*."""
    value = request.args.get(name, "").strip()
    return value if 0 < len(value) <= longest else None
