"""The engine that is started where none is: it ends with its user, and leaves the machine's network as it was.

Each test has a network, mounts and process ids of its own, so that it neither meets nor disturbs another engine.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from scripts.containers.client import ROOT
from scripts.processes import is_running

# Somebody else's rules, which must stay.
NETWORK = """
ip link set lo up
iptables -A FORWARD -s 10.9.9.0/24 -j ACCEPT
iptables -t nat -N MINE
echo 0 >/proc/sys/net/ipv4/ip_forward
"""
# Start the engine and a container with a published port in a network of its own; say so; wait to be ended.
USER = """
import os, sys, time
from scripts.containers.client import Client
from scripts.containers.private import private_engine
with private_engine() as host:
    client = Client({**os.environ, "DOCKER_HOST": host})
    client.docker("import", "--change", 'CMD ["/bin/sleep", "600"]', "root.tar", "sleeper")
    client.docker("network", "create", "a-network")
    client.docker("run", "--detach", "--network", "a-network", "--publish", "127.0.0.1:8080:80", "sleeper")
    print(client.docker("ps", "--format", "{{.Status}}"), flush=True)
    if sys.argv[1:] == ["--stay"]:
        time.sleep(600)
"""
STATE = """
import contextlib, dataclasses, json
from pathlib import Path
from scripts.containers.network import State
from scripts.processes import is_running
names = []
for path in Path("/proc").glob("[0-9]*"):
    # One may end while this looks.
    with contextlib.suppress(OSError):
        name = (path / "comm").read_text().strip()
        names += [name] if is_running(int(path.name)) else []
mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
print(json.dumps({
    "network": dataclasses.asdict(State.now()),
    "processes": sorted(name for name in names if name.startswith(("dockerd", "containerd", "docker-proxy", "sleep"))),
    # Of another checkout's engine this sees what goes, not what comes.
    "mounts": [path for path in mounts if path.startswith(f"{Path.cwd()}/.local/containers")],
}))
"""


@dataclass
class Machine:
    """A checkout, and a process that holds the namespaces in which its commands run."""

    folder: Path
    holder: "subprocess.Popen[bytes]"

    def enter(self, *command: str) -> list[str]:
        """The command line that runs *command* in there."""
        (child,) = children(self.holder.pid)
        return ["nsenter", "--target", str(child), "--net", "--mount", "--pid", f"--wd={self.folder}", *command]

    def python(self, program: str, *arguments: str) -> list[str]:
        """The same for a program in Python."""
        return self.enter(sys.executable, "-c", program, *arguments)

    def state(self) -> dict[str, object]:
        """What an engine touches."""
        output = subprocess.run(self.python(STATE), capture_output=True, text=True, check=True).stdout
        return dict(json.loads(output))


@pytest.fixture
def machine() -> Iterator[Machine]:
    """One without an engine."""
    # Sockets' paths are short.
    folder = Path(tempfile.mkdtemp(prefix="e"))
    shutil.copytree(ROOT / "scripts", folder / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
    libraries = [word for word in subprocess.check_output(["ldd", "/bin/sleep"], text=True).split() if word[0] == "/"]
    subprocess.run(["tar", "-chf", folder / "root.tar", "/bin/sleep", *libraries], check=True, capture_output=True)
    holder = subprocess.Popen(
        [
            "unshare",
            "--net",
            "--mount",
            "--pid",
            "--fork",
            "--kill-child",
            "--mount-proc",
            "sh",
            "-c",
            NETWORK + "exec tail -f /dev/null",
        ],
        stdin=subprocess.DEVNULL,
    )
    try:
        machine = Machine(folder, holder)
        wait_until(lambda: children(holder.pid))
        wait_until(lambda: machine.state()["network"]["forwarding"] == "0")  # type: ignore[index]
        yield machine
    finally:
        inside = children(holder.pid)
        holder.kill()
        holder.wait()
        # The first process of a namespace is the last to go: until then an engine may write into the folder.
        wait_until(lambda: not any(map(is_running, inside)))
        shutil.rmtree(folder)


def children(pid: int) -> list[int]:
    """The process ids, as this test sees them."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def user_of(process: "subprocess.Popen[str]") -> int:
    """The engine's user, which nsenter has forked."""
    (user,) = children(process.pid)
    return user


def kill(pid: int) -> None:
    """Without a chance to clean up."""
    os.kill(pid, signal.SIGKILL)


def wait_until(condition: object, seconds: float = 60) -> None:
    """Wait until *condition*, a function, is true."""
    deadline = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_it_runs_containers_and_leaves_neither_rule_nor_bridge_nor_mount_nor_process(machine: Machine) -> None:
    before = machine.state()
    for _ in range(2):
        output = subprocess.run(machine.python(USER), capture_output=True, text=True, check=False, timeout=110)
        assert (output.stdout[:2], output.returncode) == ("Up", 0), output.stderr
        assert machine.state() == before


def test_a_run_that_is_killed_takes_its_engine_with_it_and_the_next_one_cleans_up(machine: Machine) -> None:
    before = machine.state()
    with subprocess.Popen(machine.python(USER, "--stay"), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline().startswith("Up")
        kill(user_of(process))
    wait_until(lambda: "dockerd" not in str(machine.state()["processes"]))
    assert machine.state()["network"] != before["network"]
    output = subprocess.run(machine.python(USER), capture_output=True, text=True, check=False, timeout=110)
    assert output.returncode == 0, output.stderr
    assert machine.state() == before


def test_an_engine_that_is_killed_is_cleaned_up_after(machine: Machine) -> None:
    before = machine.state()
    with subprocess.Popen(machine.python(USER, "--stay"), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline().startswith("Up")
        user = user_of(process)
        (engine,) = children(user)
        # In this order the engine has no time to end in peace.
        kill(engine)
        kill(user)
    # The container runs on without it.
    assert "sleep" in str(machine.state()["processes"])
    output = subprocess.run(machine.python(USER), capture_output=True, text=True, check=False, timeout=110)
    assert output.returncode == 0, output.stderr
    assert machine.state() == before


def test_it_is_not_started_beside_another(machine: Machine) -> None:
    with subprocess.Popen(machine.python(USER, "--stay"), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline().startswith("Up")
        same = subprocess.run(machine.python(USER), capture_output=True, text=True, check=False, timeout=60)
        assert "EngineError: Another run has this checkout's own engine" in same.stderr
        shutil.copytree(machine.folder / "scripts", machine.folder / "other" / "scripts")
        other = machine.python(f"import os; os.chdir('other'); {USER}".replace("; \n", "\n"))
        refused = subprocess.run(other, capture_output=True, text=True, check=False, timeout=60)
        assert "EngineError: Another Docker engine runs here" in refused.stderr
        kill(user_of(process))


def test_it_is_started_beside_one_with_a_network_of_its_own(machine: Machine) -> None:
    shutil.copy("/bin/sleep", machine.folder / "dockerd")
    with subprocess.Popen(machine.enter("unshare", "--net", "./dockerd", "600")) as other:
        wait_until(lambda: "dockerd" in str(machine.state()["processes"]))
        output = subprocess.run(machine.python(USER), capture_output=True, text=True, check=False, timeout=110)
        kill(user_of(other))
    assert (output.stdout[:2], output.returncode) == ("Up", 0), output.stderr
