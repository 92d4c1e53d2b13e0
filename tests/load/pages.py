"""The guide's profile as pages of this project (`APP_PAGES=tests.load.pages`), and a way to be signed in.

`/sign-in/<user>` exists here alone: the product has no route that signs anybody in without the identity provider.
"""

from flask import Blueprint, Flask, redirect
from werkzeug.wrappers import Response

from app.auth import FlaskSessionStateStore, auth0
from app.server import await_

from .users import IDENTIFIER, USERS

pages = Blueprint("pages", __name__)


def init_app(app: Flask) -> None:
    """Register the pages."""
    app.register_blueprint(pages)


@pages.get("/")
async def home() -> str:
    user = await auth0.get_user()
    return f"Hello, {user['name']}!" if user else "Welcome!"


@pages.get("/profile")
async def profile() -> str | Response:
    user = await auth0.get_user()
    if user is None:
        return redirect("/login")
    return _page(user)


@pages.get("/profile/def")
def profile_in_a_thread() -> str | Response:
    user = await_(auth0.get_user())
    if user is None:
        return redirect("/login")
    return _page(user)


@pages.get("/sign-in/<key>")
async def sign_in(key: str) -> str:
    await FlaskSessionStateStore(secret="unused").set(IDENTIFIER, USERS[key].state())
    return "signed in"


def _page(user: dict[str, str]) -> str:
    return (
        f"<h1>{user['name']}</h1>"
        f"<p>Email: {user['email']}</p>"
        f"<img src='{user['picture']}' alt='{user['name']}' width='100' />"
        f"<p><a href='/logout'>Logout</a></p>"
    )
