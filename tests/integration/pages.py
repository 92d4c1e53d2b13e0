"""The app's own pages, and routes that show what pages see: for the tests only (`APP_PAGES`)."""

import asyncio
from typing import Any

from flask import Blueprint, Flask, abort, redirect, request, session
from werkzeug.wrappers import Response

from app import pages
from app.auth import auth0, login_required, require_login
from app.server import await_

tests = Blueprint("tests", __name__, url_prefix="/tests")
guarded = Blueprint("guarded", __name__, url_prefix="/guarded")
guarded.before_request(require_login)


def init_app(app: Flask) -> None:
    """Register the pages and the routes."""
    pages.init_app(app)
    app.register_blueprint(tests)
    app.register_blueprint(guarded)


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
async def token() -> dict[str, str]:
    return {"token": await auth0.get_access_token()}


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


@guarded.get("/page")
async def guarded_page() -> str:
    return "for who is signed in"


@guarded.get("/plain")
def guarded_plain_page() -> str:
    return "for who is signed in"


@guarded.post("/form")
async def guarded_form() -> str:
    return "taken"
