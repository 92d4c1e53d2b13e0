"""Redis as several servers: a master with replicas and sentinels that watch it, and a cluster of three."""

import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import redis

from tests.servers.ports import free_ports
from tests.servers.redis import RedisServer, redis_server

MASTER = "sessions"
_SECONDS = 60
_SLOTS = 16_384


@dataclass
class Sentinels:
    """Three sentinels on *ports*, and the servers, the first of which was the master at the start."""

    ports: list[int]
    servers: list[RedisServer]

    @property
    def hosts(self) -> str:
        """Where they are, as in a URL."""
        return ",".join(f"127.0.0.1:{port}" for port in self.ports)

    @property
    def master(self) -> int:
        """The port of the server that the first sentinel takes for the master."""
        with redis.Redis(port=self.ports[0]) as sentinel:
            return int(sentinel.execute_command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", MASTER)[1])

    def replicas(self) -> int:
        """How many replicas the first sentinel knows."""
        with redis.Redis(port=self.ports[0]) as sentinel:
            return int(sentinel.sentinel_master(MASTER)["num-slaves"])  # type: ignore[index]


@contextmanager
def sentinels(folder: Path, *acl: str) -> Iterator[Sentinels]:
    """Run three sentinels over a master and two replicas.

    :param acl: users of the servers, in the form of `ACL SETUSER`.
    """
    program = shutil.which("redis-sentinel") or shutil.which("redis-server")
    assert program
    ports = free_ports(6)
    users = [part for user in acl for part in ("--user", *user.split())]
    with ExitStack() as stack:
        servers = []
        for number, port in enumerate(ports[:3]):
            place = folder / f"redis-{number}"
            place.mkdir(parents=True)
            follow = ["--replicaof", "127.0.0.1", str(ports[0])] if number else []
            # A replica that has just come up answers with what it has.
            options = ["--port", str(port), "--repl-diskless-sync-delay", "0", *follow, *users]
            servers.append(stack.enter_context(redis_server(place, *options)))
        for number, port in enumerate(ports[3:]):
            place = folder / f"sentinel-{number}"
            place.mkdir()
            configuration = place / "sentinel.conf"
            configuration.write_text(
                f"port {port}\nbind 127.0.0.1\nsentinel monitor {MASTER} 127.0.0.1 {ports[0]} 2\n"
                f"sentinel down-after-milliseconds {MASTER} 1000\nsentinel failover-timeout {MASTER} 5000\n"
            )
            process = subprocess.Popen(
                [program, str(configuration), "--sentinel"], cwd=place, stdout=subprocess.DEVNULL
            )
            stack.callback(process.wait, _SECONDS)
            stack.callback(process.terminate)
        fleet = Sentinels(ports[3:], servers)
        until(lambda: fleet.replicas() == 2 and _others(fleet) == 2)
        yield fleet


def _others(fleet: Sentinels) -> int:
    with redis.Redis(port=fleet.ports[0]) as sentinel:
        return int(sentinel.sentinel_master(MASTER)["num-other-sentinels"])  # type: ignore[index]


@contextmanager
def cluster(folder: Path, *acl: str) -> Iterator[list[RedisServer]]:
    """Run a cluster of three servers and a replica of the first; each one's port is its `port`.

    :param acl: users of the servers, in the form of `ACL SETUSER`.
    """
    ports = free_ports(8)
    users = [part for user in acl for part in ("--user", *user.split())]
    with ExitStack() as stack:
        servers = []
        for number, (port, bus) in enumerate(zip(ports[:4], ports[4:], strict=True)):
            place = folder / f"node-{number}"
            place.mkdir(parents=True)
            options = ["--port", str(port), "--cluster-enabled", "yes", "--cluster-port", str(bus), *users]
            options += ["--cluster-node-timeout", "2000", "--repl-diskless-sync-delay", "0"]
            servers.append(stack.enter_context(redis_server(place, *options)))
        share = -(-_SLOTS // 3)
        for number, server in enumerate(servers[:3]):
            first, last = number * share, min((number + 1) * share, _SLOTS) - 1
            server.client.execute_command("CLUSTER", "ADDSLOTSRANGE", first, last)
        for server in servers[1:]:
            server.client.execute_command("CLUSTER", "MEET", "127.0.0.1", ports[0], ports[4])
        first_id, replica = servers[0].client.execute_command("CLUSTER", "MYID"), servers[3].client
        until(lambda: replica.execute_command("CLUSTER", "REPLICATE", first_id) == b"OK")
        until(lambda: replica.info("replication")["master_link_status"] == "up")  # type: ignore[index]
        for server in servers:
            until(lambda server=server: b"cluster_state:ok" in server.client.execute_command("CLUSTER", "INFO"))  # type: ignore[misc]
        yield servers


def until(condition: Callable[[], bool]) -> None:
    """Wait until it holds; a server that is not up yet does not count."""
    deadline = time.monotonic() + _SECONDS
    while True:
        try:
            if condition():
                return
        except (redis.ConnectionError, redis.ResponseError, KeyError):
            pass
        assert time.monotonic() < deadline
        time.sleep(0.02)
