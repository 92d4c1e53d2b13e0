"""The app of the session tests over a real Redis."""

from collections.abc import Iterator

import pytest

from app.server import LoopFlask, await_
from app.settings import Settings
from tests.servers.redis import RedisServer, redis_server
from tests.unit.sessions.conftest import make_app


@pytest.fixture(scope="module")
def running_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """One server for a module."""
    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def redis(running_redis: RedisServer) -> RedisServer:
    """The server, empty."""
    running_redis.client.flushall()
    return running_redis


@pytest.fixture
def settings(variables: dict[str, str], redis: RedisServer) -> Settings:
    """Settings with sessions in it."""
    values = variables | {"SESSION_BACKEND": "redis", "REDIS_URL": redis.url}
    return Settings.model_validate({name.lower(): value for name, value in values.items()})


@pytest.fixture
def app(settings: Settings) -> Iterator[LoopFlask]:
    """The app with sessions in Redis."""
    app = make_app(settings)
    yield app
    await_(app.extensions["session_store"].close())
