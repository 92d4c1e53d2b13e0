"""What a run leaves: figures as JSON, the page for people, the chart in it."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from . import plot
from .counting import LEFT_OUT, Counts
from .figures import Figure, Goal, Samples, cpu, figure, goals, ratio, speed, throughput
from .machine import load_average
from .rounds import Durations, Sample
from .session_report import part_of
from .steady import Point
from .tables import cell, table
from .terminator import Turn, Turns
from .ways import WAYS
from .wrk import CONNECTIONS

GUIDE, FLOOR = "guide-redis-gthread", "floor"
# Of the worker's core, where nothing but the worker wants it and the load keeps it busy.
_OWN_CORE = 0.9
_CHART = "images/benchmarks.svg"
_TEMPLATE = Path(__file__).with_name("page.md")


@dataclass(frozen=True)
class Run:
    """Everything that was measured, and on what."""

    machine: dict[str, str]
    durations: Durations
    samples: Samples
    turns: list[Turns]
    points: list[Point]
    counts: Counts

    @property
    def goals(self) -> list[Goal]:
        """What is to be reached, with what was measured."""
        return goals(self.samples, self.turns, self.points)


def as_json(run: Run) -> dict[str, Any]:
    """All samples, and the figures made of them."""
    return {
        "machine": run.machine,
        "load_average_at_the_end": load_average(),
        "durations": asdict(run.durations),
        "ways": {
            way.key: {
                "title": way.title.replace("*", ""),
                "samples": [asdict(sample) for sample in run.samples[way.key]],
                "requests_per_second": asdict(figure(run.samples[way.key], throughput)),
                "cpu_us": asdict(figure(run.samples[way.key], cpu)),
                "throughput_to_gthread": asdict(ratio(run.samples, way.key, GUIDE, throughput)),
                "throughput_to_floor": asdict(ratio(run.samples, way.key, FLOOR, throughput)),
                "speed_to_gthread": asdict(ratio(run.samples, way.key, GUIDE, speed)),
                "speed_to_floor": asdict(ratio(run.samples, way.key, FLOOR, speed)),
            }
            for way in WAYS
        },
        "nginx": [asdict(turns) for turns in run.turns],
        "memory": [asdict(point) for point in run.points],
        "instructions": asdict(run.counts),
        "goals": [asdict(goal) for goal in run.goals],
    }


def write(run: Run, docs: Path, reports: Path) -> None:
    """Write `bench.json` into *reports*, `benchmarks.md` and its chart into *docs*."""
    reports.mkdir(parents=True, exist_ok=True)
    (reports / "bench.json").write_text(json.dumps(as_json(run), indent=1) + "\n")
    (docs / _CHART).parent.mkdir(parents=True, exist_ok=True)
    (docs / _CHART).write_text(_chart(run))
    page = docs / "benchmarks.md"
    # Measured by itself (`--sessions`), and kept.
    sessions = part_of(page.read_text()) if page.exists() else ""
    page.write_text(_page(run, sessions or "Not measured yet.\n"))


def _chart(run: Run) -> str:
    rows = [(_plain(way.title), figure(run.samples[way.key], speed), way.project) for way in WAYS]
    return plot.bars("Signed-in profile pages a second of the worker's CPU time", rows)


def _page(run: Run, sessions: str) -> str:
    return _TEMPLATE.read_text().format(
        connections=CONNECTIONS,
        rounds=run.durations.rounds,
        warm_up=run.durations.warm_up,
        timed=run.durations.timed,
        caveat=_caveat(run),
        ways=_ways(run),
        nginx=_nginx(run.turns),
        memory=_memory(run.points),
        instructions=_instructions(run.counts),
        sessions=sessions,
        goals=_goals(run.goals),
        machine=table(["", ""], [[name, value] for name, value in run.machine.items()]),
    )


def _caveat(run: Run) -> str:
    share = figure(run.samples["redis"], _share).median
    if share >= _OWN_CORE:
        return "The worker had its core to itself."
    return (
        f"**In this run it did not have its core to itself: of it, the median is {share:.0%}.**\n"
        "Something else was running. Requests a second, latencies and the time to start are not those of an idle\n"
        "machine; CPU time a request is nearer to them. Run it again when nothing else does."
    )


def _share(sample: Sample) -> float:
    return sample.requests_per_second * sample.cpu_us / 1e6


def _ways(run: Run) -> str:
    rows = []
    for way in WAYS:
        samples = run.samples[way.key]
        rows.append(
            [
                way.title,
                cell(figure(samples, throughput)),
                cell(figure(samples, cpu)),
                cell(figure(samples, _share), 2),
                _pair(run.samples, way.key, GUIDE),
                _pair(run.samples, way.key, FLOOR),
                cell(figure(samples, lambda s: s.p50_ms), 1),
                cell(figure(samples, lambda s: s.p99_ms), 1),
                f"{figure(samples, lambda s: s.memory.resident).median:.0f} / "
                f"{figure(samples, lambda s: s.memory.proportional).median:.0f}",
                cell(figure(samples, lambda s: s.start_seconds), 2),
            ]
        )
    headings = [
        "way",
        "requests/s",
        "CPU µs a request",
        "its core",
        "× gthread",
        "× floor",
        "p50 ms",
        "p99 ms",
        "memory MiB",
    ]
    return table([*headings, "first 200 after s"], rows)


def _pair(samples: Samples, way: str, to: str) -> str:
    return f"{ratio(samples, way, to, throughput).median:.2f} ({ratio(samples, way, to, speed).median:.2f})"


def _nginx(turns: Sequence[Turns]) -> str:
    rows = []
    for title, those in (
        ("without", [turn.direct for turn in turns]),
        ("through nginx", [turn.terminated for turn in turns]),
    ):
        rows.append([title, *(_of(those, name, digits) for name, digits in _TURN_COLUMNS.items())])
    headings = [
        "",
        "requests/s",
        "worker CPU µs",
        "nginx CPU µs",
        "wrk CPU µs",
        "p99 ms",
        "worker's core",
        "the other core",
    ]
    share = cell(Figure.of([turn.throughput_ratio for turn in turns]), 2)
    return table(headings, rows) + f"\n\nThrough nginx: **{share}** of the requests a second without."


_TURN_COLUMNS = {
    "requests_per_second": 0,
    "worker_cpu_us": 0,
    "nginx_cpu_us": 0,
    "load_cpu_us": 0,
    "p99_ms": 1,
    "worker_core_share": 2,
    "load_core_share": 2,
}


def _of(turns: Sequence[Turn], name: str, digits: int) -> str:
    return cell(Figure.of([getattr(turn, name) for turn in turns]), digits)


def _memory(points: Sequence[Point]) -> str:
    rows = [
        [f"{point.requests:,}", *(f"{getattr(point.memory, name):.1f}" for name in _MEMORY_COLUMNS)] for point in points
    ]
    return table(["requests", *(f"{name} MiB" for name in _MEMORY_COLUMNS)], rows)


_MEMORY_COLUMNS = ("resident", "proportional", "unshared")


def _instructions(counts: Counts) -> str:
    parts = {
        "the floor: uvicorn, the loop, Flask, a GET from Redis": counts.floor,
        "the session, who is signed in, and what is not below: decryption, decoding, `get_user`": counts.rest,
        **{LEFT_OUT[part].title: saved for part, saved in counts.parts.items()},
        "all": counts.all,
    }
    rows = [[title, f"{count:,}", f"{count / counts.all:.0%}"] for title, count in parts.items()]
    return table(["part", "instructions", "share"], rows)


def _goals(found: Sequence[Goal]) -> str:
    rows = [[goal.what, goal.wanted, cell(goal.measured, 2), "yes" if goal.reached else "**no**"] for goal in found]
    return table(["", "wanted", "measured", "reached"], rows)


def _plain(markdown: str) -> str:
    return markdown.replace("*", "").replace("`", "")
