"""Redis has carried a command out and its answer is lost, so that it is sent once more: twice is as good as once."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from pydantic import SecretStr

from app import sessions
from app.server import LoopFlask, await_
from app.sessions.entries import name_of
from app.settings import Settings
from tests.integration.sessions.test_labels import JANE, add_routes, post, signed_in, stranger
from tests.servers.losing import Losing, losing
from tests.servers.redis import RedisServer
from tests.unit.sessions.conftest import make_app

NAME = "__Host-session"


@pytest.fixture
def between(redis: RedisServer, tmp_path: Path) -> Iterator[Losing]:
    with losing(tmp_path, redis.folder / "redis.sock") as running:
        yield running


@pytest.fixture
def app(settings: Settings, between: Losing) -> Iterator[LoopFlask]:
    # With time to spare: what is lost here is a connection, which is seen at once.
    update = {"redis_url": SecretStr(between.url), "redis_timeout_seconds": 10.0}
    app = add_routes(make_app(settings.model_copy(update=update)))
    yield app
    await_(app.extensions["session_store"].close())


def cookie_of(client: FlaskClient) -> str:
    cookie = client.get_cookie(NAME)
    assert cookie is not None
    return cookie.value


def browser_with(app: LoopFlask, cookie: str) -> FlaskClient:
    client = app.test_client()
    client.set_cookie(NAME, cookie)
    return client


def test_a_change_is_written_once(app: LoopFlask, between: Losing) -> None:
    client = signed_in(app)
    between.lose(b"string.sub(ARGV[2], 1, 17)")
    assert client.post("/set", json={"a": 1}).status_code == 200
    assert between.lost
    assert client.get("/get").json == {"user": "jane", "a": 1}


def test_what_happens_once_happens(app: LoopFlask, between: Losing) -> None:
    """Else nobody would be the first, and a logout of the provider's would end nothing."""
    between.lose(b"session:once:")
    assert post(stranger(app), "/once/60", "jti") == {"first": True}
    assert between.lost
    assert post(stranger(app), "/once/60", "jti") == {"first": False}


def test_a_lock_is_not_waited_for_by_its_own_holder(app: LoopFlask, between: Losing) -> None:
    between.lose(b"session:lock:")
    started = time.monotonic()
    with app.test_request_context():

        async def hold() -> None:
            async with sessions.lock("a", lease=60, wait=90):
                pass

        await_(hold())
    assert between.lost
    # Far below the lease, after which anybody would get it.
    assert time.monotonic() - started < 30


@pytest.mark.parametrize("how", ["logs out", "is ended by its name"])
def test_a_session_ends_under_its_new_id_too(app: LoopFlask, redis: RedisServer, between: Losing, how: str) -> None:
    """The first answer says what it goes on as, and the second has to say so again."""
    client = signed_in(app)
    old = cookie_of(client)
    # A request that has read the session before it gets its new id, and ends it afterwards.
    leaving = await_(app.session_interface.find(old))  # type: ignore[attr-defined]
    client.post("/move")
    assert cookie_of(client) != old
    if how == "logs out":
        between.lose(b"redis.call('DEL'")
        leaving.clear()
        await_(app.session_interface.save(leaving))  # type: ignore[attr-defined]
    else:
        # As it stood there when the new id was only about to be written.
        [index] = redis.client.keys("session:index:*")  # type: ignore[misc]
        redis.client.zadd(index, {name_of(old): time.time() + 60})
        between.lose(b"return successor")
        assert post(stranger(app), f"/end-one/{name_of(old)}", JANE) == {"ended": True}
    assert between.lost
    assert client.get("/get").json == {}
    assert browser_with(app, old).get("/get").json == {}


def test_a_label_ends_with_all_that_stands_under_it(app: LoopFlask, between: Losing) -> None:
    client = signed_in(app)
    between.lose(b"ZRANGE")
    assert post(stranger(app), "/end", JANE) == {"ended": 1}
    assert between.lost
    assert client.get("/get").json == {}
