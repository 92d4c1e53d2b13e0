"""The app's own pages, and routes that show what pages see: for the tests only (`APP_PAGES`)."""

import asyncio
import logging
import os
from typing import Any

from auth0_server_python.auth_types import StartInteractiveLoginOptions
from flask import Blueprint, Flask, abort, redirect, request, session
from werkzeug.wrappers import Response

from app import pages
from app.auth import MULTI_FACTOR, LoginRefused, auth0, login_required, on_login, on_logout, require_login
from app.server import await_

log = logging.getLogger(__name__)
# Decoded, another host to a browser, and a query.
STRANGE = "/\\evil.example/what?"
tests = Blueprint("tests", __name__, url_prefix="/tests")
guarded = Blueprint("guarded", __name__, url_prefix="/guarded")
guarded.before_request(require_login)


def init_app(app: Flask) -> None:
    """Register the pages and the routes."""
    pages.init_app(app)
    app.register_blueprint(tests)
    app.register_blueprint(guarded)
    app.add_url_rule(STRANGE, view_func=recent)
    on_login(app, remember_login)
    on_login(app, refuse_on_request)
    on_logout(app, note_logout)


async def remember_login(claims: dict[str, Any]) -> dict[str, Any]:
    """Add to the session."""
    return {"greeting": f"Good day, {claims.get('nickname')}"}


def refuse_on_request(claims: dict[str, Any]) -> None:
    """A plain hook, which refuses who carries a certain cookie."""
    if "refuse" in request.cookies:
        raise LoginRefused(f"the test wants {len(claims['sub'])} characters refused")


async def note_logout(claims: dict[str, Any]) -> None:
    """Leave a line in the log, or break."""
    if "break-logout" in request.cookies:
        raise RuntimeError("marked-detail-of-the-bug in a hook")
    log.info("logout noted", extra={"known": bool(claims)})


@tests.get("/user")
async def user() -> dict[str, Any]:
    return {"user": await auth0.get_user()}


@tests.get("/user-from-a-plain-view")
def user_from_a_plain_view() -> dict[str, Any]:
    return {"user": await_(auth0.get_user())}


@tests.get("/session")
@login_required
async def whole_session() -> dict[str, Any]:
    return {"session": await auth0.get_session(), "kept": session.get("kept")}


@tests.get("/token")
@login_required
async def token() -> dict[str, Any]:
    return {"token": await auth0.get_access_token(), "worker": os.getpid()}


@tests.get("/own-login")
async def own_login() -> Response:
    """A login that a page begins by itself, as in the guide, with a state of its own."""
    options = StartInteractiveLoginOptions(app_state=dict(request.args))
    return redirect(await auth0.start_interactive_login(options))


@tests.get("/worker")
async def worker() -> dict[str, int]:
    return {"worker": os.getpid()}


@tests.get("/shared-token")
@login_required
async def token_for_an_api() -> dict[str, str]:
    return {"token": await auth0.get_access_token(audience=request.args["audience"])}


@tests.post("/keep/<value>")
async def keep(value: str) -> dict[str, str]:
    """Keep something in `flask.session`, signed in or not."""
    session["kept"] = value
    return {"kept": value}


@tests.get("/kept")
async def kept() -> dict[str, Any]:
    return {"kept": session.get("kept")}


@tests.get("/slow/<float:seconds>")
async def slow(seconds: float) -> dict[str, float]:
    await asyncio.sleep(seconds)
    return {"seconds": seconds}


@tests.post("/body")
async def body() -> dict[str, int]:
    return {"bytes": len(request.get_data())}


@tests.get("/error/<int:status>")
async def error(status: int) -> None:
    abort(status)


@tests.get("/bug")
async def bug() -> None:
    raise RuntimeError("a bug with marked-detail-of-the-bug in it")


@tests.get("/redirect")
async def leave() -> Response:
    return redirect("/")


@tests.get("/greeting")
async def greeting() -> dict[str, Any]:
    return {"greeting": session.get("greeting")}


@tests.route("/recent", methods=["GET", "POST"])
@login_required(max_age=300)
async def recent() -> str:
    return "for who proved it lately"


@tests.get("/strong")
@login_required(acr=MULTI_FACTOR)
def strong() -> str:
    return "for who proved it twice"


@tests.get("/scoped/<scope>")
async def scoped(scope: str) -> Any:
    return login_required(scopes=[scope])(lambda: f"for who may {scope}")()


@tests.get("/editors")
@login_required(claims={"https://example.com/roles": "editor"})
async def editors() -> str:
    return "for editors"


@tests.get("/acme")
@login_required(organization="acme")
async def acme() -> str:
    return "for Acme"


@guarded.get("/page")
async def guarded_page() -> str:
    return "for who is signed in"


@guarded.get("/plain")
def guarded_plain_page() -> str:
    return "for who is signed in"


@guarded.post("/form")
async def guarded_form() -> str:
    return "taken"
