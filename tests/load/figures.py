"""From samples to figures: medians, ranges, ratios taken within a round, and what is to be reached."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

from .rounds import Sample
from .steady import Point
from .terminator import Turns

Samples = dict[str, list[Sample]]


@dataclass(frozen=True)
class Figure:
    """A median and its range."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Figure":
        """The figure of some values."""
        return cls(median(values), min(values), max(values))


@dataclass(frozen=True)
class Goal:
    """What is to be reached, and what was measured."""

    what: str
    wanted: str
    measured: Figure
    reached: bool


def figure(samples: Sequence[Sample], of: Callable[[Sample], float]) -> Figure:
    """The figure of one property of a way's samples."""
    return Figure.of([of(sample) for sample in samples])


def ratio(samples: Samples, way: str, to: str, of: Callable[[Sample], float]) -> Figure:
    """One way's property as a multiple of another's in the same round."""
    return Figure.of([of(ours) / of(theirs) for ours, theirs in zip(samples[way], samples[to], strict=True)])


def throughput(sample: Sample) -> float:
    """Requests a second."""
    return sample.requests_per_second


def cpu(sample: Sample) -> float:
    """CPU of the worker a request, in microseconds."""
    return sample.cpu_us


def speed(sample: Sample) -> float:
    """Requests a second of CPU: what `throughput` is when nobody else wants the core."""
    return 1e6 / sample.cpu_us


def growth(points: Sequence[Point]) -> Figure:
    """How much memory the worker gained, in MiB, since the first tenth of the requests: caches have filled by then."""
    last = points[-1]
    early = next(point for point in points if point.requests >= last.requests / 10)
    return Figure.of([last.memory.resident - early.memory.resident])


def goals(samples: Samples, turns: Sequence[Turns], points: Sequence[Point]) -> list[Goal]:
    """Everything that is to be reached."""

    def at_least(what: str, wanted: float, measured: Figure) -> Goal:
        return Goal(what, f"≥ {wanted:g} ×", measured, measured.median >= wanted)

    def at_most(what: str, wanted: float, unit: str, measured: Figure) -> Goal:
        return Goal(what, f"≤ {wanted:g} {unit}", measured, measured.median <= wanted)

    redis, cookie = samples["redis"], samples["cookie"]
    resident = Figure.of([sample.memory.resident for sample in (*redis, *cookie)])
    start = Figure.of([sample.start_seconds for sample in (*redis, *cookie)])
    return [
        at_least(
            "Redis session against the guide, throughput",
            5.5,
            ratio(samples, "redis", "guide-redis-gthread", throughput),
        ),
        at_least("Redis session against the guide, CPU", 5.5, ratio(samples, "redis", "guide-redis-gthread", speed)),
        at_least("Redis session against the floor, throughput", 0.85, ratio(samples, "redis", "floor", throughput)),
        at_least("Redis session against the floor, CPU", 0.85, ratio(samples, "redis", "floor", speed)),
        at_most(
            "Redis session's p99 against the guide's",
            0.5,
            "×",
            ratio(samples, "redis", "guide-redis-gthread", lambda s: s.p99_ms),
        ),
        at_least(
            "cookie session against the guide's, throughput",
            4,
            ratio(samples, "cookie", "guide-cookie-gthread", throughput),
        ),
        at_least("cookie session against the guide's, CPU", 4, ratio(samples, "cookie", "guide-cookie-gthread", speed)),
        at_least("through nginx with TLS against without", 0.8, Figure.of([turn.throughput_ratio for turn in turns])),
        at_most("from exec to the first 200", 1.5, "s", start),
        at_most("resident memory of a worker", 80, "MiB", resident),
        at_most(f"its growth over {points[-1].requests:,} requests", 1, "MiB", growth(points)),
    ]
