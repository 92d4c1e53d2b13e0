"""What Flask-Session does as the guide sets it up: each of these is why `app/sessions/redis.py` is not that alone.

A test that fails here says that Flask-Session has been mended, and that something may be taken out. Beside each stands
the same done to our sessions, in `test_redis.py`.
"""

import pickle
import threading
from typing import Any

import pytest
from flask import Flask, session
from flask.testing import FlaskClient
from flask_session import Session
from redis import Redis

from tests.servers.redis import RedisServer

NAME = "session"


class Canary:
    """Unpickling one leaves a trace."""

    tripped = False

    def __reduce__(self) -> tuple[Any, ...]:
        return (setattr, (Canary, "tripped", True))


@pytest.fixture
def naive(redis: RedisServer) -> Flask:
    app = Flask("as-in-the-guide")
    app.secret_key = "a secret"
    app.config.update(SESSION_TYPE="redis", SESSION_REDIS=redis.client, SESSION_COOKIE_SECURE=True)
    Session(app)

    @app.get("/get")
    def get() -> dict[str, Any]:
        return dict(session)

    @app.post("/log-in")
    def log_in() -> str:
        session["user"] = "jane"
        return ""

    @app.post("/log-out")
    def log_out() -> str:
        session.clear()
        return ""

    @app.get("/untouched")
    def untouched() -> str:
        return ""

    return app


@pytest.fixture
def client(naive: Flask) -> FlaskClient:
    client = naive.test_client()
    client.environ_base["wsgi.url_scheme"] = "https"
    return client


def calls(redis: RedisServer, *names: str) -> dict[str, int]:
    stats: dict[str, Any] = redis.client.info("commandstats")  # type: ignore[assignment]
    return {name: stats.get(f"cmdstat_{name}", {"calls": 0})["calls"] for name in names}


def test_a_page_that_touches_no_session_costs_a_read_a_write_and_a_cookie(
    client: FlaskClient, redis: RedisServer
) -> None:
    client.post("/log-in")
    redis.client.config_resetstat()
    assert "Set-Cookie" in client.get("/untouched").headers
    assert "Set-Cookie" in client.get("/no-such-page").headers
    reads_and_writes = calls(redis, "get", "set", "setex")
    assert (reads_and_writes["get"], reads_and_writes["set"] + reads_and_writes["setex"]) == (2, 2)


def test_a_slow_request_that_only_reads_brings_back_a_session_that_was_ended(
    naive: Flask, client: FlaskClient, redis: RedisServer
) -> None:
    reading, ended = threading.Event(), threading.Event()

    @naive.get("/slow")
    def slow() -> str:
        session.get("user")
        reading.set()
        assert ended.wait(20)
        return ""

    client.post("/log-in")
    other = naive.test_client()
    cookie = client.get_cookie(NAME)
    assert cookie is not None
    other.set_cookie(NAME, cookie.value)
    thread = threading.Thread(target=other.get, args=("/slow",))
    thread.start()
    assert reading.wait(20)
    client.post("/log-out")
    assert redis.client.dbsize() == 0
    ended.set()
    thread.join(20)
    assert redis.client.dbsize() == 1, "whoever has the cookie is signed in again"
    assert other.get("/get").json["user"] == "jane"  # type: ignore[index]


def test_a_planted_id_is_the_victims_session_after_the_login(naive: Flask, client: FlaskClient) -> None:
    attacker = naive.test_client()
    attacker.get("/get")
    attacker.post("/log-in")
    planted = attacker.get_cookie(NAME)
    assert planted is not None
    client.set_cookie(NAME, planted.value)
    client.post("/log-in")
    after = client.get_cookie(NAME)
    assert after is not None
    assert after.value == planted.value


def test_ids_and_contents_stand_in_redis_in_plain(client: FlaskClient, redis: RedisServer) -> None:
    client.post("/log-in")
    cookie = client.get_cookie(NAME)
    assert cookie is not None
    [key] = redis.client.keys("*")  # type: ignore[misc]
    assert cookie.value.encode() in key
    assert b"jane" in redis.client.get(key)  # type: ignore[operator]


def test_whoever_writes_to_redis_runs_code_here(client: FlaskClient, redis: RedisServer) -> None:
    client.post("/log-in")
    [key] = redis.client.keys("*")  # type: ignore[misc]
    redis.client.set(key, pickle.dumps(Canary()))
    Canary.tripped = False
    client.get("/get")
    assert Canary.tripped


def test_redis_away_is_a_bug_for_pages_that_need_no_session(naive: Flask, tmp_path: Any) -> None:
    naive.session_interface.client = Redis(unix_socket_path=str(tmp_path / "nobody.sock"), retry=None)  # type: ignore[attr-defined]
    client = naive.test_client()
    client.set_cookie(NAME, "an id")
    answer = client.get("/untouched")
    assert answer.status_code == 500
    assert "Retry-After" not in answer.headers


def test_the_cookie_of_a_session_that_ended_is_removed_without_secure(client: FlaskClient) -> None:
    client.post("/log-in")
    header = client.post("/log-out").headers["Set-Cookie"]
    assert "Secure" not in header, "a browser refuses that for a __Host- cookie"
