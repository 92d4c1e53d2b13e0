"""`python -m tests.load`: compare the ways to serve a signed-in page, and write the report.

With `--sessions` it measures what sessions cost instead, and renews that part of the report.
"""

import argparse
import datetime
import os
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

from . import counting, session_report, sessions, steady, terminator
from .figures import Goal
from .machine import describe
from .report import Run, write
from .rounds import FULL, QUICK, measure
from .serving import LOAD_CORE, ROOT
from .ways import TERMINATED, WAYS

_STEADY_REQUESTS = 50_000
_QUICK_STEADY_REQUESTS = 500
_QUICK_COUNT: dict[str, Any] = {"rounds": 2, "parts": ["log"]}


def main(arguments: list[str] | None = None) -> None:
    """Run it; figures that are not reached are said, and are no failure."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one short round: whether it works, not how fast")
    parser.add_argument("--sessions", action="store_true", help="what sessions cost, among a million; that part alone")
    parser.add_argument("--docs", type=Path, default=ROOT / "docs", help="where benchmarks.md goes")
    parser.add_argument("--reports", type=Path, default=ROOT / ".local" / "reports", help="where bench.json goes")
    options = parser.parse_args(arguments)
    if (os.cpu_count() or 1) <= LOAD_CORE:
        sys.exit("The benchmark needs two cores: one for the worker, one for the load.")
    # Whoever calls it off, what it started ends with it; a job of a shell in the background ignores Ctrl-C otherwise.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit("called off"))
    # What this process does itself must not disturb the worker.
    os.sched_setaffinity(0, {LOAD_CORE})
    durations = QUICK if options.quick else FULL
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        if options.sessions:
            amounts = sessions.QUICK if options.quick else sessions.FULL
            found = sessions.measure(amounts, folder, _say)
            day = datetime.datetime.now(datetime.UTC).date().isoformat()
            session_report.write(found, day, options.docs, options.reports)
            _say_goals(session_report.goals(found))
            return
        run = Run(
            describe(),
            durations,
            measure(WAYS, durations, folder, _say),
            terminator.measure(TERMINATED, durations, folder, _say),
            steady.measure(
                next(way for way in WAYS if way.key == "redis"),
                _QUICK_STEADY_REQUESTS if options.quick else _STEADY_REQUESTS,
                folder,
                _say,
                step=durations.timed,
            ),
            counting.measure(folder, _say, **(_QUICK_COUNT if options.quick else {})),
        )
    write(run, options.docs, options.reports)
    _say_goals(run.goals)


def _say_goals(goals: list[Goal]) -> None:
    for goal in goals:
        _say(
            f"{'reached' if goal.reached else 'NOT reached':12} {goal.what}: {goal.measured.median:.2f}, {goal.wanted}"
        )


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    main()
