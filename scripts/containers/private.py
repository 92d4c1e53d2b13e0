"""An engine of our own, for machines that have none: Debian's packages, with data and socket in `.local/containers`.

It ends with the process that started it, by its own process id, and leaves nothing behind but its images, so that the
next one need not build them again. One that was killed is cleaned up after by the next.
"""

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from scripts import packages
from scripts.processes import die_with, is_running

from .client import HOME, Client, EngineError
from .network import State, restore

PACKAGES = {"docker.io": "dockerd", "iptables": "iptables", "iproute2": "ip"}
START_SECONDS = 60
STOP_SECONDS = 60
# The kernel's limit for a unix socket's path, less what containerd's adds to the folder's.
LONGEST_FOLDER = 107 - len("/containerd/containerd-debug.sock.ttrpc")

_SOCKET = HOME / "docker.sock"
_PIDFILE = HOME / "dockerd.pid"
_LOG = HOME / "dockerd.log"
_DATA = HOME / "data"
_EXEC = HOME / "exec"
# How the network was before; there while an engine runs, or after one was killed.
_BEFORE = HOME / "network.json"


@contextlib.contextmanager
def private_engine() -> Iterator[str]:
    """Run it; the value is its DOCKER_HOST. Raises EngineError where that cannot be."""
    _prepare()
    with _alone():
        _end_leftover()
        _refuse_beside_others()
        # One that is there already is of before the engine that was killed.
        if not _BEFORE.exists():
            State.now().save(_BEFORE)
        try:
            yield from _running()
        finally:
            _unmount()
            restore(State.load(_BEFORE))
            _BEFORE.unlink()
            shutil.rmtree(_EXEC, ignore_errors=True)


def _prepare() -> None:
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise EngineError(
            "No Docker engine answers: start Docker, or set DOCKER_HOST. (As root on Debian one is started here.)"
        )
    if len(str(_EXEC)) > LONGEST_FOLDER:
        raise EngineError(
            f"{_EXEC} is too long a path for an engine's sockets: move the checkout up, or set DOCKER_HOST."
        )
    if not packages.provide(PACKAGES):
        raise EngineError("No Docker engine answers, and the packages for one could not be installed: see above.")
    HOME.mkdir(parents=True, exist_ok=True)


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    with (HOME / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise EngineError(
                f"Another run has this checkout's own engine: wait for its end, or use it with DOCKER_HOST=unix://{_SOCKET}."
            ) from None
        yield


def _end_leftover() -> None:
    """End an engine of this folder whose starter is gone."""
    try:
        pid = int(_PIDFILE.read_text())
        command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (OSError, ValueError):
        return
    # The number may be another process' by now.
    if str(_DATA).encode() in command:
        _end(pid)


def _refuse_beside_others() -> None:
    # A second engine empties the first one's chains when it starts; one in a container has a network of its own.
    network = Path("/proc/self/ns/net").readlink()
    for comm in Path("/proc").glob("[0-9]*/comm"):
        with contextlib.suppress(OSError):
            if comm.read_text().strip() != "dockerd" or (comm.parent / "ns" / "net").readlink() != network:
                continue
            if is_running(int(comm.parent.name)):
                raise EngineError(
                    f"Another Docker engine runs here (process {comm.parent.name}): set DOCKER_HOST to its socket, "
                    "or end it."
                )


def _running() -> Iterator[str]:
    parent = os.getpid()
    # containerd ends with its engine; one that nobody has reaped yet would be waited for in vain.
    for stale in (_PIDFILE, _SOCKET, _EXEC / "containerd" / "containerd.pid"):
        stale.unlink(missing_ok=True)
    command: list[str | Path] = [
        "dockerd",
        "--data-root",
        _DATA,
        "--exec-root",
        _EXEC,
        "--host",
        f"unix://{_SOCKET}",
        "--pidfile",
        _PIDFILE,
    ]
    with _LOG.open("wb") as log:
        process = subprocess.Popen(
            [*command, "--ip6tables=false"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            # Ctrl-C is for whoever uses it, and who then ends it.
            start_new_session=True,
            preexec_fn=lambda: die_with(parent),  # noqa: PLW1509 - before any thread
        )
    host = f"unix://{_SOCKET}"
    client = Client(os.environ | {"DOCKER_HOST": host})
    try:
        _wait(process, client)
        _clear(client)
        yield host
        _clear(client)
    finally:
        # The engine of a run that failed still has its containers and their rules; it takes them with it.
        if process.poll() is None:
            with contextlib.suppress(EngineError):
                _clear(client)
        _end(process.pid)
        process.wait()


def _wait(process: "subprocess.Popen[bytes]", client: Client) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not client.version():
        if process.poll() is not None or time.monotonic() > deadline:
            words = _LOG.read_text(errors="replace").splitlines()[-3:]
            raise EngineError("\n".join(["The engine of this checkout does not start; its log ends with:", *words]))
        time.sleep(0.1)


def _clear(client: Client) -> None:
    """Remove all but images: containers, networks (and so their bridges and rules), volumes."""
    if containers := client.docker("ps", "--all", "--quiet").split():
        client.docker("rm", "--force", "--volumes", *containers)
    client.docker("network", "prune", "--force")
    if volumes := client.docker("volume", "ls", "--quiet").split():
        client.docker("volume", "rm", "--force", *volumes)


def _end(pid: int) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
        deadline = time.monotonic() + STOP_SECONDS
        while is_running(pid) and time.monotonic() < deadline:
            time.sleep(0.05)


def _unmount() -> None:
    """Let go of what the engine has mounted in its folders, so that they can be removed."""
    mounted = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    for path in reversed([path for path in mounted if path.startswith((f"{_EXEC}/", str(_DATA)))]):
        subprocess.run(["umount", path], check=False, capture_output=True)
