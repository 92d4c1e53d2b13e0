"""Metrics of requests, through prometheus-flask-exporter, with labels that nobody outside can make more of."""

import os

from flask import Flask, Request
from prometheus_client import CollectorRegistry, Histogram
from prometheus_flask_exporter import PrometheusMetrics
from prometheus_flask_exporter.multiprocess import GunicornPrometheusMetrics

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
# From a page out of the cache to the time limit of a request.
_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class RequestMetrics:
    """`http_request_duration_seconds{method, url_rule, status}`.

    The exporter's own default metrics are left out: any method that a client makes up would be a label of them.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._duration = Histogram(
            "http_request_duration_seconds",
            "Time from the start of a request to its response, by route.",
            ("method", "url_rule", "status"),
            buckets=_BUCKETS,
            registry=registry,
        )
        # By the route and the number of the status, so as bounded as the labels are; `labels` makes text of each first.
        self._durations: dict[tuple[str, str, int], Histogram] = {}

    def observe(self, request: Request, status: int, seconds: float) -> None:
        """Count a request."""
        method = request.method if request.method in _METHODS else "other"
        rule = request.url_rule.rule if request.url_rule is not None else "unmatched"
        labels = (method, rule, status)
        duration = self._durations.get(labels)
        if duration is None:
            duration = self._durations[labels] = self._duration.labels(*labels)
        duration.observe(seconds)


def init_app(app: Flask) -> RequestMetrics:
    """Set `app.extensions["metrics"]`, with whose decorators pages add metrics of their own, and count requests."""
    # Under gunicorn the workers write to files that its master reads; elsewhere there is one process.
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        exporter = GunicornPrometheusMetrics(app, export_defaults=False)
    else:
        exporter = PrometheusMetrics(app, path=None, export_defaults=False, registry=CollectorRegistry())
    app.extensions["metrics"] = exporter
    return RequestMetrics(exporter.registry)
