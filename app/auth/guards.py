"""Guards: who is not signed in is sent to sign in, and comes back to where they were."""

import functools
from collections.abc import Callable
from typing import Any

from flask import current_app, redirect, request, url_for
from werkzeug.wrappers import Response

from app.server import await_, on_loop


@on_loop
def require_login() -> Response | None:
    """Send an anonymous browser to `/login`. For a whole blueprint: `blueprint.before_request(require_login)`."""
    if await_(current_app.extensions["auth0"].get_user()) is not None:
        return None
    return redirect(login_path(), 303)


def login_path() -> str:
    """The path of `/login` that comes back to the page which is being asked for."""
    # Only one that is asked for with GET can be asked for again.
    here = request.full_path.removesuffix("?") if request.method in ("GET", "HEAD") else None
    return url_for("auth.login", return_to=here)


def login_required(view: Callable[..., Any]) -> Callable[..., Any]:
    """Guard one view, `async def` or `def`."""

    @functools.wraps(view)
    @on_loop
    def guarded(*arguments: Any, **values: Any) -> Any:
        return require_login() or current_app.ensure_sync(view)(*arguments, **values)

    # `wraps` makes an async view's guard look like one, but it is plain.
    return guarded
