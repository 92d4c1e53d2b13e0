"""The same worker asked directly and through nginx with TLS, in turns."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from scripts.certificates import authority
from tests.servers.nginx import Nginx, nginx

from .processes import cpu_seconds, pin
from .rounds import Durations, bench_redis
from .serving import HEADERS, LOAD_CORE, Serving, serving
from .users import USERS
from .ways import Way
from .wrk import Load, wrk


@dataclass(frozen=True)
class Turn:
    """One turn; times of processes are in microseconds a request, shares in seconds of CPU a second."""

    requests_per_second: float
    worker_cpu_us: float
    nginx_cpu_us: float
    load_cpu_us: float
    p99_ms: float
    errors: int
    worker_core_share: float
    load_core_share: float


@dataclass(frozen=True)
class Turns:
    """Of one round."""

    direct: Turn
    terminated: Turn

    @property
    def throughput_ratio(self) -> float:
        """Through nginx, of what it is without."""
        return self.terminated.requests_per_second / self.direct.requests_per_second


def measure(way: Way, durations: Durations, folder: Path, say: Callable[[str], None]) -> list[Turns]:
    """Alternate between the two for as many rounds as asked for.

    nginx, the load and Redis share the core that the worker does not have.
    """
    rounds = []
    pair = authority(folder).issue()
    with bench_redis(folder) as redis, serving(way, redis.url, folder) as server:
        variables = {"NGINX_WORKERS": "1"}
        upstream = f"127.0.0.1:{server.port}"
        with nginx(pair, upstream=upstream, variables=variables) as terminator:
            assert redis.process is not None
            assert terminator.process is not None
            pids = (server.worker, redis.process.pid, *terminator.workers())
            for pid in pids[1:]:
                pin(pid, LOAD_CORE)
            cookies = {key: server.sign_in(user) for key, user in USERS.items()}
            server.check(cookies)
            for number in range(durations.rounds):
                turns = [_turn(url, server, pids, cookies, durations) for url in _urls(server, terminator)]
                rounds.append(Turns(*turns))
                say(f"round {number + 1}  nginx {rounds[-1].throughput_ratio:.2f} of what it is without")
    return rounds


def _urls(server: Serving, terminator: Nginx) -> tuple[str, str]:
    path = server.way.path
    return f"http://127.0.0.1:{server.port}{path}", f"{terminator.origin}{path}"


def _turn(url: str, server: Serving, pids: tuple[int, ...], cookies: dict[str, str], durations: Durations) -> Turn:
    headers = {"Cookie": next(iter(cookies.values()))}
    if url.startswith("http:"):
        headers |= HEADERS
    if durations.warm_up:
        wrk(url, headers, durations.warm_up, LOAD_CORE)
    before = [cpu_seconds(pid) for pid in pids]
    load: Load = wrk(url, headers, durations.timed, LOAD_CORE)
    worker, redis, *nginx_workers = (cpu_seconds(pid) - begin for pid, begin in zip(pids, before, strict=True))
    terminator = sum(nginx_workers)
    each = 1e6 / load.requests
    return Turn(
        requests_per_second=load.requests / load.seconds,
        worker_cpu_us=worker * each,
        nginx_cpu_us=terminator * each,
        load_cpu_us=load.cpu_seconds * each,
        p99_ms=load.p99_ms,
        errors=load.errors,
        worker_core_share=worker / load.seconds,
        load_core_share=(redis + terminator + load.cpu_seconds) / load.seconds,
    )
