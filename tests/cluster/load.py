"""Requests all the time from a pod, and what came of them: `with load(cluster) as running: ...`."""

import json
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from scripts.cluster.node import KUBECTL
from tests.cluster.cluster import Cluster, wait_until

# Of each rollout, rotation and death.
REQUESTS = 5000
PATIENCE_SECONDS = 300


class Load:
    """The latest report of the people in the pod."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        self._state: dict[str, Any] = {"answered": 0, "logins": 0, "returned": 0, "failures": {}, "ended": False}
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            self._state = json.loads(line)

    @property
    def answered(self) -> int:
        """Requests that were answered as they should be."""
        return int(self._state["answered"])

    @property
    def logins(self) -> int:
        """People who have signed in, seen their page and signed out meanwhile."""
        return int(self._state["logins"])

    @property
    def returned(self) -> int:
        """Answers to people who came from a port whose connection a pod had reset 9 s before."""
        return int(self._state["returned"])

    @property
    def failures(self) -> dict[str, int]:
        """How often each other outcome came."""
        return dict(self._state["failures"])

    def wait_for(self, more: int) -> None:
        """Wait until that many more have been answered as they should be."""
        enough = self.answered + more
        wait_until(
            lambda: self.answered >= enough or self.ended,
            f"{more} more answers after {self.failures}",
            PATIENCE_SECONDS,
        )
        assert not self.ended, self._process.stderr and self._process.stderr.read()

    @property
    def ended(self) -> bool:
        """Whether there is nobody any more."""
        return self._process.poll() is not None

    def stop(self) -> None:
        """Let them finish what they have begun."""
        assert self._process.stdin
        self._process.stdin.close()
        try:
            self._process.wait(60)
        finally:
            self._process.kill()
            self._thread.join()


@contextmanager
def load(cluster: Cluster, namespace: str, origin: str, issuer: str, *, requests: int = REQUESTS) -> Iterator[Load]:
    """Load for as long as the block lasts, and until that many *requests* were answered."""
    command = ["--namespace", namespace, "exec", "--stdin", "visitors", "--"]
    program = ["python", "/people/visitors.py", origin, issuer, "/people/ca.pem"]
    with subprocess.Popen(
        [KUBECTL, *command, *program],
        env=cluster.environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        running = Load(process)
        try:
            running.wait_for(100)
            yield running
            if running.answered < requests:
                running.wait_for(requests - running.answered)
        finally:
            running.stop()
    assert running._state["ended"], "the people in the pod did not come to an end"
    print(
        f"{running.answered} answered, {running.logins} signed in, {running.returned} returned,"
        f" failures: {running.failures}"
    )
