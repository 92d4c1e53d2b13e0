"""Sessions found and ended by label, and what the index leaves in Redis."""

import time
from typing import Any

import pytest
from flask import request, session
from flask.testing import FlaskClient

from app import sessions
from app.server import LoopFlask
from app.sessions.entries import key_of, name_of
from app.settings import Settings
from tests.servers.redis import RedisServer
from tests.unit.sessions.conftest import make_app

JANE = "sub:auth0|jane@example.com"


def add_routes(app: LoopFlask) -> LoopFlask:
    """Routes that do what their names say, with the labels in the body."""

    @app.post("/log-in")
    async def log_in() -> dict[str, bool]:
        session["user"] = "jane"
        sessions.regenerate()
        sessions.index(request.get_json(), {"browser": "Marked Browser 1.0"})
        return {"saved": await sessions.save()}

    @app.post("/end")
    async def end() -> dict[str, int]:
        return {"ended": await sessions.end(request.get_json(), at=request.args.get("at", type=int))}

    @app.post("/end-one/<name>")
    async def end_one(name: str) -> dict[str, bool]:
        return {"ended": await sessions.end_one(request.get_json(), name)}

    @app.post("/listed")
    async def listed() -> list[dict[str, Any]]:
        return [vars(one) for one in await sessions.listed(request.get_json())]

    @app.post("/log-out")
    async def log_out() -> str:
        session.clear()
        sessions.regenerate()
        return ""

    @app.post("/label")
    async def label() -> str:
        sessions.index(request.get_json())
        return ""

    @app.post("/move")
    async def move() -> str:
        sessions.regenerate(continues=True)
        return ""

    @app.post("/once/<int:seconds>")
    async def once(seconds: int) -> dict[str, bool]:
        async with sessions.once(request.get_json(), seconds) as first:
            return {"first": first}

    return app


@pytest.fixture
def app(app: LoopFlask) -> LoopFlask:
    return add_routes(app)


def post(client: FlaskClient, path: str, json: Any) -> Any:
    answer = client.post(path, json=json)
    assert answer.status_code == 200
    return answer.json


def signed_in(app: LoopFlask, **labels: int) -> FlaskClient:
    client = app.test_client()
    assert post(client, "/log-in", {JANE: int(time.time()), **labels}) == {"saved": True}
    return client


def stranger(app: LoopFlask) -> FlaskClient:
    return app.test_client()


def test_sessions_are_listed_with_their_notes_and_the_current_one_marked(app: LoopFlask) -> None:
    first, second = signed_in(app), signed_in(app)
    listed = post(second, "/listed", JANE)
    assert [one["note"] for one in listed] == [{"browser": "Marked Browser 1.0"}] * 2
    assert sorted(one["current"] for one in listed) == [False, True]
    assert {one["name"] for one in post(first, "/listed", JANE)} == {one["name"] for one in listed}
    assert post(stranger(app), "/listed", "sub:nobody") == []


def test_all_sessions_of_a_label_end_and_those_of_others_do_not(app: LoopFlask) -> None:
    first, second = signed_in(app), signed_in(app)
    other = app.test_client()
    post(other, "/log-in", {"sub:eve": 0})
    assert post(stranger(app), "/end", JANE) == {"ended": 2}
    assert first.get("/get").json == second.get("/get").json == {}
    assert other.get("/get").json == {"user": "jane"}
    assert post(stranger(app), "/end", JANE) == {"ended": 0}


def test_one_session_ends_by_its_name_if_the_label_is_its_own(app: LoopFlask) -> None:
    first, second = signed_in(app), signed_in(app)
    [name] = [one["name"] for one in post(first, "/listed", JANE) if one["current"]]
    assert post(second, f"/end-one/{name}", "sub:eve") == {"ended": False}
    assert first.get("/get").json == {"user": "jane"}
    assert post(second, f"/end-one/{name}", JANE) == {"ended": True}
    assert first.get("/get").json == {}
    assert [one["current"] for one in post(second, "/listed", JANE)] == [True]


@pytest.mark.parametrize("how", ["/clear", "/log-out"])
def test_a_session_that_was_logged_out_leaves_nothing_in_the_index(
    app: LoopFlask, redis: RedisServer, how: str
) -> None:
    """Also where it gets a new id first, as it does at `/logout`: the labels are those of the id before."""
    client = signed_in(app, **{"sid:1": 0})
    client.post(how)
    assert redis.client.keys("*") == []


def test_another_login_in_the_same_browser_takes_the_one_before_out_of_the_index(
    app: LoopFlask, redis: RedisServer
) -> None:
    client = signed_in(app, **{"sid:1": 0})
    assert post(client, "/log-in", {"sub:eve": 0, "sid:2": 0}) == {"saved": True}
    assert len(redis.client.keys("session:index:*")) == 2  # type: ignore[arg-type]
    assert post(client, "/listed", JANE) == []


def test_the_end_of_the_login_before_is_not_the_end_of_the_next_in_the_same_browser(
    app: LoopFlask, redis: RedisServer
) -> None:
    """Jane's sessions are ended just when Eve signs in where Jane was: as if before, so that Eve stays."""
    client = signed_in(app, **{"sid:1": 0})
    [index] = [key for key in redis.client.keys("session:index:*") if redis.client.zcard(key)][:1]  # type: ignore[union-attr]
    [(name, _ends_at)] = redis.client.zrange(index, 0, -1, withscores=True)  # type: ignore[misc]
    assert post(client, "/log-in", {"sub:eve": 0, "sid:2": 0}) == {"saved": True}
    # What a logout that came a moment earlier has found there.
    for label in (JANE, "sid:1"):
        digest = app.session_interface._keyring.names("session label", label)[0]  # type: ignore[attr-defined]
        redis.client.zadd(f"session:index:{{{digest}}}", {name: time.time() + 60})
    # What stands there had ended with Eve's login.
    assert post(stranger(app), "/end", "sid:1") == {"ended": 0}
    assert post(stranger(app), f"/end-one/{name.decode()}", JANE) == {"ended": True}
    assert client.get("/get").json == {"user": "jane"}, "which is what the page keeps, for Eve too"


def test_a_label_that_is_given_later_is_found_too(app: LoopFlask) -> None:
    client = signed_in(app)
    assert client.post("/label", json={"group:1": 0}).status_code == 200
    assert [one["current"] for one in post(client, "/listed", "group:1")] == [True]
    assert post(stranger(app), "/end", "group:1") == {"ended": 1}
    assert client.get("/get").json == {}


def test_labels_follow_a_session_to_its_new_id(app: LoopFlask) -> None:
    client = signed_in(app)
    client.post("/move")
    assert [one["current"] for one in post(client, "/listed", JANE)] == [True]
    assert post(stranger(app), "/end", JANE) == {"ended": 1}
    assert client.get("/get").json == {}


def test_a_login_whose_label_was_ended_is_refused_for_an_hour(app: LoopFlask, redis: RedisServer) -> None:
    now = int(time.time())
    post(stranger(app), "/end", "sid:1")
    client = app.test_client()
    assert post(client, "/log-in", {JANE: now, "sid:1": 0}) == {"saved": False}
    assert client.get_cookie("__Host-session") is None
    assert client.get("/get").json == {}
    [key] = redis.client.keys("session:ended:*")  # type: ignore[misc]
    assert 3590 < redis.client.ttl(key) <= 3600  # type: ignore[operator]


def test_an_end_that_is_told_of_late_takes_nothing_from_a_later_one(app: LoopFlask) -> None:
    now = int(time.time())
    for at in (now, now - 100):
        post(stranger(app), f"/end?at={at}", JANE)
    assert post(stranger(app), "/log-in", {JANE: now - 50}) == {"saved": False}
    assert post(stranger(app), "/log-in", {JANE: now + 1}) == {"saved": True}


def test_a_session_whose_time_was_over_early_is_not_listed(app: LoopFlask, redis: RedisServer) -> None:
    """As one that nobody has used: the index knows only when it would have ended at the latest."""
    client, other = signed_in(app), signed_in(app)
    cookie = other.get_cookie("__Host-session")
    assert cookie is not None
    redis.client.delete(key_of(name_of(cookie.value)))
    assert [one["current"] for one in post(client, "/listed", JANE)] == [True]


def test_the_index_goes_with_the_last_session_and_forgets_those_that_are_over(
    app: LoopFlask, redis: RedisServer
) -> None:
    signed_in(app)
    [index] = redis.client.keys("session:index:*")  # type: ignore[misc]
    assert 86_390 < redis.client.ttl(index) <= 86_400  # type: ignore[operator]
    redis.client.zadd(index, {"long-over": 1})
    signed_in(app)
    assert redis.client.zcard(index) == 2


def test_a_dump_of_redis_tells_neither_who_it_is_nor_on_what_browser(app: LoopFlask, redis: RedisServer) -> None:
    signed_in(app, **{"sid:marked": 0})
    keys: list[bytes] = redis.client.keys("*")  # type: ignore[assignment]
    dump = b"".join(key + (redis.client.dump(key) or b"") for key in keys)  # type: ignore[operator]
    for marked in (b"jane", b"Jane", b"arked", b"auth0", b"example"):
        assert marked not in dump


def test_a_note_that_is_moved_to_another_session_is_not_shown(app: LoopFlask, redis: RedisServer) -> None:
    client = signed_in(app)
    signed_in(app)
    [notes] = redis.client.keys("session:notes:*")  # type: ignore[misc]
    (one, note), (other, _note) = redis.client.hgetall(notes).items()  # type: ignore[union-attr]
    redis.client.hset(notes, other, note)
    by_name = {listed["name"]: listed["note"] for listed in post(client, "/listed", JANE)}
    assert by_name == {one.decode(): {"browser": "Marked Browser 1.0"}, other.decode(): {}}


def test_a_thing_happens_once_in_its_time(app: LoopFlask, redis: RedisServer) -> None:
    client = stranger(app)
    assert [post(client, "/once/60", "jti-1")["first"] for _ in range(2)] == [True, False]
    assert post(client, "/once/60", "jti-2") == {"first": True}
    for key in redis.client.keys("session:once:*"):  # type: ignore[union-attr]
        assert b"jti" not in key
        assert 30 < redis.client.ttl(key) <= 60  # type: ignore[operator]


def calls_of(redis: RedisServer, client: FlaskClient, path: str) -> dict[str, int]:
    """How often each command ran in Redis for a request that names JANE, those of scripts too."""
    redis.client.config_resetstat()
    post(client, path, JANE)
    stats: dict[str, Any] = redis.client.info("commandstats")  # type: ignore[assignment]
    calls = {name.removeprefix("cmdstat_"): stat["calls"] for name, stat in stats.items()}
    return {name: count for name, count in calls.items() if name not in ("info", "config|resetstat")}


def test_ending_a_label_costs_the_same_whatever_else_there_is(app: LoopFlask, redis: RedisServer) -> None:
    signed_in(app)
    # Neither `SCAN` nor `KEYS`.
    wanted = {"eval": 2, "get": 2, "set": 2, "getrange": 1, "zrange": 1, "zrem": 1, "hdel": 1}
    assert calls_of(redis, stranger(app), "/end") == wanted


def test_a_list_of_the_current_session_alone_takes_one_command(app: LoopFlask, redis: RedisServer) -> None:
    client = signed_in(app)
    assert calls_of(redis, client, "/listed") == {"mget": 1, "eval": 1, "zrangebyscore": 1, "hmget": 1}
    signed_in(app)
    assert calls_of(redis, client, "/listed") == {"mget": 1, "eval": 1, "zrangebyscore": 1, "hmget": 2, "getrange": 1}


@pytest.mark.parametrize("why", ["ended", "over"])
def test_what_no_longer_lives_is_not_listed(app: LoopFlask, redis: RedisServer, why: str) -> None:
    """It stands under the label for a moment more."""
    first, second = signed_in(app), signed_in(app)
    [name] = [one["name"] for one in post(first, "/listed", JANE) if one["current"]]
    if why == "ended":
        redis.client.set(key_of(name), b"\0" + bytes(16))
    else:
        redis.client.delete(key_of(name))
    assert [one["current"] for one in post(second, "/listed", JANE)] == [True]
    assert [one["current"] for one in post(first, "/listed", JANE)] == [False], "whose cookie leads nowhere now"


def test_in_cookies_labels_do_nothing_and_nothing_is_found(variables: dict[str, str]) -> None:
    app = add_routes(make_app(Settings.model_validate({name.lower(): value for name, value in variables.items()})))
    client = signed_in(app)
    assert post(client, "/listed", JANE) == []
    assert post(client, "/end", JANE) == {"ended": 0}
    assert post(client, "/end-one/x", JANE) == {"ended": False}
    assert client.get("/get").json == {"user": "jane"}
    assert [post(client, "/once/60", "jti-1")["first"] for _ in range(2)] == [True, False]
