"""What the server says of its own load: threads, queue, connections, the loop, and whom it turned away."""

import concurrent.futures
import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.integration.browser import until
from tests.servers.gunicorn import Gunicorn, gunicorn
from tests.servers.metrics import Scrape, scrape

HOST = {"Host": "localhost"}
PAGES = """
import asyncio, threading, time
from app.server import on_loop

released = threading.Event()

def init_app(app):
    @app.get("/hold")
    def hold():
        released.wait(20)
        return ""

    @app.get("/release")
    @on_loop
    def release():
        released.set()
        return ""

    @app.get("/thread/<float:seconds>")
    def in_a_thread(seconds):
        time.sleep(seconds)
        return ""

    @app.get("/wait/<float:seconds>")
    async def wait(seconds):
        await asyncio.sleep(seconds)
        return ""

    @app.get("/block/<float:seconds>")
    @on_loop
    def block_the_loop(seconds):
        time.sleep(seconds)
        return ""
"""


@contextlib.contextmanager
def serve(folder: Path, **settings: str) -> Iterator[Gunicorn]:
    """One worker with PAGES."""
    (folder / "busy_pages.py").write_text(PAGES)
    with gunicorn(folder, environment={"APP_PAGES": "busy_pages", **settings}, python_path=[folder]) as running:
        yield running


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Gunicorn]:
    """Two threads, three requests at a time, two seconds for each."""
    with serve(tmp_path, SERVER_THREADS="2", SERVER_CONCURRENCY="3", SERVER_REQUEST_TIMEOUT_SECONDS="2") as running:
        yield running


def get(server: Gunicorn, path: str) -> int:
    """Ask for a page; returns the status."""
    return httpx.get(server.url + path, headers=HOST, timeout=60, verify=False).status_code


def test_busy_threads_and_waiting_calls_are_told_while_they_are(server: Gunicorn) -> None:
    def busy(found: Scrape) -> tuple[float, ...]:
        names = (
            "server_pool_threads",
            "server_pool_threads_busy",
            "server_pool_calls_queued",
            "http_requests_in_flight",
        )
        return tuple(found.value(name) for name in names)

    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        answers = [pool.submit(get, server, "/thread/1.5") for _ in range(3)]
        until(lambda: busy(scrape(server)), lambda found: found == (2, 2, 1, 3))
        assert {answer.result() for answer in answers} <= {200, 504}
    until(lambda: busy(scrape(server)), lambda found: found == (2, 0, 0, 0))


def answered(server: Gunicorn, status: int) -> float:
    """How many answers with a status the app has given, by the metric of its routes."""
    series = scrape(server).series.items()
    return sum(
        value
        for (name, labels), value in series
        if name == "http_request_duration_seconds_count" and ("status", str(status)) in labels
    )


def test_a_request_too_many_and_one_that_takes_too_long_are_counted(server: Gunicorn) -> None:
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        answers = [pool.submit(get, server, "/wait/30.0") for _ in range(3)]
        until(lambda: scrape(server).value("http_requests_in_flight"), lambda count: count == 3)
        assert get(server, "/wait/0.0") == 503
        assert {answer.result() for answer in answers} == {504}
    until(lambda: scrape(server).value("server_requests_timed_out_total"), lambda count: count == 3)
    assert scrape(server).value("server_requests_refused_total", at="door") == 1
    assert scrape(server).value("server_requests_refused_total", at="pool") == 0
    # The objectives add what the app has not answered to what it has: a 504 is its answer, a 503 at the door is not.
    assert (answered(server, 504), answered(server, 503)) == (3, 0)


def test_a_request_that_gets_no_thread_is_counted_with_its_route(tmp_path: Path) -> None:
    with serve(tmp_path, SERVER_THREADS="1") as server, concurrent.futures.ThreadPoolExecutor(5) as pool:
        waiting = [pool.submit(get, server, "/hold") for _ in range(5)]
        until(lambda: scrape(server).value("server_pool_calls_queued"), lambda count: count == 4)
        assert get(server, "/hold") == 503
        assert get(server, "/release") == 200
        assert {answer.result() for answer in waiting} == {200}
        until(lambda: scrape(server).value("server_requests_refused_total", at="pool"), lambda count: count == 1)
        assert scrape(server).value("server_requests_refused_total", at="door") == 0
        assert answered(server, 503) == 1


def test_a_loop_that_is_blocked_is_late(server: Gunicorn) -> None:
    def late(found: Scrape) -> float:
        everything = found.value("server_event_loop_lag_seconds_count")
        return everything - found.value("server_event_loop_lag_seconds_bucket", le="0.5")

    before = late(scrape(server))
    get(server, "/block/1.0")
    until(lambda: late(scrape(server)), lambda count: count > before)


def test_connections_are_counted_idle_or_not(server: Gunicorn) -> None:
    before = scrape(server).value("server_connections_open")
    connections = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(5)]
    until(lambda: scrape(server).value("server_connections_open"), lambda count: count == before + 5)
    for connection in connections:
        connection.close()
    until(lambda: scrape(server).value("server_connections_open"), lambda count: count == before)


def test_what_was_counted_last_is_told_before_a_worker_ends(server: Gunicorn) -> None:
    """Numbers of the server are taken over ten times a second, and once more at the end."""
    waiting = threading.Thread(target=get, args=(server, "/wait/1.9"))
    waiting.start()
    until(lambda: scrape(server).value("http_requests_in_flight"), lambda count: count == 1)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(lambda _: get(server, "/wait/0.2"), range(16)))
    import os
    import signal

    os.kill(server.workers[0], signal.SIGTERM)
    waiting.join()
    server.wait_for("Application startup complete", times=2)
    until(lambda: scrape(server).value("server_worker_ends_total", reason="asked"), lambda count: count == 1)
    assert scrape(server).value("server_requests_refused_total", at="door") == statuses.count(503) > 0
