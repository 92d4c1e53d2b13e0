"""The files that workers keep their metrics in: added up for whoever asks, and merged as workers end.

prometheus_client has a file for each kind of metric and process, and leaves those of dead processes, so that nothing
they counted is lost: with workers that come and go there would be more and more to read. Here a worker's files are
added to those called `ended` when it ends, under the lock that readers hold too: nothing is seen twice, or not at all.

Import nothing of prometheus_client before `metrics.prepare_directory` has run, so not this module either.
"""

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from prometheus_client.metrics_core import Metric
from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

log = logging.getLogger(__name__)
_ENDED = "ended"
_ROUNDING = 1e-9
# What a value of a worker that has ended makes with another, by how their files' names begin. All other gauges are of
# live workers alone.
_TOGETHER: Mapping[str, Callable[[float, float], float]] = {
    "counter": float.__add__,
    "histogram": float.__add__,
    "summary": float.__add__,
    "gauge_sum": float.__add__,
    "gauge_max": max,
    "gauge_min": min,
}


class MetricFiles(Collector):
    """The sums over all workers whose files are in *folder*, for a registry."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._told: dict[tuple[str, tuple[str, ...]], float] = {}
        self._unreadable: frozenset[str] = frozenset()

    @property
    def unreadable(self) -> int:
        """How many of the files that were there when it was last asked for them could not be read."""
        return len(self._unreadable)

    def collect(self) -> Iterator[Metric]:
        """Read all files."""
        with self._lock:
            # One that a worker is just making has no header yet.
            files = [str(file) for file in self._folder.glob("*.db") if file.stat().st_size]
            families = self._merged(files)
            for family in families:
                if family.type != "gauge":
                    family.samples = list(map(self._not_less, family.samples))
                elif family.name.endswith("_info"):
                    # What is not so any more: a series cannot be taken out of a file.
                    family.samples = [sample for sample in family.samples if sample.value]
        yield from families

    def worker_ended(self, pid: int) -> None:
        """Add what the process has counted to what all that ended have, and forget the rest."""
        with self._lock:
            for file in self._folder.glob(f"*_{pid}.db"):
                kind = file.stem.removesuffix(f"_{pid}")
                together = _TOGETHER.get(kind)
                try:
                    if together is not None and file.stat().st_size:
                        # What a reader cannot read must not get among the sums, where it would stay.
                        _merge([str(file)])
                        _add(file, self._folder / f"{kind}_{_ENDED}.db", together)
                except Exception as error:  # noqa: BLE001 - whatever is in a file, the master goes on
                    cause = f"{type(error).__name__}: {error}"
                    log.warning("What a worker had counted in %s is lost, as it cannot be read: %s", file.name, cause)
                file.unlink()

    def _merged(self, files: list[str]) -> list[Metric]:
        unreadable = frozenset[str]()
        try:
            return _merge(files)
        except Exception:  # noqa: BLE001 - whatever is in one of them, the others count
            unreadable = frozenset(file for file in files if not _is_readable(file))
            return _merge([file for file in files if file not in unreadable])
        finally:
            # A worker writes to its own as long as it lives, and each scrape comes upon it.
            for file in unreadable - self._unreadable:
                log.error("What a worker counts in %s is left out, as it cannot be read.", Path(file).name)
            self._unreadable = unreadable

    def _not_less(self, sample: Sample) -> Sample:
        # The same fractions in another order have another sum, by a digit at the very end. Were it less, Prometheus
        # would take it for a counter that has begun anew, and all that was ever counted for new.
        series = (sample.name, tuple(sample.labels.values()))
        told = self._told.get(series, 0.0)
        if 0.0 < told - sample.value < told * _ROUNDING:
            return sample._replace(value=told)
        self._told[series] = sample.value
        return sample


def _merge(files: list[str]) -> list[Metric]:
    return list(MultiProcessCollector.merge(files))  # type: ignore[no-untyped-call]


def _is_readable(file: str) -> bool:
    try:
        _merge([file])
    except Exception:  # noqa: BLE001 - as above
        return False
    return True


def _add(file: Path, to: Path, together: Callable[[float, float], float]) -> None:
    known = to.exists()
    sums = MmapedDict(str(to))  # type: ignore[no-untyped-call]
    try:
        keys = {key for key, _value, _time in sums.read_all_values()} if known else set()  # type: ignore[no-untyped-call]
        for key, value, _time, _position in MmapedDict.read_all_values_from_file(str(file)):  # type: ignore[no-untyped-call]
            before = sums.read_value(key)[0] if key in keys else None  # type: ignore[no-untyped-call]
            sums.write_value(key, value if before is None else together(before, value), 0.0)  # type: ignore[no-untyped-call]
    finally:
        sums.close()  # type: ignore[no-untyped-call]
