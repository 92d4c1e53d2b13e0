"""What containers cost: `python -m tests.load.containers` asks the compose stack, and its processes without containers.

As root, since the latter are started with chroot(2). The page is /profile of somebody who is signed in, with TLS, on
connections that are kept open. Renews what docs/compose.md says of it.
"""

import argparse
import json
import os
import re
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx

from scripts.containers.bases import ensure
from scripts.containers.engine import engine
from scripts.processes import Processes
from scripts.stack.rolling import REPLICAS
from tests.compose.stack import PATIENCE, PORTS, ROOT, WITHOUT, Stack
from tests.servers.ports import free_ports

from .figures import Figure
from .machine import describe
from .outside import SERVICES, outside
from .processes import children, cpu_seconds
from .rounds import Durations
from .serving import LOAD_CORE
from .wrk import wrk

PROJECT = "auth0-flask-bench"
PATH = "/profile"
QUICK = Durations(rounds=1, warm_up=1, timed=1)
FULL = Durations(rounds=7, warm_up=2, timed=8)
# From this machine Docker copies each byte in a process of its own (docker-proxy). Who comes from elsewhere is led to
# nginx's address by the kernel, and that is where the requests of the second way go.
WAYS = {
    "outside": "the same processes without containers",
    "elsewhere": "the stack, as from another machine",
    "published": "the stack, from this machine through the published port",
}
# Between these, what was measured stands in docs/compose.md.
BEGIN, END = "<!-- measured by `make bench-compose` -->", "<!-- until here -->"
_ENGINE = ("dockerd", "containerd", "containerd-shim", "docker-proxy")


@dataclass(frozen=True)
class Turn:
    """One way in one round; CPU times are in microseconds a request, of all processes of a service."""

    requests_per_second: float
    p99_ms: float
    errors: int
    cpu_us: dict[str, float]
    """Of each service, of the `engine` and of the `load`."""

    @property
    def services_cpu_us(self) -> float:
        """Of nginx, the app and Redis."""
        return sum(self.cpu_us[service] for service in SERVICES)


def measure(stack: Stack, durations: Durations, folder: Path, say: Callable[[str], None]) -> dict[str, list[Turn]]:
    """The turns of each way, in alternation. Somebody signs in at the stack, and is signed in outside as well.

    :raises AssertionError: a way does not answer as it should.
    """
    turns: dict[str, list[Turn]] = {way: [] for way in WAYS}
    with stack.visitor() as somebody:
        somebody.sign_in_at_the_app()
        headers = {
            "Host": stack.origin.removeprefix("https://"),
            "Cookie": "; ".join(f"{cookie.name}={cookie.value}" for cookie in somebody.http.cookies.jar),
        }
        inside = {service: stack.inspect(service)["State"]["Pid"] for service in SERVICES}
        with outside(stack, folder) as beside:
            public = f"{stack.project}_public"
            address = stack.inspect("nginx")["NetworkSettings"]["Networks"][public]["IPAddress"]
            ways = {
                "outside": (f"https://localhost:{beside.port}{PATH}", "127.0.0.1", beside.processes),
                "elsewhere": (f"https://localhost:8443{PATH}", address, inside),
                "published": (stack.origin + PATH, "127.0.0.1", inside),
            }
            pages = [_page(stack, ways[way][0], headers) for way in ("outside", "published")]
            # Of the same length, as they differ in times and numbers. One that finds less in Redis is cheaper to make.
            assert len(pages[0]) == len(pages[1]), pages
            for number in range(durations.rounds):
                for way in WAYS if number % 2 == 0 else reversed(WAYS):
                    url, at, processes = ways[way]
                    launcher = _where_localhost_is(at, folder)
                    wrk(url, headers, durations.warm_up, LOAD_CORE, launcher)
                    turn = _turn(url, headers, processes, durations.timed, launcher)
                    assert turn.errors == 0, f"{way}: {turn.errors} requests failed"
                    turns[way].append(turn)
                    used = ", ".join(f"{name} {spent:.0f}" for name, spent in turn.cpu_us.items())
                    say(f"round {number + 1}  {way:10} {turn.requests_per_second:7.0f}/s  CPU µs a request: {used}")
    return turns


def _page(stack: Stack, url: str, headers: dict[str, str]) -> str:
    with httpx.Client(verify=stack.trust, trust_env=False, timeout=30) as http:
        return http.get(url, headers=headers).raise_for_status().text


def _turn(url: str, headers: dict[str, str], processes: dict[str, int], seconds: int, launcher: list[str]) -> Turn:
    groups = {service: _with_descendants(pid) for service, pid in processes.items()} | {"engine": _engine()}
    before = {name: [(pid, spent) for pid in pids for spent in _spent(pid)] for name, pids in groups.items()}
    load = wrk(url, headers, seconds, LOAD_CORE, launcher)
    used = {name: sum(now - spent for pid, spent in pids for now in _spent(pid)) for name, pids in before.items()}
    used["load"] = load.cpu_seconds
    each = {name: seconds / load.requests * 1e6 for name, seconds in used.items()}
    return Turn(load.requests / load.seconds, load.p99_ms, load.errors, each)


def _spent(pid: int) -> list[float]:
    """Seconds of CPU; nothing of one that has ended, as the engine's do that look after health checks."""
    try:
        return [cpu_seconds(pid)]
    except (FileNotFoundError, ProcessLookupError):
        return []


def _with_descendants(pid: int) -> list[int]:
    return [pid, *(below for child in children(pid) for below in _with_descendants(child))]


def _engine() -> list[int]:
    """Of this machine; one that runs in a container has another network."""
    found = []
    network = Path("/proc/self/ns/net").readlink()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            ours = (process / "ns" / "net").readlink() == network
            if ours and (process / "exe").readlink().name.startswith(_ENGINE):
                found.append(int(process.name))
        except OSError:
            continue
    return found


def _where_localhost_is(address: str, folder: Path) -> list[str]:
    """What starts a program for which localhost, whose certificate nginx has, is at *address*."""
    hosts = folder / f"hosts-{address}"
    hosts.write_text(f"{address} localhost\n")
    script = 'mount --bind "$0" /etc/hosts && exec "$@"'
    return ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, str(hosts)]


def table(turns: dict[str, list[Turn]]) -> str:
    """The table of docs/compose.md: medians, ranges in brackets; ratios are taken within a round."""
    head = [
        "way",
        "requests/s",
        "× without",
        "p99 ms",
        "CPU µs a request: nginx",
        "app",
        "Redis",
        "engine",
        "× without",
    ]
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for way, ours in turns.items():
        outside_ = turns["outside"]
        cells = [
            WAYS[way],
            _cell([turn.requests_per_second for turn in ours], 0),
            _cell(throughput_ratios(turns, way), 2),
            _cell([turn.p99_ms for turn in ours], 0),
            _cell([turn.cpu_us["nginx"] for turn in ours], 0),
            _cell([turn.cpu_us["app-1"] + turn.cpu_us["app-2"] for turn in ours], 0),
            _cell([turn.cpu_us["redis"] for turn in ours], 0),
            _cell([turn.cpu_us["engine"] for turn in ours], 0),
            _cell([a.services_cpu_us / b.services_cpu_us for a, b in zip(ours, outside_, strict=True)], 2),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def throughput_ratios(turns: dict[str, list[Turn]], way: str) -> list[float]:
    """Requests a second as a multiple of those without containers, of each round."""
    pairs = zip(turns[way], turns["outside"], strict=True)
    return [ours.requests_per_second / theirs.requests_per_second for ours, theirs in pairs]


def _cell(values: list[float], digits: int) -> str:
    figure = Figure.of(values)
    return f"{figure.median:.{digits}f} ({figure.low:.{digits}f}–{figure.high:.{digits}f})"


def measured(turns: dict[str, list[Turn]], healthy: str, memory: list[str]) -> str:
    """What docs/compose.md says of it."""
    machine = describe()
    ratios = {way: _cell(throughput_ratios(turns, way), 2) for way in turns}
    return f"""
| what | figure | bound |
|---|---|---|
| `make up` with the images there, until all is healthy, without Grafana | {healthy} s | 15 s |
| memory of each replica, with two workers, after the load | {", ".join(memory)} | 160 MiB |
| requests a second, as a multiple of the same processes without containers | {ratios["elsewhere"]} | 0.90 |
| the same from this machine, through Docker's own proxy | {ratios["published"]} | |

{table(turns)}

On {machine["cores"]} cores of {machine["CPU"]}, {len(turns["outside"])} rounds; medians, and the range in brackets.
"""


def renewed(page: str, text: str) -> str:
    """The page, with *text* in place of what was measured before."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    return f"{before}{begin}{text}{end}{after}"


def main(arguments: list[str] | None = None) -> int:
    """Start a stack of its own, measure, write it down, and take the stack away again."""
    parser = argparse.ArgumentParser(prog="make bench-compose", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one short round: whether it works, not how fast")
    parser.add_argument("--docs", type=Path, default=ROOT / "docs", help="where compose.md is")
    parser.add_argument("--reports", type=Path, default=ROOT / ".local" / "reports", help="where containers.json goes")
    options = parser.parse_args(arguments)
    if os.geteuid() != 0:
        print("Processes with another root are root's to start: run this as root.", file=sys.stderr)
        return 1
    variables = dict(zip(PORTS, map(str, free_ports(len(PORTS))), strict=True)) | PATIENCE
    variables |= {"COMPOSE_PROJECT_NAME": PROJECT, "TAG": "bench", "WITHOUT": WITHOUT}
    variables |= {"ENV_FILE": "deploy/compose/local.env"}
    with Processes(), engine() as client, tempfile.TemporaryDirectory(prefix="outside-") as folder:
        stack = Stack(client, ensure(client) | variables, ROOT)
        try:
            healthy = re.findall(r"All healthy after (.+) s", stack.up())[0]
            print(f"All healthy after {healthy} s.", flush=True)
            turns = measure(stack, QUICK if options.quick else FULL, Path(folder), lambda line: print(line, flush=True))
            form = ("stats", "--no-stream", "--format", "{{.MemUsage}}")
            memory = [stack.docker(*form, stack.container(replica)).split(" / ")[0] for replica in REPLICAS]
        finally:
            stack.down(VOLUMES="1")
    options.reports.mkdir(parents=True, exist_ok=True)
    report = {way: [asdict(turn) for turn in ours] for way, ours in turns.items()}
    (options.reports / "containers.json").write_text(json.dumps(report, indent=1))
    text = measured(turns, healthy, memory)
    print(text)
    if not options.quick:
        page = options.docs / "compose.md"
        page.write_text(renewed(page.read_text(), text))
    return 0


if __name__ == "__main__":
    sys.exit(main())
