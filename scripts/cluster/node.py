"""The node: `with node() as cluster:` has a Kubernetes that is ready, and nothing of it is left afterwards.

Its servers run in a network, mounts and process ids of their own, below one process that ends with this one, however
that ends; with it the kernel ends all others. What a run that was killed leaves, the next one removes.
"""

import contextlib
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from scripts.chart_tools import BIN, ROOT
from scripts.processes import die_with, is_running

from . import cgroups, configuration, programs
from .errors import ClusterError
from .store import alone

HOME = ROOT / ".local" / "cluster"
KUBECTL = BIN / "kubectl"
_HERE = Path(__file__).parent
_RUN = HOME / "run"
_LOGS = HOME / "logs"
# Below the limit of 15 characters; gone with the node's network.
_LINK = "auth0node"
_CGROUP = f"auth0-flask-{hashlib.sha256(str(HOME).encode()).hexdigest()[:8]}"
# The servers weigh as much as all pods together. Under load the Service learns late of a pod that leaves otherwise.
_SERVERS = f"{_CGROUP}-servers"
# The kernel's limit for a unix socket's path, less what the kubelet adds.
_LONGEST_FOLDER = 107 - len("/kubelet/pod-resources/kubelet.sock")
# A claim takes one for good, and the suite may run several times on one node.
_VOLUMES = 20
_START_SECONDS = 120
_STOP_SECONDS = 30


class Node:
    """A node that runs: `kubeconfig` is for whoever administers it."""

    def __init__(self, parent: int, run: Path) -> None:
        self.kubeconfig = run / "admin.conf"
        self.run = run
        self._parent = parent

    @property
    def pid(self) -> int:
        """The node's first process. Raises ClusterError where it has ended."""
        children: list[str] = []
        with contextlib.suppress(OSError):
            children = Path(f"/proc/{self._parent}/task/{self._parent}/children").read_text().split()
        if not children:
            raise ClusterError(f"The node ended: see {self.run / 'log'}.")
        return int(children[0])

    def load(self, *archives: Path) -> None:
        """Bring images into it, from archives as `docker save` writes them."""
        for archive in archives:
            ctr: list[str | Path] = [
                self.run / "debian" / "usr/bin/ctr",
                "--address",
                "/run/containerd/containerd.sock",
                "--namespace",
                "k8s.io",
            ]
            self.enter([*ctr, "images", "import", archive], "--mount")

    def enter(self, command: Sequence[str | Path], *namespaces: str) -> str:
        """Run a command inside; what it prints. Raises ClusterError."""
        result = subprocess.run(
            ["nsenter", "--target", str(self.pid), *namespaces, *command],
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        if result.returncode:
            raise ClusterError(f"`{command[0]}` failed in the node: {result.stderr.strip()}")
        return result.stdout

    def kubectl(self, *arguments: str | Path) -> str:
        """What kubectl prints. Raises ClusterError."""
        command = [KUBECTL, "--kubeconfig", self.kubeconfig, *arguments]
        result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
        if result.returncode:
            raise ClusterError(f"`kubectl {' '.join(map(str, arguments))}` failed: {result.stderr.strip()}")
        return result.stdout


@contextlib.contextmanager
def node() -> Iterator[Node]:
    """Run one. Raises ClusterError where that cannot be."""
    if os.geteuid() != 0:
        raise ClusterError(
            "A node of one's own needs root: run this as root, or set KUBECONFIG to a cluster that is there."
        )
    if len(str(_RUN)) > _LONGEST_FOLDER:
        raise ClusterError(f"{_RUN} is too long a path for a node's sockets: move the checkout up, or set KUBECONFIG.")
    _filter_bridges(Path("/proc/sys/net/bridge"))
    parts = programs.ensure()
    try:
        with alone("node", wait=False):
            _end_leftover()
            try:
                yield from _running(parts)
            finally:
                _remove()
    except BlockingIOError:
        raise ClusterError("Another node runs on this machine: wait for its end, or set KUBECONFIG.") from None


def started() -> Node:
    """The one that another process has started from this checkout. Raises ClusterError where there is none."""
    pid = _pid()
    if pid is None:
        raise ClusterError("No node of this checkout runs: start one with `python -m scripts.cluster`.")
    return Node(pid, _RUN)


def _filter_bridges(settings: Path) -> None:
    """Have the kernel show traffic between pods, which is of one bridge, to the rules; *settings* are there then."""
    if settings.exists():
        return
    result = subprocess.run([_system("modprobe"), "br_netfilter"], capture_output=True, text=True, check=False)
    if result.returncode:
        raise ClusterError(
            f"The kernel's module br_netfilter, for policies between pods, cannot be loaded ({result.stderr.strip()}):"
            " load it on the machine that this runs on, or set KUBECONFIG to a cluster that is there."
        )


def _running(parts: programs.Programs) -> Iterator[Node]:
    for name in (_CGROUP, _SERVERS):
        cgroups.make(name)
    _RUN.mkdir(parents=True)
    shutil.rmtree(_LOGS, ignore_errors=True)
    _LOGS.mkdir()
    (_RUN / "log").symlink_to(_LOGS)
    (_RUN / "debian").symlink_to(parts.debian)
    configuration.write(_RUN, parts, _system("runc"), f"/{_CGROUP}")
    process = _start(parts)
    (_RUN / "pid").write_text(str(process.pid))
    try:
        running = Node(process.pid, _RUN)
        _wait(lambda: bool(running.pid), "its first process", process)
        _connect(running.pid)
        _wait(
            lambda: _works(running.enter, ["test", "-S", "/run/containerd/containerd.sock"], "--mount"),
            "containerd",
            process,
        )
        running.load(*(parts.kubernetes / f"{name}.tar" for name in programs.IMAGES))
        _wait(lambda: _works(running.kubectl, "get", "--raw", "/readyz"), "the API server", process)
        running.kubectl("apply", "--filename", _HERE / "system.yaml")
        _offer_volumes(running)
        _wait(lambda: _works(running.kubectl, "get", "node", configuration.NODE), "the node's registration", process)
        running.kubectl("wait", "--for=condition=Ready", f"node/{configuration.NODE}", f"--timeout={_START_SECONDS}s")
        running.kubectl(
            "--namespace=kube-system", "rollout", "status", "deployment/coredns", f"--timeout={_START_SECONDS}s"
        )
        yield running
    finally:
        _end(process.pid)
        process.wait()


def _start(parts: programs.Programs) -> "subprocess.Popen[bytes]":
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "RUN": str(_RUN),
        "KUBERNETES": str(parts.kubernetes),
        "DEBIAN": str(parts.debian),
        "KUBECTL": str(KUBECTL),
        "PYTHON": sys.executable,
        "POLICIES": str(_HERE / "policies.py"),
        "NODE": configuration.NODE,
        "HOST_ADDRESS": configuration.HOST_ADDRESS,
        "NODE_ADDRESS": configuration.NODE_ADDRESS,
        "PODS": configuration.PODS,
        "SERVICES": configuration.SERVICES,
    }
    command = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "bash", str(_HERE / "node.sh")]
    parent = os.getpid()

    def prepare() -> None:
        die_with(parent, signal.SIGKILL)
        cgroups.join(_SERVERS)

    with (_LOGS / "node.log").open("wb") as log:
        return subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            # Ctrl-C is for whoever uses it, and who then ends it.
            start_new_session=True,
            preexec_fn=prepare,  # noqa: PLW1509 - before any thread
        )


def _connect(pid: int) -> None:
    """A cable to the node's network: the API server is reached over it, and nothing else."""
    ip = _system("ip")
    for command in (
        f"link add {_LINK} type veth peer name node0",
        f"address add {configuration.HOST_ADDRESS}/30 dev {_LINK}",
        f"link set {_LINK} up",
        f"link set node0 netns {pid}",
    ):
        subprocess.run([ip, *command.split()], check=True, capture_output=True)


def _offer_volumes(running: Node) -> None:
    """Some volumes for whoever claims one: folders, as nobody here makes them when they are asked for."""
    here = {"key": "kubernetes.io/hostname", "operator": "In", "values": [configuration.NODE]}
    volumes = []
    for number in range(_VOLUMES):
        folder = _RUN / "volumes" / str(number)
        folder.mkdir(parents=True)
        volumes.append(
            {
                "apiVersion": "v1",
                "kind": "PersistentVolume",
                "metadata": {"name": f"volume-{number}"},
                "spec": {
                    "capacity": {"storage": "1Gi"},
                    "accessModes": ["ReadWriteOnce"],
                    "local": {"path": str(folder)},
                    "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [here]}]}},
                },
            }
        )
    file = _RUN / "volumes.json"
    file.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": volumes}))
    running.kubectl("apply", "--filename", file)


def _wait(true: object, what: str, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not _holds(true):
        if process.poll() is not None or time.monotonic() > deadline:
            raise ClusterError(f"The node does not start, for want of {what}: see the logs in {_LOGS}.")
        time.sleep(0.1)


def _holds(true: object) -> bool:
    try:
        return bool(true())  # type: ignore[operator]
    except ClusterError:
        return False


def _works(run: object, *arguments: object) -> bool:
    run(*arguments)  # type: ignore[operator]
    return True


def _end_leftover() -> None:
    """End the node of a run that is gone, and remove what is left of it."""
    pid = _pid()
    if pid is not None:
        _end(pid)
    _remove()


def _pid() -> int | None:
    """Of the process that has the node's first one as its child."""
    with contextlib.suppress(OSError, ValueError):
        pid = int((_RUN / "pid").read_text())
        # The number may be another process' by now.
        if str(_HERE / "node.sh").encode() in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0"):
            return pid
    return None


def _end(pid: int) -> None:
    # unshare heeds no other signal. With it ends its child, and with that, by the kernel, all that are below.
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + _STOP_SECONDS
    while is_running(pid) and time.monotonic() < deadline:
        time.sleep(0.05)


def _remove() -> None:
    subprocess.run([_system("ip"), "link", "delete", _LINK], check=False, capture_output=True)
    for name in (_CGROUP, _SERVERS):
        cgroups.remove(name)
    deadline = time.monotonic() + _STOP_SECONDS
    # Until the kernel has let go of the last mount in it.
    while _RUN.exists() and time.monotonic() < deadline:
        shutil.rmtree(_RUN, ignore_errors=True)


def _system(name: str) -> str:
    found = shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"]))
    if not found:
        raise ClusterError(f"{name} is missing: install it, or set KUBECONFIG to a cluster that is there.")
    return found
