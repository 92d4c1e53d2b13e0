"""Whether a worker's memory grows with the requests it answers."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .processes import Memory, memory
from .rounds import bench_redis
from .serving import HEADERS, LOAD_CORE, serving
from .users import USERS
from .ways import Way
from .wrk import wrk


@dataclass(frozen=True)
class Point:
    """The worker's memory after so many requests."""

    requests: int
    memory: Memory


def measure(way: Way, requests: int, folder: Path, say: Callable[[str], None], step: int) -> list[Point]:
    """Ask until at least *requests* were answered, and note the memory after each *step* seconds."""
    with bench_redis(folder) as redis, serving(way, redis.url, folder) as server:
        cookies = {key: server.sign_in(user) for key, user in USERS.items()}
        server.check(cookies)
        url = f"http://127.0.0.1:{server.port}{way.path}"
        points = [Point(0, memory(server.worker))]
        while points[-1].requests < requests:
            load = wrk(url, {**HEADERS, "Cookie": next(iter(cookies.values()))}, step, LOAD_CORE)
            points.append(Point(points[-1].requests + load.requests, memory(server.worker)))
        server.check(cookies)
    first, last = points[0], points[-1]
    say(f"memory  {first.memory.resident:.1f} → {last.memory.resident:.1f} MiB, {last.requests} requests")
    return points
