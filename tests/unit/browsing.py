"""A client at the app's own origin, and somebody signed in without a provider."""

import re
from typing import Any

from auth0_server_python.auth_types import StateData
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.auth import auth0
from app.testing import client_of

__all__ = ["STATE", "allow_sign_in", "client_of", "reference", "sign_in", "state_of"]

STATE = "_a0_session"


def allow_sign_in(app: Flask) -> None:
    """Add the route that `sign_in` uses."""

    @app.post("/sign-in/<name>")
    async def sign_in(name: str) -> str:
        await auth0._state_store.set(STATE, state_of(name))
        return ""


def state_of(name: str, **more: Any) -> StateData:
    """The SDK's state after the login of somebody."""
    user = {"sub": f"auth0|{name}", "name": name}
    return StateData.model_validate(
        {"user": user, "internal": {"sid": name, "created_at": 1}, "token_sets": [], **more}
    )


def sign_in(client: FlaskClient, name: str = "Jane") -> None:
    """Sign somebody in, of whatever name."""
    answer = client.post(f"/sign-in/{name}")
    assert answer.status_code == 200, answer.text


def reference(page: TestResponse) -> str:
    """The reference on an error page."""
    found = re.search("Reference: <code>([^<]+)</code>", page.text)
    assert found, page.text
    return found[1]
