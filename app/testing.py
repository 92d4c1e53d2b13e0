"""For the tests of your own pages: browsers that are signed in as whom you like, without a provider and a network.

    # conftest.py
    pytest_plugins = ["app.testing"]

    # test_orders.py
    def test_editors_see_the_orders(sign_in):
        client = sign_in({"https://example.com/roles": ["editor"]})
        assert client.get("/orders").status_code == 200

Import it in tests only: pytest is no dependency of the app.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from auth0_server_python.auth_types import StateData
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from . import create_app
from .server import LoopFlask, await_
from .settings import load_settings

SignIn = Callable[..., FlaskClient]


class Client(FlaskClient):
    """Flask's test client, at the app's own origin unless told otherwise: its cookies are for HTTPS only."""

    def open(self, *arguments: Any, **options: Any) -> TestResponse:
        """Send a request."""
        options.setdefault("base_url", self.application.config["ORIGIN"])
        return super().open(*arguments, **options)


def client_of(app: Flask) -> FlaskClient:
    """A browser that has never been to the app."""
    return Client(app, app.response_class, use_cookies=True)


def sign_in_as(
    client: FlaskClient,
    claims: Mapping[str, Any] | None = None,
    *,
    access_token: str = "an-access-token-of-tests",  # noqa: S107 - good for nothing
    scope: str = "",
    session: Mapping[str, Any] | None = None,
) -> None:
    """Sign the client in, as a login would.

    :param claims: of the ID token; what is not given is that of a person called Test Person who signed in just now.
    :param access_token: what `auth0.get_access_token()` returns, for an hour.
    :param scope: what that token is good for beside what every login asks for.
    :param session: what there is in `flask.session` besides.
    """
    app, now = client.application, int(time.time())
    auth0 = app.extensions["auth0"]
    parameters = auth0._default_authorization_params
    user = {"sub": "auth0|test", "name": "Test Person", "email": "test@example.com", "auth_time": now, **(claims or {})}
    token_set = {
        "audience": parameters.get("audience") or auth0.DEFAULT_AUDIENCE_STATE_KEY,
        "access_token": access_token,
        "scope": f"{parameters['scope']} {scope}".strip(),
        "expires_at": now + 3600,
    }
    state = {"user": user, "token_sets": [token_set], "domain": auth0._domain}
    internal = {"sid": str(user.get("sid", "test")), "created_at": now}
    with client.session_transaction(base_url=app.config["ORIGIN"]) as kept:
        kept.clear()
        kept.update(session or {})
        kept[auth0._state_identifier] = StateData.model_validate({**state, "internal": internal}).model_dump(
            exclude_none=True
        )


@pytest.fixture
def app_variables() -> dict[str, str]:
    """The settings of the app under test, as variables: override it to name your pages (`APP_PAGES`)."""
    return {
        "APP_ENV": "test",
        "AUTH0_DOMAIN": "tenant.example.com",
        "AUTH0_CLIENT_ID": "client-of-tests",
        "AUTH0_CLIENT_SECRET": "client-secret-of-tests",
        "AUTH0_SECRET": "what-sessions-of-tests-are-encrypted-with-0123456789",
        "AUTH0_REDIRECT_URI": "https://localhost/callback",
        "SESSION_BACKEND": "cookie",
    }


@pytest.fixture
def app_under_test(app_variables: dict[str, str]) -> Iterator[LoopFlask]:
    """The app, made with `app_variables`."""
    made = create_app(load_settings(app_variables))
    yield made
    for hook in made.stop_hooks:
        await_(hook())


@pytest.fixture
def client(app_under_test: LoopFlask) -> FlaskClient:
    """A browser that is not signed in."""
    return client_of(app_under_test)


@pytest.fixture
def sign_in(app_under_test: LoopFlask) -> SignIn:
    """`sign_in({"name": "Jane"})` returns a new browser that is signed in with these claims (see `sign_in_as`)."""

    def signed_in(claims: Mapping[str, Any] | None = None, **options: Any) -> FlaskClient:
        browser = client_of(app_under_test)
        sign_in_as(browser, claims, **options)
        return browser

    return signed_in
