"""Redis in every shape that it is run in, with the documented user: TLS, sockets, Sentinel, Cluster, Redis away."""

import asyncio
import gc
import logging
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from app import sessions
from app.server import LoopFlask, await_
from app.sessions import eviction
from app.sessions.events import circuit_changed, command_answered
from app.sessions.store import RedisStore
from app.settings import Settings
from scripts.certificates import CA, authority
from tests.integration.sessions.test_labels import JANE, add_routes, post, signed_in, stranger
from tests.servers.ports import free_ports
from tests.servers.redis import RedisServer, documented_user, redis_server
from tests.servers.redis_fleets import MASTER, Sentinels, cluster, sentinels, until
from tests.unit.sessions.conftest import make_app

PASSWORD = "marked-redis-password"
LATER = "sub:later"
USER = f"flask:{PASSWORD}"
MakeApp = Callable[..., LoopFlask]


@pytest.fixture
def new_app(variables: dict[str, str]) -> Iterator[MakeApp]:
    """Make apps that keep sessions at a URL, with a time limit that a busy machine keeps."""
    with ExitStack() as stack:

        def make(url: str, **settings: Any) -> LoopFlask:
            values = {name.lower(): value for name, value in variables.items()}
            redis = {"session_backend": "redis", "redis_url": url, "redis_timeout_seconds": 5}
            app = add_routes(make_app(Settings.model_validate(values | redis | settings)))
            stack.callback(lambda: await_(app.extensions["session_store"].close()))
            return app

        yield make
    # What redis-py has left unclosed is told of here, not in whichever test comes next.
    gc.collect()


def cookie_of(client: FlaskClient) -> str:
    cookie = client.get_cookie("__Host-session")
    assert cookie is not None
    return cookie.value


def later(app: LoopFlask) -> FlaskClient:
    """Who signs in after everybody of `all_of_it` was signed out."""
    client = app.test_client()
    assert post(client, "/log-in", {LATER: 0}) == {"saved": True}
    return client


def all_of_it(app: LoopFlask) -> None:
    """Everything that is done with Redis."""
    first, second = signed_in(app), signed_in(app)
    first.post("/set", json={"a": 1})
    assert first.get("/get").json == {"user": "jane", "a": 1}
    first.post("/move")
    assert first.get("/get").json == {"user": "jane", "a": 1}
    assert len(post(first, "/listed", JANE)) == 2
    [other] = [one["name"] for one in post(first, "/listed", JANE) if not one["current"]]
    assert post(first, f"/end-one/{other}", JANE) == {"ended": True}
    assert second.get("/get").json == {}
    assert post(stranger(app), "/end", JANE) == {"ended": 1}
    assert first.get("/get").json == {}
    third = app.test_client()
    third.post("/set", json={"a": 1})
    third.post("/clear")
    assert third.get("/get").json == {}
    assert post(third, "/once/60", "jti") == {"first": True}
    with app.test_request_context():

        async def locked() -> None:
            async with sessions.lock("a", lease=0.1):
                await asyncio.sleep(0.1)
            await sessions.ping()

        await_(locked())


def test_on_a_socket_the_documented_user_has_all_the_rights_that_are_needed(new_app: MakeApp, tmp_path: Path) -> None:
    with redis_server(tmp_path, "--port", "0", "--user", *documented_user(PASSWORD).split()) as server:
        url = server.url.replace("unix://", f"unix://{USER}@")
        app, other = new_app(url), new_app(url)
        all_of_it(app)
        # One worker alone would not renew what it has just written.
        client, elsewhere = app.test_client(), other.test_client()
        client.post("/set", json={"a": 1})
        elsewhere.set_cookie("__Host-session", cookie_of(client))
        assert elsewhere.get("/get").json == {"a": 1}
        await_(eviction.check(app.extensions["session_store"]))
        stats = server.client.info("commandstats")
        called = {name.removeprefix("cmdstat_").partition("|")[0] for name in stats}  # type: ignore[union-attr]
        # And none besides.
        assert {part[1:] for part in documented_user(PASSWORD).split() if part.startswith("+")} <= called


@pytest.fixture(scope="module")
def ca(tmp_path_factory: pytest.TempPathFactory) -> CA:
    return authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def tls(ca: CA, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RedisServer, int]]:
    """A Redis that speaks TLS alone and wants a certificate."""
    certificate, key = ca.issue()
    [port] = free_ports(1)
    options = ["--port", "0", "--tls-port", str(port), "--tls-cert-file", str(certificate), "--tls-key-file", str(key)]
    options += ["--tls-ca-cert-file", str(ca.path), "--tls-auth-clients", "yes"]
    with redis_server(
        tmp_path_factory.mktemp("redis"), *options, "--user", *documented_user(PASSWORD).split()
    ) as redis:
        yield redis, port


def test_over_tls_with_a_private_authority_and_a_certificate_of_its_own(
    new_app: MakeApp, tls: tuple[RedisServer, int], ca: CA
) -> None:
    certificate, key = ca.issue(stem="client")
    files = {"redis_tls_ca": str(ca.path), "redis_tls_certificate": str(certificate), "redis_tls_key": str(key)}
    all_of_it(new_app(f"rediss://{USER}@localhost:{tls[1]}/0", **files))


@pytest.mark.parametrize("what", ["another authority", "no certificate", "another name"])
def test_over_tls_neither_side_trusts_just_anybody(
    new_app: MakeApp, tls: tuple[RedisServer, int], ca: CA, tmp_path: Path, what: str
) -> None:
    certificate, key = ca.issue(stem="client")
    files = {"redis_tls_ca": str(ca.path), "redis_tls_certificate": str(certificate), "redis_tls_key": str(key)}
    host = "localhost"
    if what == "another authority":
        files["redis_tls_ca"] = str(authority(tmp_path).path)
    elif what == "no certificate":
        del files["redis_tls_certificate"], files["redis_tls_key"]
    else:
        host = "127.0.0.2"
    client = new_app(f"rediss://{USER}@{host}:{tls[1]}/0", **files).test_client()
    client.set_cookie("__Host-session", "an-id")
    assert client.get("/get").status_code == 503


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sentinels]:
    with sentinels(tmp_path_factory.mktemp("sentinels"), documented_user(PASSWORD)) as fleet:
        yield fleet


# redis-py lets go of connections unclosed when a master is another, or when it looks anew where a cluster's slots are.
dropped_connections = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")


@dropped_connections
@pytest.mark.timeout(240)
def test_sentinels_lead_to_the_master_and_after_a_failover_under_load_to_the_new_one(
    new_app: MakeApp, watched: Sentinels
) -> None:
    app = new_app(f"redis+sentinel://{USER}@{watched.hosts}/{MASTER}/0", redis_timeout_seconds=1)
    all_of_it(app)
    jane = later(app)
    before = watched.master
    # It is on the replicas before the master goes.
    until(lambda: all(server.client.dbsize() == watched.servers[0].client.dbsize() for server in watched.servers))
    stop = []
    statuses: set[int] = set()

    def use() -> None:
        tab = app.test_client()
        tab.set_cookie("__Host-session", cookie_of(jane))
        while not stop:
            answer = tab.get("/get")
            statuses.add(answer.status_code)
            # Away for a moment, but never somebody else, and never signed out.
            assert answer.status_code == 503 or answer.json == {"user": "jane"}
            time.sleep(0.01)

    with ThreadPoolExecutor(4) as pool:
        users = [pool.submit(use) for _ in range(4)]
        watched.servers[0].stop()
        try:
            until(lambda: watched.master != before)
            until(lambda: jane.get("/get").status_code == 200)
            until(lambda: jane.post("/set", json={"b": 2}).status_code == 200)
        finally:
            stop.append(True)
        # The change itself may be seen by those that still run.
        for user in users:
            error = user.exception()
            assert error is None or "'b': 2" in str(error)
    assert 200 in statuses
    assert jane.get("/get").json == {"user": "jane", "b": 2}


@dropped_connections
@pytest.mark.parametrize("how", ["silent", "away"])
def test_a_sentinel_that_is_no_help_keeps_nobody_from_the_others(
    new_app: MakeApp, watched: Sentinels, how: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
        if how == "away":
            nobody.close()
        hosts = f"127.0.0.1:{port},{watched.hosts}"
        app = new_app(f"redis+sentinel://{USER}@{hosts}/{MASTER}/0", redis_timeout_seconds=1)
        later(app)


@dropped_connections
@pytest.mark.timeout(240)
def test_a_cluster_keeps_sessions_on_all_its_servers(new_app: MakeApp, tmp_path: Path) -> None:
    with cluster(tmp_path, documented_user(PASSWORD, "+cluster|slots +command")) as nodes:
        port = nodes[0].client.config_get("port")["port"]  # type: ignore[index]
        app = new_app(f"redis+cluster://{USER}@127.0.0.1:{port}")
        all_of_it(app)
        clients = [later(app) for _ in range(12)]
        assert [client.get("/get").json for client in clients] == [{"user": "jane"}] * 12
        assert all(node.client.dbsize() for node in nodes)
        assert post(clients[0], "/end", LATER) == {"ended": 12}
        assert [client.get("/get").json for client in clients] == [{}] * 12
        gc.collect()


@dropped_connections
@pytest.mark.timeout(240)
def test_when_a_server_of_a_cluster_falls_silent_its_replica_is_found(new_app: MakeApp, tmp_path: Path) -> None:
    with cluster(tmp_path, documented_user(PASSWORD, "+cluster|slots +command")) as nodes:
        ports = [node.client.config_get("port")["port"] for node in nodes]  # type: ignore[index]
        hosts = ",".join(f"127.0.0.1:{port}" for port in ports)
        app = new_app(f"redis+cluster://{USER}@{hosts}", redis_timeout_seconds=1)
        clients = [later(app) for _ in range(12)]
        until(lambda: nodes[0].client.dbsize() == nodes[3].client.dbsize())
        nodes[0].hang()
        for client in clients:
            until(lambda client=client: client.get("/get").status_code == 200)  # type: ignore[misc]
            assert client.get("/get").json == {"user": "jane"}
        gc.collect()


@dropped_connections
def test_a_cluster_that_is_away_altogether_is_away_as_any_redis_and_used_when_it_is_there(
    new_app: MakeApp, tmp_path: Path
) -> None:
    port, bus = free_ports(2)
    app = new_app(f"redis+cluster://127.0.0.1:{port}", redis_timeout_seconds=1)
    client = app.test_client()
    # It does not keep the server from starting.
    await_(eviction.check(app.extensions["session_store"]))
    client.set_cookie("__Host-session", "an-id")
    assert [client.get("/get").status_code for _ in range(5)] == [503] * 5
    # Who asks whether it is back finds that it is not.
    with socket.create_server(("127.0.0.1", port)) as nobody:
        nobody.settimeout(60)
        nobody.accept()[0].close()
    options = ["--port", str(port), "--cluster-enabled", "yes", "--cluster-port", str(bus)]
    with redis_server(tmp_path, *options) as node:
        node.client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16_383)
        until(lambda: client.get("/get").status_code == 200)
        gc.collect()


# Redis away.


@pytest.fixture
def quick(new_app: MakeApp, redis: RedisServer) -> LoopFlask:
    """An app with the time limit of production."""
    return new_app(redis.url, redis_timeout_seconds=0.25)


@pytest.fixture
def hung(redis: RedisServer) -> Iterator[RedisServer]:
    yield redis
    redis.resume()


def seconds(client: FlaskClient, path: str, status: int) -> float:
    started = time.perf_counter()
    assert client.get(path).status_code == status
    return time.perf_counter() - started


def test_a_hung_redis_costs_a_few_requests_its_time_limit_and_then_milliseconds(
    quick: LoopFlask, hung: RedisServer
) -> None:
    client = quick.test_client()
    client.post("/set", json={"a": 1})
    hung.hang()
    first = [seconds(client, "/get", 503) for _ in range(3)]
    then = sorted(seconds(client, "/get", 503) for _ in range(50))
    assert all(0.24 < each < 5 for each in first)
    # Milliseconds, on a machine that has nothing else to do; below the time limit on any.
    assert then[len(then) // 2] < 0.2
    assert sorted(seconds(client, "/untouched", 200) for _ in range(50))[25] < 0.2
    hung.resume()
    # It closes by itself.
    until(lambda: client.get("/get").status_code == 200)
    assert client.get("/get").json == {"a": 1}


@pytest.mark.parametrize("connected", [True, False])
def test_an_answer_that_is_there_is_read_however_long_the_worker_itself_was_held_up(
    quick: LoopFlask, redis: RedisServer, connected: bool
) -> None:
    store: RedisStore = quick.extensions["session_store"]
    redis.client.set("session:here", "an answer")

    async def ask() -> Any:
        if connected:
            await store.ping()
        asked = asyncio.create_task(store.execute("GET", "session:here"))
        # Until it is on its way.
        for _ in range(5):
            await asyncio.sleep(0)
        time.sleep(0.6)  # noqa: ASYNC251 - as a page that blocks, or a machine that is busy
        return await asked

    assert await_(ask()) == b"an answer"


def test_the_circuit_says_when_it_opens_and_closes_and_is_quiet_between(
    quick: LoopFlask, hung: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    client = quick.test_client()
    client.post("/set", json={"a": 1})
    hung.hang()
    with caplog.at_level(logging.INFO):
        for _ in range(20):
            client.get("/get")
        hung.resume()
        until(lambda: client.get("/get").status_code == 200)
    messages = [record.message for record in caplog.records]
    assert sum("no request waits for it" in message for message in messages) == 1
    assert sum("answers again" in message for message in messages) == 1
    assert len(messages) <= 5


def test_who_watches_the_circuit_and_fails_keeps_nobody_waiting_and_no_circuit_open(
    quick: LoopFlask, hung: RedisServer
) -> None:
    client, store = quick.test_client(), quick.extensions["session_store"]
    client.post("/set", json={"a": 1})
    told: list[object] = []

    def fail(_store: RedisStore, **arguments: object) -> None:
        told.append(arguments)
        raise RuntimeError("of a receiver")

    async def ask() -> Any:
        async with asyncio.timeout(20):
            return await store.execute("GET", "anything")

    with circuit_changed.connected_to(fail, sender=store):
        hung.hang()
        for _ in range(4):
            with pytest.raises(sessions.StoreUnavailable):
                await_(ask())
        hung.resume()
        until(lambda: client.get("/get").status_code == 200)
        assert client.get("/get").json == {"a": 1}
    assert told


def test_a_command_that_nobody_waits_for_any_more_is_told_as_cancelled(quick: LoopFlask, hung: RedisServer) -> None:
    store: RedisStore = quick.extensions["session_store"]
    told: list[tuple[str, str]] = []

    def note(_store: RedisStore, *, command: str, outcome: str, seconds: float) -> None:
        told.append((command, outcome))

    async def give_up() -> None:
        waiting = asyncio.create_task(store.execute("GET", "anything"))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)

    hung.hang()
    with command_answered.connected_to(note, sender=store):
        await_(give_up())
    assert told == [("GET", "cancelled")]


def test_who_waits_for_a_connection_waits_no_longer_than_who_has_one(new_app: MakeApp, hung: RedisServer) -> None:
    app = new_app(hung.url, redis_timeout_seconds=3)
    client = app.test_client()
    client.post("/set", json={"a": 1})
    hung.hang()

    def visit(_number: int) -> float:
        tab = app.test_client()
        tab.set_cookie("__Host-session", cookie_of(client))
        return seconds(tab, "/get", 503)

    with ThreadPoolExecutor(40) as pool:
        # The time limit once, and what a busy machine adds.
        assert max(pool.map(visit, range(40))) < 5


@pytest.mark.parametrize(("policy", "warned"), [("allkeys-lru", True), ("volatile-ttl", False), ("noeviction", False)])
def test_a_policy_that_drops_any_session_is_warned_about_at_start(
    redis: RedisServer, new_app: MakeApp, caplog: pytest.LogCaptureFixture, policy: str, warned: bool
) -> None:
    redis.client.config_set("maxmemory-policy", policy)
    app = new_app(redis.url)
    assert app.start_hooks
    with caplog.at_level(logging.INFO):
        await_(eviction.check(app.extensions["session_store"]))
    redis.client.config_set("maxmemory-policy", "noeviction")
    assert (f"maxmemory-policy is {policy}" in caplog.text) == warned


def test_a_redis_that_does_not_tell_its_policy_does_not_keep_the_server_from_starting(
    new_app: MakeApp, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    app = new_app(f"unix://{tmp_path}/nobody.sock")
    with caplog.at_level(logging.INFO):
        await_(eviction.check(app.extensions["session_store"]))
    assert "did not tell" in caplog.text
