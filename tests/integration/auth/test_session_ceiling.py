"""The identity provider's own limit of a session (IPSIE's `session_expiry`): who reaches it was not signed out."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask

from app import create_app, sessions
from app.auth import auth0
from app.server import LoopFlask, await_
from app.sessions.events import session_ended
from app.settings import Settings
from tests.servers.redis import RedisServer
from tests.unit.browsing import STATE, client_of, state_of


@pytest.fixture
def app(variables: dict[str, str], backend: str, session_redis: RedisServer) -> Iterator[LoopFlask]:
    redis = {"SESSION_BACKEND": "redis", "REDIS_URL": session_redis.url} if backend == "redis" else {}
    values = {name.lower(): value for name, value in (variables | redis).items()}
    app = create_app(Settings.model_validate(values))

    @app.post("/sign-in/<int:seconds>")
    async def sign_in(seconds: int) -> str:
        state = state_of("Jane").model_dump()
        state["internal"]["session_expires_at"] = int(time.time()) + seconds
        await auth0._state_store.set(STATE, state)
        return ""

    @app.get("/user")
    async def user() -> dict[str, Any]:
        return {"user": await auth0.get_user()}

    @app.get("/ends")
    async def ends() -> dict[str, float]:
        return {"at": sessions.ends_at().timestamp()}

    @app.get("/token")
    async def token() -> dict[str, Any]:
        return {"token": await auth0.get_access_token()}

    yield app
    if backend == "redis":
        await_(app.extensions["session_store"].close())


@pytest.mark.parametrize("path", ["/user", "/token"])
def test_a_session_at_its_limit_ends_as_expired_and_at_a_logout_as_that(app: LoopFlask, path: str) -> None:
    told: list[tuple[str, int]] = []

    def note(_app: Flask, *, cause: str, sessions: int) -> None:
        told.append((cause, sessions))

    with session_ended.connected_to(note, sender=app):
        client = client_of(app)
        # The SDK takes it for over a little earlier than the sessions do.
        client.post("/sign-in/10")
        client.get(path)
        assert told == [("expired", 1)]
        client.post("/sign-in/3600")
        client.get("/logout")
        assert told == [("expired", 1), ("logout", 1)]


def test_its_limit_is_that_of_the_session_itself(app: LoopFlask) -> None:
    """Also where no page asks who is signed in: in the list of devices, and for how long Redis keeps it."""
    client = client_of(app)
    client.post("/sign-in/100")
    assert time.time() < client.get("/ends").json["at"] <= time.time() + 100  # type: ignore[index]
