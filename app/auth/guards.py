"""Guards: who is not signed in, or not well enough, is sent to sign in, and comes back to where they were."""

import functools
import logging
from collections.abc import Callable, Collection, Mapping
from typing import Any, overload

from flask import abort, current_app, redirect, url_for
from werkzeug.wrappers import Response

from app.server import await_, on_loop

from . import events
from .problems import problem, wants_json
from .requirements import Requirements
from .starting import begin_login, here, is_visit

log = logging.getLogger(__name__)

View = Callable[..., Any]
_NONE = Requirements()


@on_loop
def require_login() -> Response | None:
    """Send an anonymous browser to `/login`. For a whole blueprint: `blueprint.before_request(require_login)`."""
    return _guard(_NONE)


def login_path() -> str:
    """The path of `/login` that comes back to the page which is being asked for."""
    return url_for("auth.login", return_to=here())


@overload
def login_required(view: View, /) -> View: ...
@overload
def login_required(
    *,
    max_age: int | None = None,
    acr: str | None = None,
    scopes: Collection[str] = (),
    claims: Mapping[str, Any] | None = None,
    organization: str | None = None,
) -> Callable[[View], View]: ...
def login_required(
    view: View | None = None,
    /,
    *,
    max_age: int | None = None,
    acr: str | None = None,
    scopes: Collection[str] = (),
    claims: Mapping[str, Any] | None = None,
    organization: str | None = None,
) -> Any:
    """Guard one view, `async def` or `def`: `@login_required`, or `@login_required(max_age=300)`.

    :param max_age: seconds since the person proved who they are; older, and they do so again.
    :param acr: how they must have done it, such as `MULTI_FACTOR`.
    :param scopes: what the session's access token must be good for; asked for where it is not.
    :param claims: claims that the person must have, with their values (see `Requirements`); else the page is a 403.
    :param organization: id or name of the organization that they must have signed in to; else the page is a 403.
    """
    if isinstance(scopes, str):
        raise TypeError("scopes must be a list of scopes, not one text")
    requirements = Requirements(max_age, acr, tuple(scopes), dict(claims or {}), organization)
    if view is None:
        return lambda function: _guarded(function, requirements)
    return _guarded(view, requirements)


def _guarded(view: View, requirements: Requirements) -> View:
    @functools.wraps(view)
    @on_loop
    def guarded(*arguments: Any, **values: Any) -> Any:
        return _guard(requirements) or current_app.ensure_sync(view)(*arguments, **values)

    # `wraps` makes an async view's guard look like one, but it is plain.
    return guarded


def _guard(requirements: Requirements) -> Response | None:
    auth0 = current_app.extensions["auth0"]
    user = await_(auth0.get_user())
    if user is None:
        return _to_sign_in(requirements, "Sign in to use this.")
    if requirements is _NONE:
        return None
    missing = requirements.missing(user)
    if missing:
        events.tell(events.access_refused, missing=missing, user=events.pseudonym(user))
        if wants_json():
            return problem(403, "You may not use this.")
        abort(403)
    weak = requirements.weak(user, auth0.granted_scopes(), auth0.leeway)
    if weak:
        log.info("a stronger sign-in is needed", extra={"missing": weak})
        return _to_sign_in(requirements, "Sign in again to use this.")
    return None


def _to_sign_in(requirements: Requirements, title: str) -> Response:
    asked = requirements.parameters
    if wants_json():
        # Named as in RFC 9470, which is about bearer tokens.
        stronger = {"error": "insufficient_user_authentication", **asked} if asked else {}
        return problem(401, title, stronger, login="/login")
    if not asked and requirements.organization is None:
        return redirect(login_path(), 303)
    if not is_visit():
        abort(403)
    # At once, not by way of /login: what a login has to bring is not for a link to say.
    return await_(begin_login(here() or "/", asked, requirements.organization))
