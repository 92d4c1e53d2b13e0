"""What was measured of sessions, as a part of the page: it can be renewed by itself."""

import json
import os
import re
from dataclasses import asdict
from pathlib import Path
from statistics import quantiles

from .figures import Figure, Goal
from .machine import load_average
from .sessions import FEW, Hanging, Sessions
from .tables import cell, table

_PART = re.compile(r"(?<=<!-- sessions -->\n).*(?=<!-- end of sessions -->)", re.DOTALL)

_BUSY = (
    " **The machine did other work as well: its load was {load:.0f}, for {cores} cores.** Times from a request\n"
    "to its answer are those of a busy machine; CPU time, bytes, what Redis took and ratios are not. Run it again\n"
    "when nothing else does."
)


def goals(found: Sessions) -> list[Goal]:
    """What is to be reached."""
    many, few = Figure.of(found.many), Figure.of(found.few)
    slowdown = Figure.of([turn.hung_p99 / turn.usual_p99 for turn in found.hanging])
    refused = Figure.of([took for turn in found.hanging for took in turn.refusals])
    return [
        Goal(f"back-channel logout among {found.others:,} sessions", "≤ 5 ms", many, many.median <= 5),
        Goal(f"the same among {FEW:,}", "≤ 10 ms", few, few.median <= 10),
        Goal("p99 of a page without a session while Redis hangs", "< 2 ×", slowdown, slowdown.median < 2),
        Goal("503 of a page with a session then, the longest", "≤ 300 ms", refused, refused.high <= 300),
    ]


def part(found: Sessions, date: str, load: float, cores: int) -> str:
    """The part of the page, in Markdown; *load* is the machine's load average afterwards."""
    cpu = Figure.of(found.login_cpu)
    ratios = Figure.of([many / few for many, few in zip(found.many, found.few, strict=True)])
    rows = [
        ["CPU of the worker a login (`/login` and `/callback`), ms", cell(cpu, 1)],
        ["logins a second and core", cell(Figure.of([1000 / each for each in found.login_cpu]), 0)],
        ["CPU of Redis a login, ms", cell(Figure.of(found.login_redis_cpu), 2)],
        ["bytes of a session as it is kept (claims, three tokens)", f"{found.blob:,}"],
        ["bytes of Redis' memory a session, with its index, keys and tables", f"{found.bytes_each:,.0f}"],
        [f"back-channel logout among {FEW:,} sessions, ms", cell(Figure.of(found.few), 2)],
        [f"the same among {found.others:,}, ms", cell(Figure.of(found.many), 2)],
        ["the second as a multiple of the first, turn by turn", cell(ratios, 2)],
        [f"of that, Redis' scripts among {FEW:,} sessions, µs", cell(Figure.of(found.few_redis))],
        [f"the same among {found.others:,}, µs", cell(Figure.of(found.many_redis))],
        ["p99 of a page without a session, ms", cell(Figure.of([turn.usual_p99 for turn in found.hanging]), 1)],
        ["the same while Redis hangs, ms", cell(Figure.of([turn.hung_p99 for turn in found.hanging]), 1)],
        ["a 503 of a page with a session then, p99 of all, ms", f"{_p99(found.hanging):.0f}"],
    ]
    wanted = [
        [goal.what, goal.wanted, cell(goal.measured, 2), "yes" if goal.reached else "**no**"] for goal in goals(found)
    ]
    busy = "" if load < 2 * cores else _BUSY.format(load=load, cores=cores)
    return (
        f"Measured {date}.{busy}\n\n{table(['', 'median (range)'], rows)}\n\n"
        f"{table(['', 'wanted', 'measured', 'reached'], wanted)}\n"
    )


def part_of(page: str) -> str:
    """The part as it stands in *page*; empty for a page without."""
    found = _PART.search(page)
    return found[0] if found else ""


def renew(page: Path, text: str) -> None:
    """Put the part *text* into *page*, which has one."""
    old = page.read_text(encoding="utf-8")
    assert part_of(old), f"{page.name} has no part on sessions"
    page.write_text(_PART.sub(lambda _found: text, old), encoding="utf-8")


def write(found: Sessions, date: str, docs: Path, reports: Path) -> None:
    """Write `bench-sessions.json` into *reports*, and renew the part of `benchmarks.md` in *docs*."""
    reports.mkdir(parents=True, exist_ok=True)
    (reports / "bench-sessions.json").write_text(json.dumps(asdict(found), indent=1) + "\n")
    renew(docs / "benchmarks.md", part(found, date, load_average(), os.cpu_count() or 1))


def _p99(turns: list[Hanging]) -> float:
    took = [each for turn in turns for each in turn.refusals]
    return quantiles(took, n=100)[98] if len(took) > 1 else max(took)
