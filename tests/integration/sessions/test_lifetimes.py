"""How long a session lives: idle, at all, and for as long as it was limited to."""

import time
from collections.abc import Callable, Iterator

import pytest
from flask.testing import FlaskClient

from app import sessions
from app.server import LoopFlask, await_
from app.settings import Settings
from tests.servers.redis import RedisServer
from tests.unit.sessions.conftest import make_app

IDLE, ABSOLUTE = 600, 3600


class Clock:
    """The app's clocks, which the test moves."""

    ahead = 0.0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    now, monotonic = time.time, time.monotonic
    monkeypatch.setattr("app.sessions.model.time.time", lambda: now() + clock.ahead)
    monkeypatch.setattr("app.sessions.entries.time.monotonic", lambda: monotonic() + clock.ahead)
    return clock


@pytest.fixture
def new_app(settings: Settings) -> Iterator[Callable[..., LoopFlask]]:
    apps = []

    def make(**changed: int) -> LoopFlask:
        lives = {"session_idle_seconds": IDLE, "session_absolute_seconds": ABSOLUTE}
        app = make_app(settings.model_copy(update=lives | changed))
        apps.append(app)

        @app.post("/limit/<int:seconds>")
        async def limit(seconds: int) -> str:
            sessions.limit(int(time.time()) + seconds)
            return "limited"

        @app.post("/move")
        async def move() -> str:
            sessions.regenerate(continues=True)
            return "moved"

        @app.get("/ends")
        async def ends() -> str:
            return str(int(sessions.ends_at().timestamp()))

        return app

    yield make
    for app in apps:
        await_(app.extensions["session_store"].close())


@pytest.fixture
def client(new_app: Callable[..., LoopFlask]) -> FlaskClient:
    return new_app().test_client()


def ttl(redis: RedisServer) -> int:
    """The time to live of the one session there is."""
    [key] = redis.client.keys("*")  # type: ignore[misc]
    return redis.client.ttl(key)  # type: ignore[return-value]


def calls(redis: RedisServer) -> list[int]:
    stats = redis.client.info("commandstats")
    return [stats.get(f"cmdstat_{name}", {"calls": 0})["calls"] for name in ("mget", "getex")]  # type: ignore[union-attr]


def test_a_session_that_nobody_uses_ends_with_its_idle_time(client: FlaskClient, redis: RedisServer) -> None:
    client.post("/set", json={"a": 1})
    assert IDLE - 10 < ttl(redis) <= IDLE


def test_a_session_that_is_used_lives_on_at_one_command_a_request(
    client: FlaskClient, redis: RedisServer, clock: Clock
) -> None:
    client.post("/set", json={"a": 1})
    [key] = redis.client.keys("*")  # type: ignore[misc]
    redis.client.expire(key, 100)
    redis.client.config_resetstat()
    for _ in range(3):
        client.get("/get")
    assert calls(redis) == [3, 0]
    assert ttl(redis) <= 100
    clock.ahead += 61
    for _ in range(3):
        client.get("/get")
    # Once a minute, in place of the reading.
    assert calls(redis) == [5, 1]
    assert IDLE - 10 < ttl(redis) <= IDLE


def test_another_worker_renews_what_it_has_not_seen(
    client: FlaskClient, new_app: Callable[..., LoopFlask], redis: RedisServer
) -> None:
    client.post("/set", json={"a": 1})
    [key] = redis.client.keys("*")  # type: ignore[misc]
    redis.client.expire(key, 100)
    cookie = client.get_cookie("__Host-session")
    assert cookie is not None
    other = new_app().test_client()
    other.set_cookie("__Host-session", cookie.value)
    other.get("/get")
    assert IDLE - 10 < ttl(redis) <= IDLE


def test_being_used_does_not_carry_a_session_past_its_absolute_end(client: FlaskClient, clock: Clock) -> None:
    client.post("/set", json={"a": 1})
    for _ in range(ABSOLUTE // 300):
        assert client.get("/get").json == {"a": 1}
        clock.ahead += 300
    client.post("/set", json={"b": 2})
    assert "a" not in client.get("/get").json  # type: ignore[operator]


def test_the_last_writing_lives_no_longer_than_the_session(
    client: FlaskClient, redis: RedisServer, clock: Clock
) -> None:
    client.post("/set", json={"a": 1})
    clock.ahead += ABSOLUTE - 200
    client.post("/set", json={"b": 2})
    assert 190 < ttl(redis) <= 200


def test_an_idle_time_as_long_as_the_session_is_never_renewed(
    new_app: Callable[..., LoopFlask], redis: RedisServer
) -> None:
    client = new_app(session_idle_seconds=ABSOLUTE).test_client()
    client.post("/set", json={"a": 1})
    redis.client.config_resetstat()
    client.get("/get")
    assert calls(redis) == [1, 0]


def test_a_limit_shortens_the_life_and_never_lengthens_it(
    client: FlaskClient, redis: RedisServer, clock: Clock
) -> None:
    client.post("/set", json={"a": 1})
    client.post("/limit/300")
    client.post("/limit/900")
    assert 290 < ttl(redis) <= 300
    assert 290 < int(client.get("/ends").text) - time.time() <= 300
    # Redis may keep it longer, for the idle time; it has ended all the same.
    clock.ahead += 301
    assert client.get("/get").json == {}


@pytest.mark.parametrize("path", ["/move", "/regenerate"])
def test_a_new_id_alone_does_not_make_a_session_younger(client: FlaskClient, clock: Clock, path: str) -> None:
    client.post("/set", json={"a": 1})
    before = int(client.get("/ends").text)
    clock.ahead += 100
    client.post(path)
    gained = int(client.get("/ends").text) - before
    assert gained == 0 if path == "/move" else 99 <= gained <= 101


def test_a_limit_stays_with_the_session_under_its_new_id(client: FlaskClient) -> None:
    client.post("/set", json={"a": 1})
    client.post("/limit/300")
    before = client.get("/ends").text
    client.post("/move")
    assert client.get("/ends").text == before


def test_the_cookie_lives_as_long_as_the_session_may(client: FlaskClient) -> None:
    header = client.post("/set", json={"a": 1}).headers["Set-Cookie"]
    assert f"Max-Age={ABSOLUTE}" in header or f"Max-Age={ABSOLUTE - 1}" in header
