"""The node of one's own: it ends with whoever started it, however that ends, and leaves the machine as it was."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from scripts.chart_tools import ROOT
from scripts.cluster import configuration, programs
from scripts.cluster.node import HOME
from tests.cluster.cluster import wait_until

COMMAND = [sys.executable, "-m", "scripts.cluster"]
NETWORK = (["-brief", "address"], ["route"])


def state() -> dict[str, set[str]]:
    """What a node touches: addresses and routes, mounts, cgroups, processes, its folders."""
    found = [subprocess.run(["ip", *words], capture_output=True, text=True, check=True).stdout for words in NETWORK]
    return {
        "network": {line for line in "".join(found).splitlines() if configuration.HOST_ADDRESS in line},
        "mounts": {line for line in Path("/proc/mounts").read_text().splitlines() if str(HOME) in line},
        "cgroups": set(map(str, Path("/sys/fs/cgroup").glob("**/auth0-flask-*"))),
        "processes": set(servers()),
        "folders": {path.name for path in HOME.glob("*") if path.name != "logs"},
    }


def servers() -> Iterator[str]:
    """Processes of a node: Kubernetes' own, and those that were told where its files are."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            words = path.read_text(errors="replace").split("\0")
            if Path(words[0]).name in programs.SERVERS or any(str(HOME) in word for word in words):
                yield f"{path.parent.name} {' '.join(words)}"


def left(before: dict[str, set[str]]) -> dict[str, set[str]]:
    """What there is now and was not before."""
    return {name: new for name, found in state().items() if (new := found - before[name])}


@contextmanager
def started() -> Iterator["subprocess.Popen[str]"]:
    """`python -m scripts.cluster`, with its node ready."""
    with subprocess.Popen(
        COMMAND,
        cwd=ROOT,
        env=os.environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout
            said = process.stdout.readline()
            assert said.startswith("export KUBECONFIG="), said + (process.stderr.read() if process.stderr else "")
            yield process
        finally:
            process.kill()


def test_a_node_leaves_nothing_when_it_is_called_off_or_killed_and_is_alone(images: object) -> None:
    before = state()
    load = [*COMMAND, "load", programs.ensure().kubernetes / "pause.tar"]
    refused = subprocess.run(load, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "start one with `python -m scripts.cluster`" in refused.stderr
    with started() as process:
        # What CLUSTER_LOAD is set to.
        subprocess.run(load, cwd=ROOT, check=True, timeout=60)
        assert left(before).keys() >= {"network", "processes", "folders", "cgroups"}
        second = subprocess.run(COMMAND, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
        assert (second.returncode, second.stdout) == (1, "")
        assert "Another node runs on this machine" in second.stderr
        process.kill()
    # The kernel ends what has lost its first process; its network may take a minute, and the rest is for the next one.
    wait_until(lambda: not left(before).keys() & {"mounts", "processes"}, "the end of all servers")
    assert "run" in left(before)["folders"]
    with started() as process:
        process.send_signal(signal.SIGTERM)
        assert process.wait(120) == 0
    assert left(before) == {}
