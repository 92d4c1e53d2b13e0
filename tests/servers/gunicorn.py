"""The real gunicorn: `with gunicorn(folder) as server: httpx.get(server.url)`."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
CONFIGURATION = ROOT / "app" / "server" / "gunicorn.conf.py"
START_SECONDS = 60
STOP_SECONDS = 60
# Settings that are valid and lead nowhere, for apps that need none; with ports that the system chooses.
ENVIRONMENT = {
    "APP_ENV": "test",
    "AUTH0_DOMAIN": "localhost:9443",
    "AUTH0_CLIENT_ID": "client",
    "AUTH0_CLIENT_SECRET": "the-secret-of-a-client-in-tests",
    "AUTH0_SECRET": "one-of-its-own-for-tests-0123456789-abcdef",
    "AUTH0_REDIRECT_URI": "https://localhost:8443/callback",
    "SESSION_BACKEND": "cookie",
    "SERVER_BIND": "127.0.0.1:0",
    "SERVER_WORKERS": "1",
    "METRICS_BIND": "127.0.0.1:0",
}
_LISTENING = r"Listening at: (https?://[^\s,\"]+|unix:[^\s,\"]+)"
_METRICS = r"Metrics at: (http://[^\s\"]+)"
_STARTED = r"Application startup complete"


@dataclass
class Gunicorn:
    """A running gunicorn. `url` is where it listens: `http://…`, `https://…` or `unix:/path`."""

    process: "subprocess.Popen[bytes]"
    log_file: Path
    url: str = ""
    metrics_url: str = ""

    @property
    def log(self) -> str:
        """All that it has written so far."""
        return self.log_file.read_text()

    @property
    def port(self) -> int:
        """The port of `url`."""
        return int(self.url.rpartition(":")[2])

    @property
    def workers(self) -> list[int]:
        """The process ids of the workers."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [int(pid) for pid in children.split()]

    def wait_for(
        self, pattern: "str | re.Pattern[str]", seconds: float = START_SECONDS, times: int = 1
    ) -> "re.Match[str]":
        """Wait until `pattern` is in the log, `times` times; returns the last match."""
        deadline = time.monotonic() + seconds
        while True:
            found = list(re.finditer(pattern, self.log))
            if len(found) >= times:
                return found[times - 1]
            ended = self.process.poll()
            if ended is not None or time.monotonic() > deadline:
                state = "is running" if ended is None else f"has ended with {ended}"
                raise AssertionError(f"gunicorn {state} and has not logged {pattern!r}:\n{self.log}")
            time.sleep(0.02)

    def wait_until_ready(self, workers: int) -> None:
        """Wait until `workers` workers answer, and learn where."""
        self.wait_for(_STARTED, times=workers)
        self.url = self.wait_for(_LISTENING)[1]
        self.metrics_url = self.wait_for(_METRICS)[1]

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the master."""
        self.process.send_signal(number)

    def wait(self, seconds: float = STOP_SECONDS) -> int:
        """Wait for its end; returns its exit status."""
        return self.process.wait(seconds)

    def stop(self) -> int:
        """Stop it as an orchestrator does; returns its exit status."""
        if self.process.poll() is None:
            self.signal(signal.SIGTERM)
        return self.wait()

    def kill(self) -> None:
        """End the master and whatever is left of its workers, whose process group is its own."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(STOP_SECONDS)


def launch(
    folder: Path,
    app: str = "app.server.main:app",
    environment: Mapping[str, str] | None = None,
    *,
    python_path: Sequence[Path] = (),
    command: Sequence[str] = (),
) -> Gunicorn:
    """Start gunicorn with the project's configuration and return at once; its log and files go to `folder`.

    :param app: `module:attribute` of the ASGI application.
    :param environment: settings on top of `ENVIRONMENT`; of the machine's only a few variables are passed on.
    :param python_path: folders to import from besides the checkout.
    :param command: what to start it with, such as `taskset -c 0`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    log_file = folder / "gunicorn.log"
    passed_on = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "LD_LIBRARY_PATH") if name in os.environ}
    paths = os.pathsep.join(str(path) for path in (ROOT, *python_path))
    variables = {**passed_on, "PYTHONPATH": paths, "TMPDIR": str(folder), **ENVIRONMENT}
    # Not its default, in memory: that would stay there when a test kills the server.
    variables |= {"PROMETHEUS_MULTIPROC_DIR": str(folder / "metrics"), **(environment or {})}
    with log_file.open("wb") as log:
        process = subprocess.Popen(
            [*command, sys.executable, "-m", "gunicorn", "-c", str(CONFIGURATION), app],
            cwd=folder,
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            # A group of its own, to leave nobody behind if it has to be killed.
            start_new_session=True,
        )
    return Gunicorn(process, log_file)


@contextmanager
def gunicorn(
    folder: Path,
    app: str = "app.server.main:app",
    environment: Mapping[str, str] | None = None,
    *,
    python_path: Sequence[Path] = (),
    command: Sequence[str] = (),
) -> Iterator[Gunicorn]:
    """Run gunicorn, ready to answer, and end it (see `launch` for the parameters)."""
    server = launch(folder, app, environment, python_path=python_path, command=command)
    try:
        server.wait_until_ready(int({**ENVIRONMENT, **(environment or {})}["SERVER_WORKERS"]))
        yield server
        server.stop()
    finally:
        server.kill()
