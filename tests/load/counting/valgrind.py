"""Runs the process under callgrind and reads what it has counted."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.load.ways import WAYS
from tests.servers.redis import redis_server

from .parts import LEFT_OUT
from .process import AT_A_TIME

_ROOT = Path(__file__).parents[3]
_MODULES = {"redis": "app.server.main", "cookie": "app.server.main", "floor": "tests.load.ways.floor"}
ROUNDS = 40
# Before those that are counted, a quarter as many that are not.
_WARM_UP_SHARE = 4


@dataclass(frozen=True)
class Counts:
    """Instructions a request."""

    all: int
    floor: int
    parts: dict[str, int]
    """What the page takes less without each."""

    @property
    def rest(self) -> int:
        """What is neither the floor nor any of the parts: the session and who is signed in."""
        return self.all - self.floor - sum(self.parts.values())


def measure(folder: Path, say: Callable[[str], None], rounds: int = ROUNDS, parts: Sequence[str] = ()) -> Counts:
    """Count the page, the floor, and the page without each of the parts."""
    with redis_server(folder) as redis:

        def instructions(way: str, *left_out: str) -> int:
            found = count(way, left_out, redis.url, folder, rounds)
            say(f"{' without '.join([way, *left_out]):30} {found:,} instructions a request")
            return found

        total, floor = instructions("redis"), instructions("floor")
        return Counts(total, floor, {part: total - instructions("redis", part) for part in parts or LEFT_OUT})


def count(way: str, left_out: Sequence[str], redis_url: str, folder: Path, rounds: int = ROUNDS) -> int:
    """Instructions that a signed-in page takes.

    :raises RuntimeError: valgrind is not there, or the process failed.
    """
    valgrind = shutil.which("valgrind")
    if valgrind is None:
        raise RuntimeError("valgrind is missing: on Debian and Ubuntu, `apt-get install valgrind`.")
    [served] = [one for one in WAYS if one.key == way]
    command = [
        valgrind,
        "--tool=callgrind",
        "--instr-atstart=no",
        f"--callgrind-out-file={folder}/callgrind.out",
        f"--vgdb-prefix={folder}/vgdb",
        sys.executable,
        *("-m", "tests.load.counting.process", _MODULES[way], *left_out),
    ]
    log = folder / "counted.log"
    # The order of sets and dictionaries of text is in the count.
    environment = {**os.environ, **served.environment("127.0.0.1:0", redis_url), "PYTHONHASHSEED": "0"}
    # As under gunicorn: a worker's metrics are in files.
    environment["PROMETHEUS_MULTIPROC_DIR"] = tempfile.mkdtemp(prefix="metrics-", dir=folder)
    with (
        log.open("wb") as errors,
        subprocess.Popen(
            command,
            cwd=_ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        ) as process,
    ):
        try:
            _expect(process, "ready", log)
            _tell(process, folder, "instrumentation on")
            _go(process, -(-rounds // _WARM_UP_SHARE), log)
            _tell(process, folder, "zero")
            _go(process, rounds, log)
            _tell(process, folder, "dump")
        finally:
            process.terminate()
    [dump] = folder.glob("callgrind.out.[0-9]*")
    [total] = re.findall(r"^(?:summary|totals): (\d+)$", dump.read_text(), re.MULTILINE)[:1]
    dump.unlink()
    return round(int(total) / rounds / AT_A_TIME)


def _go(process: "subprocess.Popen[str]", rounds: int, log: Path) -> None:
    assert process.stdin is not None
    process.stdin.write(f"{rounds}\n")
    process.stdin.flush()
    _expect(process, "done", log)


def _expect(process: "subprocess.Popen[str]", word: str, log: Path) -> None:
    assert process.stdout is not None
    if process.stdout.readline().strip() != word:
        raise RuntimeError(f"The process that is counted has failed:\n{log.read_text()[-4000:]}")


def _tell(process: "subprocess.Popen[str]", folder: Path, command: str) -> None:
    program = shutil.which("vgdb")
    if program is None:
        raise RuntimeError("vgdb is missing, which belongs to valgrind.")
    subprocess.run(
        [program, f"--vgdb-prefix={folder}/vgdb", f"--pid={process.pid}", *command.split()],
        check=True,
        capture_output=True,
    )
