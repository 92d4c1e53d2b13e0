"""Tokens that the provider has renewed and Redis did not take: kept in the process, until Redis has them."""

from collections.abc import Iterator
from typing import Any

import jwt
import pytest
from flask import Flask, session

from app import create_app
from app.auth import auth0
from app.auth.events import refresh_ended
from app.server import LoopFlask, await_
from app.sessions.redis import RedisSessions
from app.settings import Settings
from tests.integration.identity.browser import Browser
from tests.integration.identity.protocol import SCOPE, RelyingParty
from tests.servers.identity import CLIENT, IdentityProvider
from tests.servers.redis import RedisServer, redis_server
from tests.unit.browsing import STATE, client_of, state_of


@pytest.fixture
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        server.client.config_set("maxmemory-policy", "noeviction")
        yield server


@pytest.fixture
def app(
    running_provider: IdentityProvider,
    redis: RedisServer,
    variables: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[LoopFlask]:
    """An app in this process, in which Jane's token has ended as soon as she has signed in."""
    running_provider.knobs.reset()
    monkeypatch.setenv("SSL_CERT_FILE", str(running_provider.ca.path))
    changes = {
        "AUTH0_DOMAIN": running_provider.domain,
        "AUTH0_CLIENT_ID": CLIENT["client_id"],
        "AUTH0_CLIENT_SECRET": CLIENT["client_secret"],
        "AUTH0_SCOPE": SCOPE,
        "AUTH0_TIMEOUT_SECONDS": "30",
        "SESSION_BACKEND": "redis",
        "REDIS_URL": redis.url,
        "REDIS_TIMEOUT_SECONDS": "5",
    }
    app = create_app(Settings.model_validate({name.lower(): value for name, value in (variables | changes).items()}))
    with Browser(running_provider.issuer, str(running_provider.ca.path)) as browser:
        tokens = RelyingParty(running_provider).sign_in(browser)
    sub = jwt.decode(tokens["id_token"], options={"verify_signature": False})["sub"]

    @app.post("/sign-in")
    async def sign_in() -> str:
        kept = {"refresh_token": tokens["refresh_token"], "domain": running_provider.domain}
        await auth0._state_store.set(STATE, state_of("Jane", user={"sub": sub}, **kept))
        return ""

    @app.get("/token")
    async def token() -> dict[str, Any]:
        interface: RedisSessions = app.session_interface  # type: ignore[assignment]
        await auth0.get_access_token()
        written = await interface.find(session.sid)  # type: ignore[attr-defined]
        assert written is not None
        return {"now": session[STATE]["renewed"], "in_redis": written[STATE].get("renewed", 0)}

    yield app
    await_(app.extensions["auth0"].close())
    await_(app.extensions["session_store"].close())


def test_redis_has_them_before_the_page_goes_on_and_the_process_no_longer(app: LoopFlask, redis: RedisServer) -> None:
    client = client_of(app)
    assert client.post("/sign-in").status_code == 200
    kept = app.extensions["auth0"]._renewed_here

    def fill_redis(_app: Flask, **_told: Any) -> None:
        redis.client.config_set("maxmemory", "1")

    with refresh_ended.connected_to(fill_redis, sender=app):
        assert client.get("/token").status_code == 503
    assert len(kept) == 1
    redis.client.config_set("maxmemory", "0")
    assert client.get("/token").json == {"now": 1, "in_redis": 1}
    assert kept == {}
