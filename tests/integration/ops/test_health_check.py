"""`python -m app health` beside a real gunicorn, as a container's health check runs it."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.servers.gunicorn import ROOT, Gunicorn, gunicorn
from tests.servers.redis import RedisServer


def check(server: Gunicorn, *options: str) -> tuple[int, str]:
    """The exit status, and what was said."""
    result = subprocess.run(
        [sys.executable, "-m", "app", "health", *options],
        env={"METRICS_BIND": urlsplit(server.metrics_url).netloc},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return result.returncode, result.stdout + result.stderr


@pytest.mark.parametrize("bind", ["127.0.0.1:0", "unix:{folder}/s"])
def test_readiness_and_liveness_on_a_port_and_on_a_unix_socket(tmp_path: Path, bind: str) -> None:
    redis = RedisServer(tmp_path)
    redis.start()
    environment = {
        "SERVER_BIND": bind.format(folder=tmp_path),
        "SESSION_BACKEND": "redis",
        "REDIS_URL": redis.url,
    }
    try:
        with gunicorn(tmp_path / "app", environment=environment) as server:
            assert check(server) == (0, "")
            redis.stop()
            assert check(server) == (1, "The server is not ready: the session store does not answer.\n")
            assert check(server, "--live") == (0, "")
    finally:
        redis.stop()


def test_workers_that_hang_are_not_well_and_the_reason_comes_before_the_check_gives_up(tmp_path: Path) -> None:
    with gunicorn(tmp_path) as server:
        (worker,) = server.workers
        os.kill(worker, signal.SIGSTOP)
        try:
            assert check(server) == (1, "The server is not ready: no worker answers: timed out.\n")
        finally:
            os.kill(worker, signal.SIGCONT)
        server.stop()
        status, said = check(server)
        assert (status, said.rpartition(": ")[2]) == (1, "Connection refused.\n")
