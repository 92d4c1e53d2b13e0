"""Workers come and go, and what all of them count together stays right."""

import itertools
import os
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.integration.browser import until
from tests.load.processes import cpu_seconds
from tests.servers.gunicorn import Gunicorn, gunicorn
from tests.servers.metrics import Scrape, scrape

HOST = {"Host": "localhost"}
HOME = {"method": "GET", "url_rule": "/", "status": "200"}
REQUESTS = "http_request_duration_seconds_count"


@contextmanager
def load(server: Gunicorn) -> Iterator[list[int]]:
    """People who visit the start page as long as the block runs; a list of one status for each answer they got."""
    over = threading.Event()
    answered: list[int] = []

    def visit() -> None:
        # A connection for each request, so that any worker may take it.
        client = httpx.Client(headers=HOST, limits=httpx.Limits(max_keepalive_connections=0), timeout=30)
        with client:
            while not over.is_set():
                try:
                    answered.append(client.get(server.url).status_code)
                except httpx.TransportError:
                    # Its worker was killed.
                    continue

    people = [threading.Thread(target=visit) for _ in range(4)]
    for person in people:
        person.start()
    try:
        yield answered
    finally:
        over.set()
        for person in people:
            person.join()


@contextmanager
def scraped_all_the_time(server: Gunicorn) -> Iterator[list[Scrape]]:
    """Every scrape while the block runs."""
    over = threading.Event()
    found: list[Scrape] = []

    def ask() -> None:
        while not over.is_set():
            found.append(scrape(server))

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield found
    finally:
        over.set()
        thread.join()


def assert_never_back(scrapes: list[Scrape]) -> None:
    """No counter is less, or gone, in a later scrape."""
    for earlier, later in itertools.pairwise(scrapes):
        before, after = earlier.cumulative, later.cumulative
        assert {key: (value, after.get(key)) for key, value in before.items() if after.get(key, -1) < value} == {}


def test_no_count_goes_back_when_workers_are_killed_under_load(tmp_path: Path) -> None:
    kills = 4
    with gunicorn(tmp_path, environment={"SERVER_WORKERS": "2"}) as server:
        with load(server) as answered, scraped_all_the_time(server) as scrapes:
            for number in range(kills):
                seen = len(answered)
                until(lambda: len(answered), lambda count, seen=seen: count > seen + 20)  # type: ignore[misc]
                os.kill(server.workers[0], signal.SIGKILL)
                server.wait_for("Application startup complete", times=3 + number)
        last = scrape(server)
    assert_never_back([*scrapes, last])
    # What was answered has been counted before the answer was sent, so all of it is there.
    assert last.value(REQUESTS, **HOME) >= len(answered)
    assert set(answered) == {200}
    assert last.value("server_worker_ends_total", reason="crashed") == kills
    assert last.value("server_worker_ends_total", reason="asked") == 0
    assert last.value("server_workers") == 2


def test_workers_that_are_recycled_leave_neither_files_nor_gauges(tmp_path: Path) -> None:
    folder = tmp_path / "metrics"
    with gunicorn(tmp_path, environment={"SERVER_WORKERS": "2"}) as server:
        httpx.get(server.url, headers=HOST)
        until(lambda: scrape(server).value("server_pool_threads"), lambda threads: threads == 16)
        files = {file.name.partition("_")[0] for file in folder.glob("*.db")}
        counts, sizes = [], []
        for number in range(6):
            ends = number + 1
            os.kill(server.workers[0], signal.SIGTERM)
            server.wait_for("Application startup complete", times=2 + ends)
            until(lambda: len(server.workers), lambda workers: workers == 2)
            until(lambda: scrape(server).value("server_worker_ends_total", reason="asked"), lambda n, e=ends: n == e)  # type: ignore[misc]
            # Not 16 more for each that has ended.
            until(lambda: scrape(server).value("server_pool_threads"), lambda threads: threads == 16)
            counts.append(len(list(folder.glob("*.db"))))
            sizes.append(sum(file.stat().st_size for file in folder.glob("*.db")))
        last = scrape(server)
    assert files == {"counter", "histogram", "gauge"}
    assert len(set(counts)) == 1, counts
    assert len(set(sizes)) == 1, sizes
    assert last.value(REQUESTS, **HOME) == 1
    assert last.value("server_worker_ends_total", reason="crashed") == 0


def test_a_scrape_of_eight_workers(tmp_path: Path) -> None:
    """How long it takes is printed (`pytest -s`), and bounded only against a hang: a busy machine is slow at times."""
    copies, seconds = 7, []
    with gunicorn(tmp_path) as server:
        for path in ("/", "/profile", "/login", "/callback", "/logout", "/nothing", "/static/style.css"):
            for method in ("GET", "HEAD", "POST"):
                httpx.request(method, server.url + path, headers=HOST, verify=False)
        [worker] = server.workers
        for file in (tmp_path / "metrics").glob(f"*_{worker}.db"):
            for number in range(copies):
                shutil.copy(file, file.with_name(file.name.replace(f"_{worker}.", f"_{10**8 + number}.")))
        found = scrape(server)
        before = cpu_seconds(server.process.pid)
        for _ in range(20):
            began = time.perf_counter()
            httpx.get(server.metrics_url, timeout=60, verify=False)
            seconds.append(time.perf_counter() - began)
        cpu = (cpu_seconds(server.process.pid) - before) / len(seconds)
    print(
        f"a scrape of eight workers, {len(found.series)} series: {cpu * 1000:.0f} ms of CPU, "
        f"{min(seconds) * 1000:.0f} ms at best"
    )
    assert found.value(REQUESTS, **HOME) == copies + 1
    assert min(seconds) < 10


def test_the_master_tells_of_its_workers_whatever_they_do(tmp_path: Path) -> None:
    with gunicorn(tmp_path, environment={"SERVER_WORKERS": "2"}) as server:
        (first, second) = server.workers
        os.kill(first, signal.SIGSTOP)
        os.kill(second, signal.SIGSTOP)
        try:
            found = scrape(server)
        finally:
            os.kill(first, signal.SIGCONT)
            os.kill(second, signal.SIGCONT)
    resident = found.value("server_worker_resident_bytes")
    assert 2**20 < resident < found.value("server_resident_bytes")
    assert found.value("server_workers") == 2
    assert 0 < found.value("server_cpu_seconds_total") < 600
    assert found.value("app_info", session_backend="cookie") == 1
