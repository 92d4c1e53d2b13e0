"""What the kernel says of a process: its CPU time, its memory, its children."""

import os
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
_TICK_SECONDS = 1 / os.sysconf("SC_CLK_TCK")
# Counted from behind the name in parentheses, which may hold anything (proc(5)).
_PARENT = 1
_USER_TICKS = 11
_SYSTEM_TICKS = 12


def children(pid: int) -> list[int]:
    """The processes whose parent is *pid*."""
    found = []
    for entry in _PROC.glob("[0-9]*"):
        try:
            if int(_fields(int(entry.name))[_PARENT]) == pid:
                found.append(int(entry.name))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def cpu_seconds(pid: int) -> float:
    """User and system time of all its threads so far, those that have ended too."""
    fields = _fields(pid)
    return (int(fields[_USER_TICKS]) + int(fields[_SYSTEM_TICKS])) * _TICK_SECONDS


@dataclass(frozen=True)
class Memory:
    """In MiB. What is shared counts fully in `resident`, by its share in `proportional`, not in `unshared`."""

    resident: float
    proportional: float
    unshared: float


def memory(pid: int) -> Memory:
    """The memory of a process now."""
    kibibytes = {}
    for line in (_PROC / str(pid) / "smaps_rollup").read_text().splitlines()[1:]:
        name, _, value = line.partition(":")
        kibibytes[name] = int(value.split()[0])
    unshared = kibibytes["Private_Clean"] + kibibytes["Private_Dirty"]
    return Memory(kibibytes["Rss"] / 1024, kibibytes["Pss"] / 1024, unshared / 1024)


def pin(pid: int, core: int) -> None:
    """Keep every thread of a process on one core."""
    for task in (_PROC / str(pid) / "task").iterdir():
        os.sched_setaffinity(int(task.name), {core})


def _fields(pid: int) -> list[str]:
    return (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
