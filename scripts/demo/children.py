"""The demo's processes: started with a log each, watched, and ended with everything that they started."""

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts.processes import die_with

from .options import DemoError

START_SECONDS = 60
GRACE_SECONDS = 8
LOG_LINES = 15


@dataclass
class Child:
    """A process of the demo; the leader of its own group."""

    name: str
    process: "subprocess.Popen[bytes]"
    log: Path

    def last_words(self) -> str:
        """The end of its log, for a person whose demo does not run."""
        lines = self.log.read_text(errors="replace").splitlines()[-LOG_LINES:]
        return "\n".join([f"Its log, {self.log}, ends with:", *lines])


class Stopped(Exception):
    """A signal asked the demo to end before it was ready."""


class Children:
    """All of them. `stop` is called whatever happens; `stopping` is set by a signal."""

    def __init__(self, folder: Path, stopping: threading.Event) -> None:
        self._folder = folder
        self._stopping = stopping
        self._children: list[Child] = []

    def start(
        self, name: str, log: str, command: Sequence[str | Path], environment: Mapping[str, str], cwd: Path
    ) -> Child:
        """Start a process whose output goes to *log*. It ends when the demo does, however that ends (on Linux)."""
        path = self._folder / log
        parent = os.getpid()
        with path.open("wb") as output:
            process = subprocess.Popen(
                command,
                cwd=cwd,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                # Ctrl-C is for the demo, which then stops its children in order.
                start_new_session=True,
                preexec_fn=lambda: die_with(parent),  # noqa: PLW1509 - no thread has been started yet
            )
        child = Child(name, process, path)
        self._children.append(child)
        return child

    def wait_until(self, ready: Callable[[], bool], child: Child) -> None:
        """Return when *ready* is true of *child*. Raises Stopped on a signal, DemoError when it hangs or one ends."""
        deadline = time.monotonic() + START_SECONDS
        while not ready():
            self.check()
            if time.monotonic() > deadline:
                raise DemoError(f"{child.name} is not ready after {START_SECONDS} s. {child.last_words()}")
            if self._stopping.wait(0.03):
                raise Stopped

    def watch(self) -> None:
        """Return on a signal. Raises DemoError when a process ends by itself."""
        while not self._stopping.wait(0.2):
            self.check()

    def check(self) -> None:
        """Raise DemoError when a process has ended."""
        for child in self._children:
            if child.process.poll() is not None:
                raise DemoError(f"{child.name} has ended with status {child.process.returncode}. {child.last_words()}")

    def stop(self) -> None:
        """End them, the last one first, with all that they started. A second signal does not wait for them."""
        self._stopping.clear()
        for child in reversed(self._children):
            if child.process.poll() is None:
                child.process.terminate()
            deadline = time.monotonic() + GRACE_SECONDS
            while child.process.poll() is None and time.monotonic() < deadline and not self._stopping.wait(0.02):
                pass
            # Also where it has ended: a process of its group may be left.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(child.process.pid, signal.SIGKILL)
            child.process.wait()
        self._children.clear()
