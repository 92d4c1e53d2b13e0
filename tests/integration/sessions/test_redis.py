"""Sessions in a real Redis: what Flask-Session alone gets wrong, and what a dump of Redis gives away."""

import asyncio
import logging
import pickle
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from flask import request, session
from flask.testing import FlaskClient
from pydantic import SecretStr

from app import sessions
from app.server import LoopFlask, await_
from app.sessions.redis import RedisSessions
from app.settings import Settings
from tests.servers.redis import RedisServer
from tests.unit.sessions.conftest import make_app

NAME = "__Host-session"


@pytest.fixture
def client(app: LoopFlask) -> FlaskClient:
    return app.test_client()


def commands(redis: RedisServer) -> dict[str, int]:
    """How often each data command was called since the server was emptied."""
    stats: dict[str, Any] = redis.client.info("commandstats")  # type: ignore[assignment]
    names = ("get", "mget", "getex", "set", "setex", "del", "expire", "eval")
    return {name: stats[f"cmdstat_{name}"]["calls"] for name in names if f"cmdstat_{name}" in stats}


def test_what_a_page_keeps_is_there_on_the_next_request(client: FlaskClient) -> None:
    kept = {"cart": [1, 2], "name": "Zoë", "deep": {"a": None, "b": True, "c": 1.5}}
    client.post("/set", json=kept)
    assert client.get("/get").json == kept


def test_the_cookie_is_host_only_secure_httponly_and_lax(client: FlaskClient) -> None:
    header = client.post("/set", json={"a": 1}).headers["Set-Cookie"]
    attributes = {part.strip().lower().partition("=")[0] for part in header.split(";")[1:]}
    assert header.startswith(f"{NAME}=")
    assert attributes == {"secure", "httponly", "path", "samesite", "max-age", "expires"}


def test_reading_costs_one_command_and_no_write(client: FlaskClient, redis: RedisServer) -> None:
    client.post("/set", json={"a": 1})
    redis.client.config_resetstat()
    for path in ("/get", "/untouched", "/no-such-page"):
        assert "Set-Cookie" not in client.get(path).headers
    assert commands(redis) == {"mget": 3}


def test_a_page_that_changes_the_session_costs_one_read_and_one_script(client: FlaskClient, redis: RedisServer) -> None:
    client.post("/set", json={"a": 1})
    redis.client.config_resetstat()
    client.post("/set", json={"a": 2})
    # What the script itself calls is counted too.
    assert commands(redis) == {"mget": 1, "get": 1, "eval": 1, "set": 1}


def test_a_request_without_a_cookie_does_not_ask_redis(client: FlaskClient, redis: RedisServer) -> None:
    redis.client.config_resetstat()
    client.get("/get")
    assert commands(redis) == {}


def test_a_dump_of_redis_names_no_session_and_shows_nothing(client: FlaskClient, redis: RedisServer) -> None:
    client.post("/set", json={"marker-key": "marker-value"})
    cookie = client.get_cookie(NAME)
    assert cookie is not None
    [key] = redis.client.keys("*")  # type: ignore[misc]
    dump = key + redis.client.get(key)  # type: ignore[operator]
    assert b"marker" not in dump
    assert cookie.value.encode() not in dump


def test_a_response_that_depends_on_the_session_says_so(client: FlaskClient) -> None:
    assert client.get("/get").headers["Vary"] == "Cookie"
    client.post("/set", json={"a": 1})
    assert client.get("/get").headers["Vary"] == "Cookie"
    assert "Vary" not in client.get("/untouched").headers


def test_a_blob_copied_to_another_session_is_refused(app: LoopFlask, redis: RedisServer) -> None:
    jane, eve = app.test_client(), app.test_client()
    jane.post("/set", json={"who": "jane"})
    [janes] = redis.client.keys("*")  # type: ignore[misc]
    eve.post("/set", json={"who": "eve"})
    assert eve.get("/get").json == {"who": "eve"}
    [eves] = set(redis.client.keys("*")) - {janes}  # type: ignore[arg-type]
    redis.client.set(eves, redis.client.get(janes))  # type: ignore[arg-type]
    assert eve.get("/get").json == {}


class Canary:
    """Unpickling one leaves a trace."""

    tripped = False

    def __reduce__(self) -> tuple[Any, ...]:
        return (setattr, (Canary, "tripped", True))


def test_a_pickle_in_redis_is_never_loaded(client: FlaskClient, redis: RedisServer) -> None:
    client.post("/set", json={"a": 1})
    [key] = redis.client.keys("*")  # type: ignore[misc]
    redis.client.set(key, pickle.dumps(Canary()))
    assert client.get("/get").json == {}
    assert not Canary.tripped


def test_an_id_planted_before_is_not_the_session_after(client: FlaskClient) -> None:
    client.set_cookie(NAME, "planted")
    client.post("/set", json={"a": 1})
    cookie = client.get_cookie(NAME)
    assert cookie is not None
    assert cookie.value != "planted"


@pytest.mark.parametrize("changes", [True, False])
def test_a_new_id_whose_writing_goes_on_beside_that_of_the_response_is_the_browsers(
    app: LoopFlask, client: FlaskClient, redis: RedisServer, changes: bool
) -> None:
    """As of a renewal that outlives its request: the error page saves the session as well."""
    goes_on: list[asyncio.Task[bool]] = []

    @app.post("/regenerate-and-go")
    async def regenerate_and_go() -> str:
        sessions.regenerate()
        goes_on.append(asyncio.create_task(sessions.save()))
        await asyncio.sleep(0)
        if changes:
            session["page"] = "changed"
        assert not goes_on[0].done()
        return ""

    client.post("/set", json={"a": 1})
    client.post("/regenerate-and-go")
    assert await_(goes_on[0])
    assert client.get("/get").json == {"a": 1} | ({"page": "changed"} if changes else {})
    values = [redis.client.get(key) for key in redis.client.keys("*")]  # type: ignore[union-attr]
    assert len([value for value in values if not value.startswith(b"\0")]) == 1, "and no other is left in Redis"  # type: ignore[union-attr]


def test_who_waits_to_write_a_session_that_has_ended_is_told(
    app: LoopFlask, client: FlaskClient, redis: RedisServer
) -> None:
    interface: RedisSessions = app.session_interface  # type: ignore[assignment]
    client.post("/set", json={"a": 1})
    cookie = client.get_cookie(NAME)
    assert cookie is not None
    session = await_(interface.find(cookie.value))
    assert session is not None
    redis.client.flushall()

    async def save_twice() -> list[bool]:
        session["b"] = 2
        first = asyncio.create_task(interface.save(session))
        await asyncio.sleep(0)
        session["c"] = 3
        return await asyncio.gather(first, interface.save(session))

    assert await_(save_twice()) == [False, False]
    assert redis.client.dbsize() == 0


def test_regenerating_ends_the_old_id(app: LoopFlask, client: FlaskClient, redis: RedisServer) -> None:
    client.post("/set", json={"a": 1})
    old = client.get_cookie(NAME)
    assert old is not None
    client.post("/regenerate")
    assert client.get("/get").json == {"a": 1, "regenerated": True}
    thief = app.test_client()
    thief.set_cookie(NAME, old.value)
    assert thief.get("/get").json == {}
    # The mark that the old one has ended, which goes within a minute.
    [ended] = [key for key in redis.client.keys("*") if redis.client.get(key).startswith(b"\0")]  # type: ignore[union-attr]
    assert 0 < redis.client.ttl(ended) <= 60  # type: ignore[operator]
    assert redis.client.dbsize() == 2


def test_an_emptied_session_is_deleted_in_redis_and_in_the_browser(client: FlaskClient, redis: RedisServer) -> None:
    client.post("/set", json={"a": 1})
    header = client.post("/clear").headers["Set-Cookie"]
    assert redis.client.dbsize() == 0
    assert client.get_cookie(NAME) is None
    assert "Secure" in header
    assert "SameSite=Lax" in header


class SlowRequest:
    """A request that has read its session and waits before it ends."""

    def __init__(self, app: LoopFlask) -> None:
        self._read, self._go_on = threading.Event(), threading.Event()
        self._app = app

        @app.post("/slow/<how>")
        def slow(how: str) -> str:
            session.get("a")
            self._read.set()
            assert self._go_on.wait(20)
            if how == "writes":
                session.update(request.get_json())
            elif how == "deletes":
                del session["a"]
            elif how == "begins anew":
                # As the login of another user does, in a browser where somebody is signed in.
                session.clear()
                sessions.regenerate()
                session["who"] = "eve"
            elif how == "empties":
                session.clear()
                session["said"] = "goodbye"
            return "slow"

    def around(self, client: FlaskClient, how: str, **changes: Any) -> Iterator[FlaskClient]:
        """Start it with *client*'s cookie, yield its browser while it waits, let it end."""
        cookie = client.get_cookie(NAME)
        assert cookie is not None
        other = self._app.test_client()
        other.set_cookie(NAME, cookie.value)
        thread = threading.Thread(target=other.post, args=(f"/slow/{how}",), kwargs={"json": changes})
        thread.start()
        assert self._read.wait(20)
        yield other
        self._go_on.set()
        thread.join(20)


@pytest.mark.parametrize("how", ["reads", "writes"])
def test_a_deleted_session_is_not_resurrected_by_a_slow_request(
    app: LoopFlask, client: FlaskClient, redis: RedisServer, how: str
) -> None:
    slow = SlowRequest(app)
    client.post("/set", json={"a": 1})
    for _ in slow.around(client, how, slow=True):
        client.post("/clear")
    assert redis.client.dbsize() == 0


def test_a_slow_request_that_only_reads_does_not_undo_anothers_write(app: LoopFlask, client: FlaskClient) -> None:
    slow = SlowRequest(app)
    client.post("/set", json={"token": "old"})
    for _ in slow.around(client, "reads"):
        client.post("/set", json={"token": "rotated"})
    assert client.get("/get").json == {"token": "rotated"}


def test_of_two_requests_that_change_different_keys_both_changes_survive(app: LoopFlask, client: FlaskClient) -> None:
    slow = SlowRequest(app)
    client.post("/set", json={"a": 1, "deep": {"list": [1, 2]}})
    for _ in slow.around(client, "writes", slow=(1, 2)):
        client.post("/set", json={"quick": {"b": None}, "a": 2})
    assert client.get("/get").json == {"a": 2, "deep": {"list": [1, 2]}, "slow": [1, 2], "quick": {"b": None}}


def test_a_key_that_one_deletes_and_another_leaves_alone_is_gone(app: LoopFlask, client: FlaskClient) -> None:
    slow = SlowRequest(app)
    client.post("/set", json={"a": 1, "c": 3})
    for _ in slow.around(client, "deletes"):
        client.post("/set", json={"b": 2})
    assert client.get("/get").json == {"b": 2, "c": 3}


def test_a_request_that_empties_the_session_ends_it_whatever_others_added(
    app: LoopFlask, client: FlaskClient, redis: RedisServer
) -> None:
    slow = SlowRequest(app)
    client.post("/set", json={"a": 1})
    for _ in slow.around(client, "deletes"):
        client.post("/set", json={"b": 2})
    assert redis.client.dbsize() == 0


@pytest.mark.parametrize(("how", "left"), [("begins anew", {"who": "eve"}), ("empties", {"said": "goodbye"})])
def test_what_others_add_to_a_session_that_is_being_emptied_is_not_in_what_comes_after(
    app: LoopFlask, client: FlaskClient, how: str, left: dict[str, str]
) -> None:
    """Jane's tab adds to her basket while Eve's login ends in the same browser: Eve must not see it."""
    slow = SlowRequest(app)
    client.post("/set", json={"who": "jane", "a": 1})
    thief = app.test_client()
    for browser in slow.around(client, how):
        thief = browser
        client.post("/set", json={"basket": ["jane's"]})
    assert thief.get("/get").json == left
    assert client.get("/get").json == (left if how == "empties" else {})


def test_the_end_and_the_labels_of_the_session_before_are_not_those_of_the_next(
    app: LoopFlask, client: FlaskClient, redis: RedisServer
) -> None:
    """What was read of it is outdated by another write: what comes with that is of the life before."""
    slow = SlowRequest(app)

    @app.post("/mark")
    async def mark() -> str:
        sessions.limit(int(time.time()) + 100)
        sessions.index({"sid:jane": 0}, {"browser": "hers"})
        return "marked"

    client.post("/set", json={"who": "jane"})
    later = app.test_client()
    for browser in slow.around(client, "begins anew"):
        later = browser
        client.post("/mark")
    cookie = later.get_cookie(NAME)
    assert cookie is not None
    next_one = await_(app.session_interface.find(cookie.value))  # type: ignore[attr-defined]
    assert (dict(next_one), next_one.not_after, next_one.labels) == ({"who": "eve"}, None, {})


def test_of_the_same_key_the_later_write_survives(app: LoopFlask, client: FlaskClient) -> None:
    slow = SlowRequest(app)
    client.post("/set", json={"a": 1})
    for _ in slow.around(client, "writes", a="slow"):
        client.post("/set", json={"a": "quick"})
    assert client.get("/get").json == {"a": "slow"}


@pytest.mark.parametrize(("quick", "late"), [(2, 3), (3, 2)])
def test_of_two_tokens_the_newer_survives_whichever_is_written_last(
    app: LoopFlask, client: FlaskClient, quick: int, late: int
) -> None:
    sessions.on_conflict(app, "token", max)
    slow = SlowRequest(app)
    client.post("/set", json={"token": 1})
    for _ in slow.around(client, "writes", token=late):
        client.post("/set", json={"token": quick})
    assert client.get("/get").json == {"token": 3}


def test_redis_away_is_a_503_for_pages_with_a_session_and_nothing_for_others(
    settings: Settings, tmp_path: Any, caplog: pytest.LogCaptureFixture
) -> None:
    app = make_app(settings.model_copy(update={"redis_url": SecretStr(f"unix://{tmp_path}/nobody.sock")}))
    app.config.update(TESTING=False)
    client = app.test_client()
    client.set_cookie(NAME, "an id")
    with caplog.at_level(logging.ERROR):
        response = client.get("/get")
    assert response.status_code == 503
    assert response.headers["Retry-After"] == "5"
    assert "the session store does not answer" in caplog.text
    assert "Traceback" not in caplog.text
    assert client.get("/untouched").text == "no session here"
    # Nothing to write to: the person is told, not signed in with a session that does not exist.
    assert app.test_client().post("/set", json={"a": 1}).status_code >= 500
    await_(app.extensions["session_store"].close())


def test_a_hung_redis_fails_fast_and_is_used_again_when_it_answers(client: FlaskClient, redis: RedisServer) -> None:
    client.post("/set", json={"a": 1})
    redis.hang()
    try:
        assert client.get("/get").status_code == 503
    finally:
        redis.resume()
    assert client.get("/get").json == {"a": 1}


def test_connections_that_redis_closed_are_renewed_unseen(client: FlaskClient, redis: RedisServer) -> None:
    client.post("/set", json={"a": 1})
    redis.client.client_kill_filter(_type="normal", skipme=True)
    assert client.get("/get").json == {"a": 1}


def test_commands_that_wait_at_the_same_time_share_a_round_trip(app: LoopFlask, redis: RedisServer) -> None:
    import asyncio

    from app.sessions.connect import Connection
    from app.sessions.store import RedisStore

    store = RedisStore(Connection(redis.url, 5))

    async def many() -> list[Any]:
        await asyncio.gather(*(store.execute("SET", f"key{index}", index) for index in range(50)))
        return await asyncio.gather(*(store.execute("GET", f"key{index}") for index in range(50)))

    redis.client.config_resetstat()
    assert await_(many()) == [str(index).encode() for index in range(50)]
    # Two bursts over at most two connections: far fewer reads of the socket than the hundred commands.
    assert redis.client.info("stats")["total_reads_processed"] < 20  # type: ignore[index]
    await_(store.close())


def test_one_refused_command_does_not_fail_its_neighbours(redis: RedisServer) -> None:
    import asyncio

    from app.sessions import StoreUnavailable
    from app.sessions.connect import Connection
    from app.sessions.store import RedisStore

    store = RedisStore(Connection(redis.url, 5))

    async def mixed() -> list[Any]:
        return await asyncio.gather(
            store.execute("SET", "a", 1),
            store.execute("HGET", "a", "b"),
            store.execute("GET", "a"),
            return_exceptions=True,
        )

    written, refused, read = await_(mixed())
    assert (written, read) == (b"OK", b"1")
    assert isinstance(refused, StoreUnavailable)
    await_(store.close())


def test_of_commands_of_one_turn_each_gets_its_own_answer_and_reads_that_are_refused_are_alone_in_it(
    redis: RedisServer,
) -> None:
    from app.sessions import StoreUnavailable
    from app.sessions.connect import Connection
    from app.sessions.store import RedisStore

    store = RedisStore(Connection(redis.url, 5))
    sent = [("GET", "a"), ("SET", "a", 1), ("GET", "none"), ("SET", "b", 2), ("GET", "b"), ("GET", "a")]

    async def together() -> list[Any]:
        return await asyncio.gather(*(store.execute(*command) for command in sent), return_exceptions=True)

    redis.client.config_resetstat()
    assert await_(together()) == [b"1", b"OK", None, b"OK", b"2", b"1"]
    assert commands(redis) == {"mget": 1, "set": 2}
    redis.client.acl_setuser("default", enabled=True, nopass=True, keys=["*"], categories=["+@all"], commands=["-mget"])
    answers = await_(together())
    redis.client.acl_setuser("default", enabled=True, nopass=True, keys=["*"], categories=["+@all"])
    assert [isinstance(answer, StoreUnavailable) for answer in answers] == [name == "GET" for name, *_ in sent]
    await_(store.close())
