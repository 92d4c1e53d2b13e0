"""The declared metrics as prometheus_client's objects, in one app's registry."""

import itertools
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from .declared import Metric


class Registered:
    """Makes each metric once. A counter is there from the start with each of its labels, at zero: a series that begins
    with its first event has not grown by it, as far as Prometheus' `increase` can see.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def counter(self, metric: Metric) -> Counter:
        """A counter, at zero for all values of its labels."""
        counter = Counter(metric.name, metric.help, tuple(metric.labels), registry=self._registry)
        for values in _all_values(metric):
            counter.labels(*values)
        return counter

    def gauge(self, metric: Metric) -> Gauge:
        """A gauge."""
        return Gauge(
            metric.name,
            metric.help,
            tuple(metric.labels),
            registry=self._registry,
            multiprocess_mode=metric.across,
        )

    def histogram(self, metric: Metric) -> Histogram:
        """A histogram."""
        return Histogram(
            metric.name, metric.help, tuple(metric.labels), buckets=metric.buckets, registry=self._registry
        )


def _all_values(metric: Metric) -> Iterator[tuple[str, ...]]:
    if not metric.labels:
        return
    named = [values for values in metric.labels.values() if isinstance(values, tuple)]
    if len(named) == len(metric.labels):
        yield from itertools.product(*named)
