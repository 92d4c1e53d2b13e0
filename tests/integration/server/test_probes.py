"""Health over TCP, of a server that listens on a unix socket."""

import json
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.integration.server import raw
from tests.integration.server.conftest import Launcher
from tests.servers import gunicorn as servers
from tests.servers.certificates import authority
from tests.servers.gunicorn import Gunicorn
from tests.servers.redis import RedisServer

ALL = ("live", "ready")


def probe(server: Gunicorn, path: str) -> tuple[int, str]:
    """The status, and the word that comes with it."""
    response = httpx.get(server.metrics_url.removesuffix("/metrics") + path, timeout=30)
    assert response.headers["content-type"] == "application/json"
    return response.status_code, json.loads(response.text)["status"]


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory, redis: RedisServer) -> Iterator[Gunicorn]:
    """The app itself, as in a pod: on a unix socket, with Redis."""
    folder = tmp_path_factory.mktemp("app")
    environment = {"SERVER_BIND": f"unix:{folder / 's'}", "SESSION_BACKEND": "redis", "REDIS_URL": redis.url}
    with servers.gunicorn(folder, environment=environment) as running:
        yield running


def test_a_probe_over_tcp_hears_what_the_app_says_on_its_unix_socket(app: Gunicorn) -> None:
    assert app.url.startswith("unix:")
    assert probe(app, "/healthz/live") == (200, "live")
    assert probe(app, "/healthz/ready") == (200, "ready")


def test_a_path_that_no_request_can_have_is_unknown(app: Gunicorn) -> None:
    assert probe(app, "/healthz/%C3%A9") == (404, "unknown")
    assert "Traceback" not in app.log


def test_without_redis_the_app_is_not_ready_but_alive(app: Gunicorn, redis: RedisServer) -> None:
    redis.stop()
    try:
        assert probe(app, "/healthz/ready") == (503, "the session store does not answer")
        assert probe(app, "/healthz/live") == (200, "live")
    finally:
        redis.start()
    raw.wait_for(lambda: probe(app, "/healthz/ready") == (200, "ready"))


def test_no_other_path_reaches_the_app_and_metrics_stay_where_they_were(app: Gunicorn) -> None:
    origin = app.metrics_url.removesuffix("/metrics")
    for path in ("/", "/profile", "/metrics", "/healthz"):
        response = httpx.get(origin + path)
        assert response.headers["content-type"].startswith("text/plain; version=")
    assert httpx.get(origin + "/healthz/other").status_code == 404


@pytest.mark.parametrize("bind", ["127.0.0.1:0", "[::1]:0"])
def test_an_app_on_a_port_is_asked_there(serve: Launcher, bind: str) -> None:
    server = serve(SERVER_BIND=bind)
    # This app has no such routes, and says so.
    assert httpx.get(server.metrics_url.replace("/metrics", "/healthz/live")).status_code == 404


def test_an_app_that_serves_tls_itself_is_asked_with_tls(tmp_path: Path) -> None:
    certificate, key = authority(tmp_path).issue()
    environment = {"SERVER_TLS_CERTIFICATE": str(certificate), "SERVER_TLS_KEY": str(key)}
    with servers.gunicorn(tmp_path / "app", environment=environment) as server:
        assert server.url.startswith("https:")
        assert probe(server, "/healthz/live") == (200, "live")


def test_an_overloaded_app_is_left_in_service(serve: Launcher) -> None:
    server = serve(SERVER_CONCURRENCY="1")
    with raw.connection(server) as connected:
        connected.sendall(raw.request("GET", "/sleep/60.0"))
        server.wait_for("sleep has begun")
        assert httpx.get(server.url + "/").status_code == 503
        assert [probe(server, f"/healthz/{name}") for name in ALL] == [(200, "overloaded")] * 2


def test_workers_that_hang_fail_the_probes_in_time(serve: Launcher) -> None:
    server = serve()
    worker = server.workers[0]
    os.kill(worker, signal.SIGSTOP)
    try:
        assert probe(server, "/healthz/live") == (503, "no worker answers: timed out")
    finally:
        os.kill(worker, signal.SIGCONT)
    assert httpx.get(server.url + "/", timeout=30).text == "hello"


def test_a_server_that_stops_is_not_ready_while_it_still_answers(serve: Launcher, tmp_path: Path) -> None:
    path = tmp_path / "s"
    server = serve(SERVER_BIND=f"unix:{path}")
    with socket.socket(socket.AF_UNIX) as busy:
        busy.connect(str(path))
        busy.sendall(raw.request("GET", "/sleep/60.0"))
        server.wait_for("sleep has begun")
        server.signal(signal.SIGTERM)
        raw.wait_for(lambda: not path.exists())
        assert [probe(server, f"/healthz/{name}") for name in ALL] == [(503, "stopping")] * 2
