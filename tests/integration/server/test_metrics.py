"""The metrics of several workers, from a port of the master's."""

import os
import signal
import socket
import stat
import threading
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from tests.integration.server import raw
from tests.integration.server.conftest import Launcher


def count(server_url: str) -> float:
    lines = httpx.get(server_url).text.splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith("http_requests_seen_total"))


COUNTING = {"COUNT_REQUESTS": "1"}


def test_all_workers_are_counted_and_none_is_forgotten_when_it_ends(serve: Launcher) -> None:
    server = serve(SERVER_WORKERS="2", **COUNTING)
    seen: set[int] = set()
    asked = 0
    while seen != set(server.workers):
        seen.add(httpx.get(server.url + "/stats", verify=False).json()["pid"])
        asked += 1
    assert count(server.metrics_url) == asked
    os.kill(server.workers[0], signal.SIGTERM)
    server.wait_for("Application startup complete", times=3)
    assert count(server.metrics_url) == asked


def test_workers_can_be_forked_while_metrics_are_read(serve: Launcher) -> None:
    server = serve(SERVER_WORKERS="2", **COUNTING)
    stop = threading.Event()
    failed: list[str] = []

    def scrape() -> None:
        while not stop.is_set():
            try:
                if httpx.get(server.metrics_url, timeout=30).status_code != 200:
                    failed.append("not 200")
            except httpx.HTTPError as error:
                failed.append(repr(error))

    thread = threading.Thread(target=scrape)
    thread.start()
    try:
        for number in range(5):
            os.kill(server.workers[0], signal.SIGKILL)
            server.wait_for("Application startup complete", times=3 + number)
            seen: set[int] = set()
            while len(seen) < 2:
                seen.add(httpx.get(server.url + "/stats", timeout=30, verify=False).json()["pid"])
    finally:
        stop.set()
        thread.join()
    assert failed == []


def test_a_damaged_file_of_a_worker_that_has_ended_does_not_stop_the_server(serve: Launcher, tmp_path: Path) -> None:
    folder = tmp_path / "damaged"
    server = serve(PROMETHEUS_MULTIPROC_DIR=str(folder), **COUNTING)
    httpx.get(server.url + "/")
    [worker] = server.workers
    (folder / f"summary_{worker}.db").write_bytes(b"\0\0")
    os.kill(worker, signal.SIGKILL)
    server.wait_for(f"counted in summary_{worker}.db is lost")
    server.wait_for("Application startup complete", times=2)
    httpx.get(server.url + "/")
    assert count(server.metrics_url) == 2


def test_a_damaged_file_of_a_worker_that_runs_costs_no_scrape(serve: Launcher, tmp_path: Path) -> None:
    folder = tmp_path / "damaged"
    server = serve(PROMETHEUS_MULTIPROC_DIR=str(folder), **COUNTING)
    httpx.get(server.url + "/")
    (folder / "gauge_livesum_1.db").write_bytes(b"\0\0")
    assert count(server.metrics_url) == 1
    assert "server_metric_files_unreadable 1.0" in httpx.get(server.metrics_url).text
    server.wait_for("counts in gauge_livesum_1.db is left out")


def test_a_query_is_no_error(serve: Launcher) -> None:
    server = serve(**COUNTING)
    httpx.get(server.url + "/")
    assert count(server.metrics_url + "?name[]=no_such_metric") == 1


def test_the_port_is_free_as_soon_as_the_master_is_gone(serve: Launcher) -> None:
    server = serve(SERVER_GRACE_SECONDS="1")
    port = int(server.metrics_url.removesuffix("/metrics").rpartition(":")[2])
    worker = server.workers[0]
    server.signal(signal.SIGKILL)
    server.wait()
    with socket.socket() as free:
        free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        free.bind(("127.0.0.1", port))
    assert Path(f"/proc/{worker}").exists()


def test_the_folder_is_private_emptied_and_gone_afterwards(serve: Launcher, tmp_path: Path) -> None:
    server = serve(PROMETHEUS_MULTIPROC_DIR="", **COUNTING)
    environment = Path(f"/proc/{server.workers[0]}/maps").read_text()
    folder = Path(next(line.split()[-1] for line in environment.splitlines() if line.endswith(".db"))).parent
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    server.stop()
    assert not folder.exists()


def test_a_folder_that_was_given_is_emptied_and_kept(serve: Launcher, tmp_path: Path) -> None:
    folder = tmp_path / "given"
    folder.mkdir(mode=0o755)
    (folder / "counter_1.db").write_bytes(b"of a killed run")
    server = serve(PROMETHEUS_MULTIPROC_DIR=str(folder), **COUNTING)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    httpx.get(server.url + "/")
    assert count(server.metrics_url) == 1
    server.stop()
    assert list(folder.iterdir()) == []


def test_a_reload_does_not_empty_what_workers_write_to(serve: Launcher) -> None:
    server = serve(**COUNTING)
    httpx.get(server.url + "/")
    server.signal(signal.SIGHUP)
    server.wait_for("Worker exiting")
    raw.wait_for(lambda: len(server.workers) == 1)
    assert count(server.metrics_url) == 1


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]"])
def test_both_families_of_addresses_can_be_bound(serve: Launcher, host: str) -> None:
    server = serve(METRICS_BIND=f"{host}:0")
    assert httpx.get(server.metrics_url).status_code == 200


def test_every_address_of_both_families_can_be_bound_at_once(serve: Launcher) -> None:
    """As the chart says it: a pod has addresses of one of them, or of both."""
    port = urlsplit(serve(METRICS_BIND="[::]:0").metrics_url).port
    for host in ("127.0.0.1", "[::1]"):
        assert httpx.get(f"http://{host}:{port}/metrics").status_code == 200
