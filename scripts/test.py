"""Run every suite and say how many tests ran, in which suites: `python scripts/test.py [pytest arguments]`.

Sets up what the tests need first. With arguments only those tests run; without, the unit suite runs on the newest
CPython too. Reports in JUnit's format go to `.local/reports`. A skipped test is a failure: something was not tested.
"""

import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parents[1]
REPORTS = ROOT / ".local" / "reports"
# Suites mostly wait for their servers; two at a time keep two cores busy.
AT_ONCE = 2


@dataclass
class Suite:
    """What one suite came to; seconds are those of its tests, set-up included."""

    name: str
    passed: int = 0
    seconds: float = 0.0
    failed: list[str] = field(default_factory=list)


def suites() -> list[str]:
    """The folders under tests/ that have tests, the quick ones first."""
    tests = ROOT / "tests"
    return sorted(
        {path.relative_to(tests).parts[0] for path in tests.glob("*/**/test_*.py")},
        key=lambda name: (name != "unit", name == "browser", name),
    )


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


def run(name: str, command: Sequence[str | Path]) -> int:
    """Run one part in front of the person; its exit status. Says how long it took."""
    start = time.monotonic()
    status = subprocess.run(command, cwd=ROOT, check=False).returncode
    print(f"{name}: {time.monotonic() - start:.0f} s", flush=True)
    return status


def run_aside(name: str, command: Sequence[str | Path]) -> int:
    """Run one part beside others; what it says follows in one piece when it has ended."""
    start = time.monotonic()
    log = REPORTS / f"{name}.log"
    with log.open("wb") as output:
        status = subprocess.run(command, cwd=ROOT, stdout=output, stderr=output, check=False).returncode
    print(f"\n{log.read_text(errors='replace')}{name}: {time.monotonic() - start:.0f} s", flush=True)
    return status


def main(arguments: list[str]) -> int:
    """Set up, run, report; 1 when anything failed, was skipped, or could not run."""
    python = sys.executable
    if run("Packages", [python, "scripts/packages.py"]) or run("Node.js", [python, "scripts/node.py"]):
        return 1
    REPORTS.mkdir(parents=True, exist_ok=True)
    pytest = [python, "-m", "pytest", "--durations=5"]
    if arguments:
        return conclude(*report(run, {"chosen": [*pytest, *arguments]}))
    # A process for each: what a suite keeps running, such as the browser's loop, is none of the next one's.
    commands = {suite: [*pytest, f"tests/{suite}"] for suite in suites()}
    print(f"Running {', '.join(commands)}, {AT_ONCE} at once ...", flush=True)
    return conclude(*report(run_aside, commands | {"newest-python": ["scripts/newest_python.sh"]}))


def report(
    runner: Callable[[str, Sequence[str | Path]], int], commands: Mapping[str, Sequence[str | Path]]
) -> tuple[list[Suite], bool]:
    """Run the commands, each with a report of its own; the results, and whether one could not run or failed."""
    reports = {name: REPORTS / f"{name}.xml" for name in commands}
    for path in reports.values():
        path.unlink(missing_ok=True)
    with ThreadPoolExecutor(AT_ONCE) as lanes:
        statuses = lanes.map(lambda name: runner(name, [*commands[name], f"--junitxml={reports[name]}"]), commands)
        failed = any(list(statuses))
    return [read(path) for path in reports.values()], failed


def conclude(results: list[Suite], failed: bool) -> int:
    """Print the table and the closing line; the exit status."""
    print()
    for suite in results:
        print(f"{suite.name:14} {suite.passed:5} passed {len(suite.failed):3} failed {suite.seconds:7.1f} s")
    for test in (test for suite in results for test in suite.failed):
        print(f"failed: {test}")
    count = sum(len(suite.failed) for suite in results)
    print(f"\n{sum(suite.passed for suite in results)} passed, {count} failed")
    return 1 if failed or count or not any(suite.passed for suite in results) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
