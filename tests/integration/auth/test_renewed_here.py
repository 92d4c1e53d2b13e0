"""Tokens that the provider has renewed and Redis did not take: kept in the process, until Redis has them."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import jwt
import pytest
from flask import Flask, current_app, session
from flask.testing import FlaskClient

from app import create_app
from app.auth import auth0
from app.auth.events import refresh_ended
from app.server import LoopFlask, await_
from app.sessions.redis import RedisSessions
from app.settings import Settings
from tests.integration.browser import until
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
def worker(
    running_provider: IdentityProvider,
    redis: RedisServer,
    variables: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Callable[[], LoopFlask]]:
    """Makes apps in this process, as workers of one fleet; in each Jane's token has ended as soon as she signs in."""
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
    settings = Settings.model_validate({name.lower(): value for name, value in (variables | changes).items()})
    with Browser(running_provider.issuer, str(running_provider.ca.path)) as browser:
        tokens = RelyingParty(running_provider).sign_in(browser)
    sub = jwt.decode(tokens["id_token"], options={"verify_signature": False})["sub"]

    async def sign_in(owner: str = sub) -> str:
        kept = {"refresh_token": tokens["refresh_token"], "domain": running_provider.domain}
        await auth0._state_store.set(STATE, state_of("Jane", user={"sub": owner}, **kept))
        return ""

    async def token() -> dict[str, Any]:
        interface: RedisSessions = current_app.session_interface  # type: ignore[assignment]
        await auth0.get_access_token()
        written = await interface.find(session.sid)  # type: ignore[attr-defined]
        assert written is not None
        return {"now": session[STATE]["renewed"], "in_redis": written[STATE].get("renewed", 0)}

    async def kept() -> dict[str, int]:
        return {"renewed": session[STATE].get("renewed", 0)}

    with ExitStack() as stack:

        def make() -> LoopFlask:
            app = create_app(settings)
            app.add_url_rule("/sign-in", view_func=sign_in, methods=["POST"])
            app.add_url_rule("/sign-in/<owner>", view_func=sign_in, methods=["POST"])
            app.add_url_rule("/token", view_func=token)
            app.add_url_rule("/kept", view_func=kept)
            stack.callback(lambda: await_(app.extensions["session_store"].close()))
            stack.callback(lambda: await_(app.extensions["auth0"].close()))
            return app

        yield make


@pytest.fixture
def app(worker: Callable[[], LoopFlask]) -> LoopFlask:
    return worker()


def renew_in_vain(app: LoopFlask, redis: RedisServer) -> FlaskClient:
    """Jane's browser, whose tokens have been renewed while Redis took nothing; it takes nothing still."""
    client = client_of(app)
    assert client.post("/sign-in").status_code == 200

    def fill_redis(_app: Flask, **_told: Any) -> None:
        redis.client.config_set("maxmemory", "1")

    with refresh_ended.connected_to(fill_redis, sender=app):
        assert client.get("/token").status_code == 503
    return client


def elsewhere(app: LoopFlask, client: FlaskClient) -> FlaskClient:
    """The same browser, at another worker."""
    cookie = client.get_cookie("__Host-session", "app.example.com")
    assert cookie is not None
    other = client_of(app)
    other.set_cookie("__Host-session", cookie.value, domain="app.example.com", secure=True)
    return other


def refreshes(provider: IdentityProvider) -> int:
    return provider.knobs.counters().get("/oauth/token refresh_token", 0)


def test_redis_has_them_before_the_page_goes_on_and_the_process_no_longer(app: LoopFlask, redis: RedisServer) -> None:
    client = renew_in_vain(app, redis)
    kept = app.extensions["auth0"]._renewed_here
    assert len(kept) == 1
    redis.client.config_set("maxmemory", "0")
    assert client.get("/token").json == {"now": 1, "in_redis": 1}
    assert len(kept) == 0


def test_other_workers_have_them_as_soon_as_redis_does_and_never_use_the_token_before(
    worker: Callable[[], LoopFlask], redis: RedisServer, running_provider: IdentityProvider
) -> None:
    app = worker()
    client = renew_in_vain(app, redis)
    other = elsewhere(worker(), client)
    # The same session wants its tokens there as well.
    assert client.get("/token").status_code == other.get("/token").status_code == 503
    assert other.get("/kept").json == {"renewed": 0}
    redis.client.config_set("maxmemory", "0")
    # Nobody comes to the worker that has them.
    until(lambda: other.get("/kept").json, lambda kept: kept == {"renewed": 1})
    assert other.get("/token").json == {"now": 1, "in_redis": 1}
    assert refreshes(running_provider) == 1
    until(lambda: len(app.extensions["auth0"]._renewed_here), lambda kept: kept == 0)


def test_those_of_a_session_that_has_ended_meanwhile_are_revoked(
    app: LoopFlask, redis: RedisServer, running_provider: IdentityProvider
) -> None:
    renew_in_vain(app, redis)
    redis.client.flushdb()
    redis.client.config_set("maxmemory", "0")
    until(lambda: running_provider.knobs.counters().get("/oauth/revoke", 0), lambda calls: calls == 1)
    assert redis.client.keys("session:*") == []
    assert len(app.extensions["auth0"]._renewed_here) == 0


def test_tokens_of_somebody_else_are_not_taken(app: LoopFlask) -> None:
    """OpenID Connect Core 12.2: the ID token of a renewal has the `sub` of the login's."""
    client = client_of(app)
    assert client.post("/sign-in/auth0%7Cjohn").status_code == 200
    answer = client.get("/token")
    assert (answer.status_code, "Please sign in again" in answer.text) == (403, True)
    assert client.get("/kept").json == {"renewed": 0}


def test_a_worker_that_stops_waits_for_no_redis(app: LoopFlask, redis: RedisServer) -> None:
    renew_in_vain(app, redis)

    async def stop() -> None:
        async with asyncio.timeout(20):
            await app.extensions["auth0"].close()

    await_(stop())
