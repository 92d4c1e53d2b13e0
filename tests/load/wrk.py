"""wrk, the load: sixteen connections that are kept open, on a core of its own."""

import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

CONNECTIONS = 16
_SUMMARY = Path(__file__).with_name("summary.lua")


@dataclass(frozen=True)
class Load:
    """What wrk saw, and what it cost itself."""

    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float
    errors: int
    """Connections that failed, answers that did not come or were no 200."""
    cpu_seconds: float


def wrk(url: str, headers: dict[str, str], seconds: int, core: int, launcher: Sequence[str] = ()) -> Load:
    """Ask for *url* for some seconds; *launcher* is what starts wrk, if it needs something.

    :raises RuntimeError: wrk is not there, or did not end well.
    """
    program = shutil.which("wrk")
    if program is None:
        raise RuntimeError("wrk is missing: on Debian and Ubuntu, `apt-get install wrk`.")
    options = [f"--header={name}: {value}" for name, value in headers.items()]
    options += ["--threads=1", f"--connections={CONNECTIONS}", f"--duration={seconds}s", "--timeout=30s"]
    command = [*launcher, "taskset", "-c", str(core), program, *options, f"--script={_SUMMARY}", url]
    before = os.times()
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    after = os.times()
    if ended.returncode:
        raise RuntimeError(f"wrk failed: {ended.stderr or ended.stdout}")
    summary = json.loads(ended.stdout.splitlines()[-1])
    if not summary["requests"]:
        raise RuntimeError(f"Not one request was answered within {seconds} s: the machine is too busy to measure on.")
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return Load(
        summary["requests"],
        summary["duration"] / 1e6,
        summary["p50"] / 1e3,
        summary["p99"] / 1e3,
        summary["errors"],
        cpu,
    )
