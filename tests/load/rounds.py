"""Measures every way once a round, one after the other, so that what disturbs the machine disturbs them all."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.servers.redis import RedisServer, redis_server

from .processes import Memory, cpu_seconds, memory, pin
from .serving import HEADERS, LOAD_CORE, Serving, serving
from .users import USERS
from .ways import Way
from .wrk import Load, wrk


@dataclass(frozen=True)
class Durations:
    """How long one way is warmed up and timed, in whole seconds, and how often all of them."""

    rounds: int
    warm_up: int
    """0 where the figures are nobody's."""
    timed: int


QUICK = Durations(rounds=1, warm_up=0, timed=1)
FULL = Durations(rounds=5, warm_up=1, timed=4)


@dataclass(frozen=True)
class Sample:
    """One way in one round."""

    requests_per_second: float
    cpu_us: float
    """Of the worker, a request, in microseconds."""
    redis_cpu_us: float
    load_cpu_us: float
    p50_ms: float
    p99_ms: float
    errors: int
    start_seconds: float
    memory: Memory
    load: Load


@contextmanager
def bench_redis(folder: Path) -> Iterator[RedisServer]:
    """A Redis of the benchmark's own, on the core of the load."""
    with redis_server(folder) as server:
        assert server.process is not None
        pin(server.process.pid, LOAD_CORE)
        yield server


def measure(
    ways: Sequence[Way], durations: Durations, folder: Path, say: Callable[[str], None]
) -> dict[str, list[Sample]]:
    """The samples of each way by its key.

    :raises AssertionError: a way answers wrongly; nothing of it is timed then.
    """
    samples: dict[str, list[Sample]] = {way.key: [] for way in ways}
    with bench_redis(folder) as redis:
        for number in range(durations.rounds):
            # Every other round the other way round: a machine that slows down over a round favours nobody.
            for way in ways if number % 2 == 0 else reversed(ways):
                with serving(way, redis.url, folder) as server:
                    sample = timed(server, redis, durations)
                samples[way.key].append(sample)
                say(
                    f"round {number + 1}  {way.key:22} {sample.requests_per_second:7.0f}/s "
                    f"{sample.cpu_us:7.0f} µs  p99 {sample.p99_ms:6.1f} ms"
                )
    return samples


def timed(server: Serving, redis: RedisServer, durations: Durations) -> Sample:
    """Check the answers, warm up, take the time, check again."""
    assert redis.process is not None
    cookies = {key: server.sign_in(user) for key, user in USERS.items()}
    server.check(cookies)
    url = f"http://127.0.0.1:{server.port}{server.way.path}"
    headers = {**HEADERS, "Cookie": next(iter(cookies.values()))}
    if durations.warm_up:
        wrk(url, headers, durations.warm_up, LOAD_CORE)
    pids = (server.worker, redis.process.pid)
    before = [cpu_seconds(pid) for pid in pids]
    load = wrk(url, headers, durations.timed, LOAD_CORE)
    worker, store = (cpu_seconds(pid) - begin for pid, begin in zip(pids, before, strict=True))
    used = memory(server.worker)
    server.check(cookies)
    return Sample(
        requests_per_second=load.requests / load.seconds,
        cpu_us=worker / load.requests * 1e6,
        redis_cpu_us=store / load.requests * 1e6,
        load_cpu_us=load.cpu_seconds / load.requests * 1e6,
        p50_ms=load.p50_ms,
        p99_ms=load.p99_ms,
        errors=load.errors,
        start_seconds=server.start_seconds,
        memory=used,
        load=load,
    )
