"""Run every suite and say how many tests ran, in which suites: `python -m scripts.test [pytest arguments]`.

Sets up what the tests need first. With arguments only those tests run; without, the unit suite runs on the newest
CPython too. Reports in JUnit's format go to `.local/reports`. A skipped test is a failure: something was not tested.
A signal ends the suites as Ctrl-C does, with their servers.
"""

import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from xml.etree import ElementTree

from scripts.processes import Processes

ROOT = Path(__file__).resolve().parents[1]
REPORTS = ROOT / ".local" / "reports"
# A suite waits for its servers a third of its time: three at a time keep two cores busy.
AT_ONCE = 3
# These have a verb of their own, for they need a container engine: scripts/test_compose.py.
WITH_CONTAINERS = ("image", "compose")
# This one too, for it needs a cluster: scripts/test_cluster.py.
ON_A_CLUSTER = "cluster"
# A suite that takes longer than all others is several, so that they can run beside each other.
APART = ("integration/auth", "integration/identity", "integration/ops", "integration/server", "integration/sessions")
# The unit suite on another CPython, which first waits for that.
NEWEST = "newest-python"
# After the quick one those that take minutes, the longest first: at the end no lane runs alone for long.
FIRST = (
    *("unit", "integration/auth", "browser", "observability", "integration/ops", "integration/server"),
    *("load", "integration/sessions", "integration/identity", NEWEST, "integration", "nginx", "chart"),
)


@dataclass
class Suite:
    """What one suite came to; seconds are those of its tests, set-up included."""

    name: str
    passed: int = 0
    seconds: float = 0.0
    failed: list[str] = field(default_factory=list)


def suites() -> list[str]:
    """The folders under tests/ that have tests, and NEWEST, in the order in which they begin: FIRST, then others."""
    tests = ROOT / "tests"
    names = {path.relative_to(tests).parts[0] for path in tests.glob("*/**/test_*.py")}
    names -= {*WITH_CONTAINERS, ON_A_CLUSTER}
    names |= {NEWEST, *(name for name in APART if (tests / name).exists())}
    return sorted(names, key=lambda name: (FIRST.index(name) if name in FIRST else len(FIRST), name))


def files_of(suite: str) -> list[str]:
    """The arguments for pytest that choose the tests of *suite*."""
    return [f"tests/{suite}", *(f"--ignore=tests/{part}" for part in APART if part.startswith(f"{suite}/"))]


def read(report: Path) -> Suite:
    """What a JUnit report says; a suite without tests where there is none, as after a crash."""
    suite = Suite(report.stem)
    if not report.exists():
        return suite
    # Our own pytest wrote it a moment ago.
    for case in ElementTree.parse(report).iter("testcase"):  # noqa: S314
        suite.seconds += float(case.get("time", "0"))
        verdicts = [verdict for verdict in ("failure", "error", "skipped") if case.find(verdict) is not None]
        if verdicts:
            suite.failed.append(f"{case.get('classname')}::{case.get('name')} ({verdicts[0]})")
        else:
            suite.passed += 1
    return suite


def run(processes: Processes, name: str, command: Sequence[str | Path]) -> int:
    """Run one part in front of the person; its exit status. Says how long it took."""
    start = time.monotonic()
    process = processes.start(command, ROOT)
    while process.poll() is None:
        processes.wait(0.1)
    print(f"{name}: {time.monotonic() - start:.0f} s", flush=True)
    return process.returncode


def run_aside(processes: Processes, commands: Mapping[str, Sequence[str | Path]]) -> bool:
    """Run parts beside each other; what one says follows in one piece when it has ended. Whether one failed."""
    waiting = iter(commands.items())
    running: dict[str, tuple[subprocess.Popen[bytes], float]] = {}
    failed = False
    while True:
        for name, command in islice(waiting, AT_ONCE - len(running)):
            with (REPORTS / f"{name}.log").open("wb") as output:
                running[name] = processes.start_aside(command, ROOT, output), time.monotonic()
        if not running:
            return failed
        processes.wait(0.1)
        for name, (process, start) in list(running.items()):
            if process.poll() is not None:
                del running[name]
                failed = failed or process.returncode != 0
                log = (REPORTS / f"{name}.log").read_text(errors="replace")
                print(f"\n{log}{name}: {time.monotonic() - start:.0f} s", flush=True)


def main(arguments: list[str]) -> int:
    """Set up, run, report; 1 when anything failed, was skipped, or could not run."""
    python = sys.executable
    with Processes() as processes:
        REPORTS.mkdir(parents=True, exist_ok=True)
        print("Setting up ...", flush=True)
        parts = {name: [python, f"scripts/{name}.py"] for name in ("packages", "node", "chart_tools")}
        if run_aside(processes, parts):
            return 1
        pytest = [python, "-m", "pytest", "--durations=5"]
        if arguments:
            return conclude(*run_suites(processes, {"chosen": [*pytest, *arguments]}))
        # A process for each: what a suite keeps running, such as the browser's loop, is none of the next one's.
        commands: dict[str, Sequence[str]] = {
            suite.replace("/", "-"): ["scripts/newest_python.sh"] if suite == NEWEST else [*pytest, *files_of(suite)]
            for suite in suites()
        }
        print(f"Running {', '.join(commands)}, {AT_ONCE} at once ...", flush=True)
        return conclude(*run_suites(processes, commands, aside=True))


def run_suites(
    processes: Processes, commands: Mapping[str, Sequence[str]], *, aside: bool = False
) -> tuple[list[Suite], bool]:
    """Run each, one after the other or *aside*, with a report; the results, and whether one could not run or failed."""
    reports = {name: REPORTS / f"{name}.xml" for name in commands}
    for path in reports.values():
        path.unlink(missing_ok=True)
    commands = {name: [*command, f"--junitxml={reports[name]}"] for name, command in commands.items()}
    ours = processes.running()
    if aside:
        failed = run_aside(processes, commands)
    else:
        statuses = [run(processes, name, command) for name, command in commands.items()]
        failed = any(statuses)
    for pid, line in processes.running().items():
        if pid not in ours:
            print(f"Left running by a test, and ended now: {line}")
    return [read(path) for path in reports.values()], failed


def conclude(results: list[Suite], failed: bool) -> int:
    """Print the table and the closing line; the exit status."""
    print()
    for suite in results:
        print(f"{suite.name:16} {suite.passed:5} passed {len(suite.failed):3} failed {suite.seconds:7.1f} s")
    for test in (test for suite in results for test in suite.failed):
        print(f"failed: {test}")
    count = sum(len(suite.failed) for suite in results)
    print(f"\n{sum(suite.passed for suite in results)} passed, {count} failed")
    return 1 if failed or count or not any(suite.passed for suite in results) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
