"""`auth0.get_user()` returns what the SDK's own does, without the SDK's detour."""

import time
from typing import Any

import pytest
from auth0_server_python.auth_server.server_client import ServerClient
from auth0_server_python.auth_types import StateData
from flask import session

from app import create_app
from app.auth import Auth0Client, FlaskSessionStateStore
from app.server import LoopFlask, await_
from app.settings import Settings

IDENTIFIER = "_a0_session"


@pytest.fixture
def app(settings: Settings) -> LoopFlask:
    return create_app(settings)


def state(**internal: Any) -> StateData:
    user = {"sub": "auth0|1", "name": "Ada", "https://example.com/roles": ["admin"]}
    return StateData.model_validate({"user": user, "internal": {"sid": "s", "created_at": 1, **internal}})


def both(app: LoopFlask, kept: StateData | None) -> tuple[Any, Any]:
    """What our client and the SDK's return for the same state."""
    client: Auth0Client = app.extensions["auth0"]
    answers = []
    for get_user in (Auth0Client.get_user, ServerClient.get_user):
        with app.test_request_context():
            if kept is not None:
                await_(FlaskSessionStateStore(secret="unused").set(IDENTIFIER, kept))
            answers.append((await_(get_user(client)), IDENTIFIER in session))
    return answers[0], answers[1]


def test_it_has_every_claim_and_none_for_those_the_user_lacks(app: LoopFlask) -> None:
    ours, theirs = both(app, state())
    assert ours == theirs
    assert ours[0]["picture"] is None
    assert ours[0]["https://example.com/roles"] == ["admin"]


def test_nobody_is_nobody(app: LoopFlask) -> None:
    ours, theirs = both(app, None)
    assert ours == theirs == (None, False)


def test_a_session_past_the_identity_providers_ceiling_is_over(app: LoopFlask) -> None:
    ours, theirs = both(app, state(session_expires_at=int(time.time()) - 1))
    assert ours == theirs == (None, False)
    assert both(app, state(session_expires_at=int(time.time()) + 60))[0][0]["name"] == "Ada"


def test_what_a_page_does_to_the_claims_stays_out_of_the_session(app: LoopFlask) -> None:
    with app.test_request_context():
        await_(FlaskSessionStateStore(secret="unused").set(IDENTIFIER, state()))
        user = await_(app.extensions["auth0"].get_user())
        user["name"] = "Eve"
        assert await_(app.extensions["auth0"].get_user())["name"] == "Ada"
