"""What a page gets while another request of its session renews the token, and takes longer than anybody waits."""

import time

import pytest
from flask.testing import FlaskClient

from app import create_app, sessions
from app.auth import auth0
from app.settings import Settings
from tests.unit.browsing import STATE, client_of, state_of


@pytest.fixture
def client(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> FlaskClient:
    monkeypatch.setattr("app.auth.tokens.LEASE_SECONDS", 0.1)
    app = create_app(settings.model_copy(update={"auth0_timeout_seconds": 0.1}))

    @app.get("/token/<int(signed=True):lasts>")
    async def token(lasts: int) -> str:
        """With a token that is good for *lasts* seconds, while the lock is somebody's."""
        kept = {"audience": "default", "access_token": "kept", "scope": "openid profile email"}
        sets = [{**kept, "expires_at": int(time.time()) + lasts}]
        await auth0._state_store.set(STATE, state_of("Jane", refresh_token="good", token_sets=sets))
        async with sessions.lock("tokens"):
            return await auth0.get_access_token()

    @app.get("/alone/<int(signed=True):lasts>")
    async def alone(lasts: int) -> str:
        """With such a token, and no refresh token."""
        kept = {"audience": "default", "access_token": "kept", "scope": "openid profile email"}
        await auth0._state_store.set(
            STATE, state_of("Jane", token_sets=[{**kept, "expires_at": int(time.time()) + lasts}])
        )
        return await auth0.get_access_token()

    return client_of(app)


@pytest.mark.parametrize(("lasts", "status"), [(30, 200), (-1, 403)])
def test_a_token_that_cannot_be_renewed_is_served_to_its_end(client: FlaskClient, lasts: int, status: int) -> None:
    """Also where one that can be renewed would be: the margin is for those."""
    assert client.get(f"/alone/{lasts}").status_code == status


def test_a_token_that_is_good_still_is_served(client: FlaskClient) -> None:
    assert client.get("/token/30").text == "kept"


def test_without_one_it_is_for_later_and_no_reason_to_sign_in_again(client: FlaskClient) -> None:
    answer = client.get("/token/-1")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
