"""What SIGTERM and its relatives do."""

import asyncio
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.integration.server import raw
from tests.integration.server.conftest import Launcher
from tests.servers.gunicorn import Gunicorn

GRACE_SECONDS = 4


@pytest.fixture
def server(serve: Launcher) -> Gunicorn:
    return serve(SERVER_GRACE_SECONDS=str(GRACE_SECONDS))


@contextmanager
def request_on_its_way(server: Gunicorn, target: str, begun: str) -> Iterator[list[Any]]:
    """A request that the server is busy with; its response, or what became of it, is in the list afterwards."""
    outcome: list[Any] = []

    def run() -> None:
        try:
            outcome.append(httpx.get(server.url + target, timeout=60))
        except httpx.HTTPError as error:
            outcome.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    server.wait_for(begun)
    yield outcome
    thread.join()


def stopped_in(server: Gunicorn) -> float:
    """Stop the server; how long it took. It must end well."""
    began = time.monotonic()
    assert server.stop() == 0, server.log
    return time.monotonic() - began


def takes_connections(server: Gunicorn) -> bool:
    try:
        with raw.connection(server):
            return True
    except ConnectionRefusedError:
        return False


@pytest.mark.parametrize(("target", "text"), [("/sleep/1.0", "slept"), ("/block/1.0", "blocked")])
def test_a_running_request_is_answered_before_the_stop(server: Gunicorn, target: str, text: str) -> None:
    with request_on_its_way(server, target, f"{target[1:6]} has begun") as outcome:
        assert stopped_in(server) < GRACE_SECONDS
    assert (outcome[0].status_code, outcome[0].text) == (200, text)
    assert outcome[0].headers["connection"] == "close"
    assert "on_stop has run" in server.log


def test_a_stop_is_nothing_to_complain_about(server: Gunicorn) -> None:
    assert httpx.get(server.url + "/").text == "hello"
    stopped_in(server)
    assert {line.split()[1] for line in server.log.splitlines() if line[2:3] == ":"} == {"info"}
    for complaint in ("SIGTERM", "Traceback", "Warning"):
        assert complaint not in server.log


def test_idle_connections_are_closed(server: Gunicorn) -> None:
    with raw.connection(server) as connected:
        connected.sendall(raw.request("GET", "/"))
        raw.until(connected, b"hello")
        assert stopped_in(server) < GRACE_SECONDS - 1
        assert connected.recv(1) == b""


def test_a_connection_whose_first_request_is_on_its_way_gets_its_answer(server: Gunicorn) -> None:
    request = raw.request("GET", "/")
    with raw.connection(server) as connected:
        connected.sendall(request[:10])
        server.signal(signal.SIGTERM)
        raw.wait_for(lambda: not takes_connections(server))
        connected.sendall(request[10:])
        raw.until(connected, b"hello")
    assert server.wait() == 0


def test_a_connection_that_says_nothing_does_not_hold_up_the_stop(server: Gunicorn) -> None:
    with raw.connection(server) as connected:
        assert stopped_in(server) < GRACE_SECONDS - 1
        assert connected.recv(1) == b""


def test_a_hung_async_view_does_not_hang_the_stop(server: Gunicorn) -> None:
    with request_on_its_way(server, "/sleep/1000.0", "sleep has begun") as outcome:
        stopped_in(server)
    assert outcome[0].status_code == 503
    assert "on_stop has run" in server.log
    # Where it hung.
    assert "await asyncio.sleep(seconds)" in server.log
    assert "SIGKILL" not in server.log


@pytest.mark.parametrize("what", ["block/1000.0", "stubborn", "executor"])
def test_neither_a_hung_thread_nor_a_view_that_will_not_be_cancelled_does(server: Gunicorn, what: str) -> None:
    with request_on_its_way(server, f"/{what}", f"{what.partition('/')[0]} has begun"):
        stopped_in(server)
    assert "SIGKILL" not in server.log
    # Python waits at exit for asyncio's own threads, and asyncio for its tasks; a thread of the pool holds up nothing.
    assert ("without waiting any longer" in server.log) == (not what.startswith("block"))


def test_an_endless_stream_does_not_either(server: Gunicorn) -> None:
    with raw.connection(server) as connected:
        connected.sendall(raw.request("GET", "/events"))
        raw.until(connected, b"data:")
        stopped_in(server)
    assert "the events are closed" in server.log
    assert "SIGKILL" not in server.log


def test_readiness_says_no_first_and_requests_are_still_taken(serve: Launcher) -> None:
    server = serve(SERVER_GRACE_SECONDS="12", SERVER_DRAIN_SECONDS="5")
    assert httpx.get(server.url + "/ready").text == "ready"
    began = time.monotonic()
    server.signal(signal.SIGTERM)
    # On connections of their own, as a balancer that has not noticed yet makes them.
    raw.wait_for(lambda: httpx.get(server.url + "/ready").text == "draining")
    assert httpx.get(server.url + "/").text == "hello"
    assert server.wait() == 0
    assert time.monotonic() - began >= 5
    with pytest.raises(httpx.ConnectError):
        httpx.get(server.url + "/")


def test_on_a_unix_socket_only_open_connections_can_drain(serve: Launcher, tmp_path: Path) -> None:
    path = tmp_path / "app.sock"
    server = serve(SERVER_GRACE_SECONDS="12", SERVER_DRAIN_SECONDS="5", SERVER_BIND=f"unix:{path}")
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(path)), base_url="http://localhost") as open_before:
        assert open_before.get("/ready").text == "ready"
        server.signal(signal.SIGTERM)
        # gunicorn's master removes the socket at once: docs/server.md says what follows from it.
        raw.wait_for(lambda: not path.exists())
        raw.wait_for(lambda: open_before.get("/ready").text == "draining")
        with pytest.raises(FileNotFoundError), raw.connection(server):
            pass
    assert server.wait() == 0


@pytest.mark.parametrize("to_whom", ["master", "everybody"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGQUIT])
def test_an_interrupt_is_quick_even_with_a_request_that_hangs(
    serve: Launcher, to_whom: str, number: signal.Signals
) -> None:
    server = serve()
    with request_on_its_way(server, "/sleep/1000.0", "sleep has begun"):
        began = time.monotonic()
        # Ctrl-C goes to the whole group.
        pids = [server.process.pid, *server.workers] if to_whom == "everybody" else [server.process.pid]
        for pid in pids:
            os.kill(pid, number)
        assert server.wait() == 0
        assert time.monotonic() - began < 10
    assert "on_stop has run" in server.log
    assert "SIGKILL" not in server.log


def test_a_worker_that_dies_is_replaced(serve: Launcher) -> None:
    server = serve(SERVER_WORKERS="2")
    first = set(server.workers)
    os.kill(server.workers[0], signal.SIGKILL)
    server.wait_for("Application startup complete", times=3)
    assert len(set(server.workers) - first) == 1
    assert httpx.get(server.url + "/").text == "hello"


def test_workers_are_replaced_on_sighup_without_losing_a_request(serve: Launcher) -> None:
    server = serve(SERVER_WORKERS="2")
    before = server.workers
    failed: list[str] = []
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            try:
                if httpx.get(server.url + "/sleep/0.01", timeout=30, verify=False).text != "slept":
                    failed.append("wrong answer")
            except httpx.HTTPError as error:
                failed.append(repr(error))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    server.signal(signal.SIGHUP)
    server.wait_for("Worker exiting", times=2)
    raw.wait_for(lambda: len(server.workers) == 2 and not set(server.workers) & set(before))
    stop.set()
    for thread in threads:
        thread.join()
    assert failed == []


def test_a_start_that_fails_ends_the_server_with_the_reason(serve: Launcher) -> None:
    server = serve.launch(FAIL_TO_START="1")
    assert server.wait() == 3
    assert "The app did not start: start failed." in server.log
    assert "no database" in server.log
    assert server.log.count("Booting worker") == 1


def test_bad_settings_show_once_and_nothing_starts(serve: Launcher) -> None:
    server = serve.launch(SERVER_THREADS="many", AUTH0_DOMAIN="https://acme.eu.auth0.com")
    assert server.wait() == 1
    assert server.log.count("AUTH0_DOMAIN is a URL") == 1
    assert "SERVER_THREADS is not valid" in server.log
    assert "Traceback" not in server.log
    assert "Starting gunicorn" not in server.log


def test_an_app_that_cannot_be_imported_ends_the_server(serve: Launcher) -> None:
    server = serve.launch(app="no_such_module:app")
    assert server.wait() != 0
    assert "no_such_module" in server.log


def test_a_taken_port_is_named(serve: Launcher) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        server = serve.launch(METRICS_BIND=f"127.0.0.1:{taken.getsockname()[1]}")
        assert server.wait() == 1
        assert f"METRICS_BIND 127.0.0.1:{taken.getsockname()[1]} cannot be listened on" in server.log
        assert "Listening at" not in server.log
        assert "Traceback" not in server.log


def test_requests_in_flight_finish_while_others_are_refused_a_connection(server: Gunicorn) -> None:
    async def scenario() -> httpx.Response:
        async with httpx.AsyncClient(base_url=server.url, timeout=30) as client:
            running = asyncio.create_task(client.get("/sleep/1.5"))
            await asyncio.to_thread(server.wait_for, "sleep has begun")
            server.signal(signal.SIGTERM)
            await asyncio.to_thread(server.wait_for, "Shutting down")
            async with httpx.AsyncClient(base_url=server.url) as other:
                with pytest.raises(httpx.ConnectError):
                    await other.get("/")
            return await running

    assert asyncio.run(scenario()).text == "slept"
    assert server.wait() == 0
