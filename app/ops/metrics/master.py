"""What gunicorn's master knows of its workers, for its port of the metrics."""

import os
import platform
import resource
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from pathlib import Path

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from . import declared
from .declared import Metric

Family = CounterMetricFamily | GaugeMetricFamily

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_TICK_SECONDS = 1 / os.sysconf("SC_CLK_TCK")
# A worker that has ended since its id was taken down: there is no such file, or nothing behind one that is open.
_ENDED = (FileNotFoundError, ProcessLookupError)


class Master(Collector):
    """Made in the master as it starts.

    :param workers: returns the process ids of those that are running.
    :param unreadable: returns how many of their files were left out of the answer that this is a part of.
    """

    def __init__(
        self,
        workers: Callable[[], Collection[int]],
        version: str,
        session_backend: str,
        unreadable: Callable[[], int] = lambda: 0,
    ) -> None:
        self._workers = workers
        self._unreadable = unreadable
        self._info = [version, platform.python_version(), session_backend]
        self._ends = dict.fromkeys(declared.WORKER_ENDS.labels["reason"], 0)
        self._started = time.time()
        self._cpu_seconds = 0.0

    def worker_ended(self, *, asked: bool) -> None:
        """Count the end of a worker, and whether it was asked to."""
        self._ends["asked" if asked else "crashed"] += 1

    def collect(self) -> Iterator[Family]:
        """Look at the processes."""
        workers = self._workers()
        yield _family(declared.INFO, {tuple(self._info): 1})
        yield _family(declared.STARTED, {(): self._started})
        yield _family(declared.WORKERS, {(): len(workers)})
        yield _family(declared.WORKER_ENDS, {(reason,): count for reason, count in self._ends.items()})
        yield _family(declared.FILES_UNREADABLE, {(): self._unreadable()})
        resident = [_resident_bytes(pid) for pid in workers]
        yield _family(declared.WORKER_RESIDENT, {(): max(resident, default=0)})
        yield _family(declared.RESIDENT, {(): sum(resident) + _resident_bytes(os.getpid())})
        yield _family(declared.CPU, {(): self._cpu(workers)})

    def _cpu(self, workers: Collection[int]) -> float:
        # Those that have ended first: one that ends in between is missed for a moment, and not counted twice.
        ended = resource.getrusage(resource.RUSAGE_CHILDREN)
        total = ended.ru_utime + ended.ru_stime + time.process_time() + sum(map(_cpu_seconds, workers))
        self._cpu_seconds = max(self._cpu_seconds, total)
        return self._cpu_seconds


def _family(metric: Metric, values: dict[tuple[str, ...], float]) -> Family:
    made: Family
    if metric.kind == "counter":
        made = CounterMetricFamily(metric.name, metric.help, labels=tuple(metric.labels))
    else:
        made = GaugeMetricFamily(metric.name, metric.help, labels=tuple(metric.labels))
    for labels, value in values.items():
        made.add_metric(labels, value)
    return made


def _resident_bytes(pid: int) -> int:
    with suppress(*_ENDED):
        return int(_read(pid, "statm").split()[1]) * _PAGE_BYTES
    return 0


def _cpu_seconds(pid: int) -> float:
    with suppress(*_ENDED):
        # The command, in brackets, may hold anything; what follows are numbers (proc_pid_stat(5): 14 and 15).
        fields = _read(pid, "stat").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) * _TICK_SECONDS
    return 0.0


def _read(pid: int, name: str) -> str:
    return Path(f"/proc/{pid}/{name}").read_text()
