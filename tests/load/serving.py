"""A worker of one way, pinned to its core: started, asked, measured, stopped."""

import http.client
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.servers.ports import free_ports

from .processes import children
from .users import USERS, User
from .ways import ORIGIN_HOST, Way

ROOT = Path(__file__).parents[2]
WORKER_CORE = 0
LOAD_CORE = 1
# The app refuses other hosts than its own.
HEADERS = {"Host": f"{ORIGIN_HOST}:8443"}
_START_SECONDS = 60
_STOP_SECONDS = 30
_POLL_SECONDS = 0.002


@dataclass
class Serving:
    """A running worker of one way."""

    way: Way
    port: int
    master: int
    start_seconds: float
    """From exec to the first 200."""
    log: Path

    @property
    def worker(self) -> int:
        """The process that answers."""
        (pid,) = children(self.master)
        return pid

    def sign_in(self, user: User) -> str:
        """Sign in as *user*; returns the `Cookie` header of the new session."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request("GET", f"/sign-in/{user.key}", headers=HEADERS)
        response = connection.getresponse()
        body = response.read().decode()
        connection.close()
        if response.status != 200:
            raise RuntimeError(f"{self.way.key} did not sign {user.name} in: {response.status} {body[:500]}")
        pairs = [value.partition(";")[0] for name, value in response.getheaders() if name.lower() == "set-cookie"]
        return "; ".join(pairs)

    def check(self, cookies: dict[str, str], times: int = 25) -> None:
        """Ask for every user's page on a connection each, all before the first answer is read, *times* over.

        :raises AssertionError: an answer is not the page of the user who asked.
        """
        connections = {key: http.client.HTTPConnection("127.0.0.1", self.port, timeout=30) for key in cookies}
        for _ in range(times):
            for key, connection in connections.items():
                connection.request("GET", self.way.path, headers={**HEADERS, "Cookie": cookies[key]})
            for key, connection in connections.items():
                response = connection.getresponse()
                body = response.read().decode()
                assert (response.status, body) == (200, USERS[key].page), (
                    f"{self.way.key} answered {USERS[key].name} with {response.status}: {body[:500]}"
                )
        for connection in connections.values():
            connection.close()


@contextmanager
def serving(way: Way, redis_url: str, folder: Path) -> Iterator[Serving]:
    """Run *way*, its log in *folder*, until the block ends."""
    (port,) = free_ports(1)
    address = f"127.0.0.1:{port}"
    # Bytecode is written as in an installed app: a start that compiles everything is nobody's.
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    log = folder / f"{way.key}.log"
    with log.open("wb") as output:
        begin = time.perf_counter()
        process = subprocess.Popen(
            ["taskset", "-c", str(WORKER_CORE), *way.command(address)],
            env=inherited | way.environment(address, redis_url),
            stdout=output,
            stderr=output,
            cwd=ROOT,
        )
    try:
        _wait(process, port, log)
        yield Serving(way, port, process.pid, time.perf_counter() - begin, log)
    finally:
        _stop(process)


def _wait(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not _answers(port):
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"The worker did not start:\n{log.read_text()[-4000:]}")
        time.sleep(_POLL_SECONDS)


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", "/", headers=HEADERS)
        return connection.getresponse().status == 200
    except (ConnectionError, TimeoutError):
        # Not yet; where other things run, a worker that starts can keep its first visitor waiting for long.
        return False
    finally:
        connection.close()


def _stop(process: "subprocess.Popen[bytes]") -> None:
    workers = children(process.pid)
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        for pid in workers:
            os.kill(pid, signal.SIGKILL)
        raise
