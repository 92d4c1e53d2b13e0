"""A program as a server: `with running(command, log, is_ready): ...`."""

import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx

START_SECONDS = 60
STOP_SECONDS = 30


@contextmanager
def running(
    command: Sequence[str | Path], log: Path, is_ready: Callable[[], bool]
) -> Iterator["subprocess.Popen[bytes]"]:
    """Run *command* in the folder of *log*, where what it says goes, from when it *is_ready*; ends it after the block.

    Raises RuntimeError with its words when it does not start.
    """
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=log.parent, stdout=output, stderr=subprocess.STDOUT)
    try:
        deadline = time.monotonic() + START_SECONDS
        while not is_ready():
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{Path(command[0]).name} did not start:\n{log.read_text()}")
            time.sleep(0.02)
        yield process
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def says_so(http: httpx.Client) -> bool:
    """Whether a server at the start of *http* says that it is ready, as Prometheus and its kin do."""
    try:
        return http.get("/-/ready").is_success
    except httpx.TransportError:
        return False
