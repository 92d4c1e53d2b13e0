"""The same app without gunicorn: `flask run`."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import httpx
import pytest

from tests.integration.server.conftest import HERE
from tests.servers.gunicorn import ROOT


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where `flask run` serves `an_app`."""
    log_file = tmp_path_factory.mktemp("flask") / "log"
    with log_file.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "flask", "--app", "an_app:flask", "run", "--port", "0"],
            env={"PATH": os.environ["PATH"], "PYTHONPATH": f"{ROOT}{os.pathsep}{HERE}"},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        deadline = time.monotonic() + 30
        while not (match := re.search(r"Running on (http://\S+)", log_file.read_text())):
            assert process.poll() is None, log_file.read_text()
            assert time.monotonic() < deadline, log_file.read_text()
            time.sleep(0.02)
        yield match[1]
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(20)


def test_async_and_plain_views_work(url: str) -> None:
    assert httpx.get(url + "/").text == "hello"
    assert httpx.get(url + "/block/0.01").text == "blocked"
    assert httpx.get(url + "/sleep/0.01").text == "slept"


def test_sessions_and_streams_work(url: str) -> None:
    with httpx.Client(base_url=url) as client:
        client.get("/login/jane")
        for kind in ("async", "plain", "stream"):
            assert client.get(f"/who/{kind}").text == "jane jane jane"


def test_bodies_are_read_up_to_the_limit(url: str) -> None:
    assert httpx.post(url + "/upload", content=b"x" * 100_000).json() == {"bytes": 100_000}
    assert httpx.post(url + "/upload", content=b"x" * (1024 * 1024 + 1)).status_code == 413


def test_many_requests_share_one_loop(url: str) -> None:
    answers = [httpx.get(url + "/loop").text for _ in range(3)]
    assert len(set(answers)) == 1
