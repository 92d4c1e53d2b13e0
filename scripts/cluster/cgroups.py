"""A subtree for the node in the machine's cgroups, of either version."""

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
_SECONDS = 10
# Of processor time, where others want it too: the processes of a subtree together are one among all others, unless this
# says that they are many. In the first version of cgroups, and in the second.
_WEIGHTS = {"cpu.shares": "16384", "cpu.weight": "1600"}


def make(name: str) -> None:
    """Make it in each hierarchy, with the processors and memory that the machine has."""
    for hierarchy in _hierarchies():
        folder = hierarchy / name
        folder.mkdir(exist_ok=True)
        for setting in ("cpuset.cpus", "cpuset.mems"):
            # A child begins without any, and takes no process.
            if not (ROOT / "cgroup.controllers").exists() and (hierarchy / setting).exists():
                (folder / setting).write_text((hierarchy / setting).read_text())
        for setting, weight in _WEIGHTS.items():
            if (folder / setting).exists():
                (folder / setting).write_text(weight)


def join(name: str) -> None:
    """Have this process, and what it starts, weighed as that subtree is."""
    for hierarchy in _hierarchies():
        if any((hierarchy / name / setting).exists() for setting in _WEIGHTS):
            (hierarchy / name / "cgroup.procs").write_text("0")


def remove(name: str) -> None:
    """Remove it with all below, whose processes have ended or are about to."""
    deadline = time.monotonic() + _SECONDS
    while folders := [hierarchy / name for hierarchy in _hierarchies() if (hierarchy / name).exists()]:
        for folder in folders:
            # A group's files are not to be removed; the deepest first.
            for group in sorted((path for path in folder.rglob("*") if path.is_dir()), reverse=True):
                with contextlib.suppress(OSError):
                    group.rmdir()
            with contextlib.suppress(OSError):
                folder.rmdir()
        if time.monotonic() > deadline:
            return
        time.sleep(0.05)


def _hierarchies() -> Iterator[Path]:
    if (ROOT / "cgroup.controllers").exists():
        yield ROOT
    else:
        yield from (path.parent for path in ROOT.glob("*/cgroup.procs"))
