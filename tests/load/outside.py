"""The processes of the compose stack once more, without containers: the same files, variables, secrets and data.

Each runs with its image as root (chroot(2)) and a table of mounts of its own, so that nothing stays mounted. It has no
network, control group or filter of system calls of its own, its files lie on no overlay, its log goes to a file.
Only root can start them, on the machine of the engine.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from scripts.stack.rolling import REPLICAS
from tests.compose.stack import Stack, wait_until
from tests.servers.ports import free_ports

SERVICES = ("redis", *REPLICAS, "nginx")
# What a container finds there too; its /tmp is memory as well.
_BECOME = """
import json, os, subprocess, sys
root, sockets, user, folder, command = json.loads(sys.argv[1])
for at, source in {"/dev": "/dev", "/proc": "/proc", "/run/app": sockets}.items():
    subprocess.run(["mount", "--rbind", source, root + at], check=True)
subprocess.run(["mount", "-t", "tmpfs", "tmpfs", root + "/tmp"], check=True)
os.chroot(root)
os.chdir(folder)
os.setgroups([])
os.setgid(user)
os.setuid(user)
os.execvpe(command[0], command, os.environ)
"""
_USER = 65_532
_STOP_SECONDS = 90


@dataclass(frozen=True)
class Outside:
    """The running processes: the first of each service, and the port that nginx listens on."""

    port: int
    processes: dict[str, int]


@contextmanager
def outside(stack: Stack, folder: Path) -> Iterator[Outside]:
    """Run them, in *folder*, until the block ends; people who are signed in at *stack* are signed in here too."""
    names = ("redis", "https", "http", "status", "metrics-1", "metrics-2")
    ports = dict(zip(names, free_ports(len(names)), strict=True))
    sockets = folder / "sockets"
    sockets.mkdir()
    os.chown(sockets, _USER, _USER)
    changes: dict[str, dict[str, str]] = {
        "redis": {},
        "app-1": {"METRICS_BIND": f"127.0.0.1:{ports['metrics-1']}"},
        "app-2": {"METRICS_BIND": f"127.0.0.1:{ports['metrics-2']}"},
        "nginx": {
            "NGINX_LISTEN": "127.0.0.1",
            "NGINX_HTTPS_PORT": str(ports["https"]),
            "NGINX_HTTP_PORT": str(ports["http"]),
            "NGINX_STATUS_PORT": str(ports["status"]),
        },
    }
    more = {"redis": ["--tls-port", str(ports["redis"]), "--bind", "127.0.0.1"]}
    processes: dict[str, subprocess.Popen[bytes]] = {}
    with ExitStack() as running:
        for service in SERVICES:
            root = _root(stack, service, folder)
            if service == "redis":
                shutil.copy(stack.root / "deploy" / "redis" / "redis.conf", root / "usr/local/etc/redis/redis.conf")
            elif service == "nginx":
                # It leaves one alone for ten seconds that it once did not find.
                wait_until(lambda: _has_ended(processes, folder) or _listen(sockets), "the app without containers")
            else:
                _lead_to_redis(root, ports["redis"])
            configuration = stack.inspect(service)["Config"]
            variables = dict(line.split("=", 1) for line in configuration["Env"]) | changes[service]
            command = [*(configuration["Entrypoint"] or []), *(configuration["Cmd"] or []), *more.get(service, [])]
            given = [str(root), str(sockets), _USER, configuration["WorkingDir"] or "/", command]
            processes[service] = running.enter_context(_started(root, variables, given))
        origin = f"https://localhost:{ports['https']}"
        wait_until(lambda: _has_ended(processes, folder) or _answers(stack, origin), "an answer without containers")
        yield Outside(ports["https"], {service: process.pid for service, process in processes.items()})


def _root(stack: Stack, service: str, folder: Path) -> Path:
    """The files of the service's container, with those of its volumes."""
    root = folder / service
    root.mkdir()
    container = stack.container(service)
    _unpack(stack, ["export", container], root)
    for mount in stack.inspect(service)["Mounts"]:
        at = root / mount["Destination"].lstrip("/")
        if mount["Type"] == "volume" and at != root / "run/app":
            at.mkdir(parents=True, exist_ok=True)
            _unpack(stack, ["cp", f"{container}:{mount['Destination']}/.", "-"], at)
    for path in ("run/app", "tmp", "usr/local/etc/redis"):
        (root / path).mkdir(parents=True, exist_ok=True)
    return root


def _unpack(stack: Stack, command: list[str], folder: Path) -> None:
    environment = dict(stack.client.environment)
    with subprocess.Popen(["docker", *command], env=environment, stdout=subprocess.PIPE) as archive:
        unpack = ["tar", "--extract", "--numeric-owner", "--directory", folder]
        subprocess.run(unpack, stdin=archive.stdout, check=True)
    assert archive.returncode == 0, command


def _lead_to_redis(root: Path, port: int) -> None:
    (root / "etc" / "hosts").write_text("127.0.0.1 localhost redis\n")
    url = root / "run" / "secrets" / "redis_url"
    url.write_text(url.read_text().replace("@redis:6379/", f"@redis:{port}/"))


@contextmanager
def _started(root: Path, variables: dict[str, str], given: list[object]) -> Iterator["subprocess.Popen[bytes]"]:
    # The variables are those of the program; unshare(1) and mount(8) are where its PATH looks too.
    command = ["unshare", "--mount", "--propagation", "private", sys.executable, "-c", _BECOME, json.dumps(given)]
    with root.with_suffix(".log").open("wb") as log:
        # nginx opens it by its name, /dev/stdout.
        os.fchown(log.fileno(), _USER, _USER)
        process = subprocess.Popen(command, env=variables, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        finally:
            process.kill()


def _has_ended(processes: dict[str, "subprocess.Popen[bytes]"], folder: Path) -> bool:
    for service, process in processes.items():
        log = (folder / f"{service}.log").read_text(errors="replace")
        assert process.poll() is None, f"{service} has ended with {process.returncode}: {log[-2000:]}"
    return False


def _listen(sockets: Path) -> bool:
    try:
        for replica in REPLICAS:
            with socket.socket(socket.AF_UNIX) as probe:
                probe.connect(str(sockets / f"{replica}.sock"))
    except OSError:
        return False
    return True


def _answers(stack: Stack, origin: str) -> bool:
    with httpx.Client(verify=stack.trust, trust_env=False, timeout=30) as http:
        try:
            host = stack.origin.removeprefix("https://")
            return http.get(origin, headers={"Host": host}).status_code == 200
        except httpx.HTTPError:
            return False
