"""Requests by route, with labels that nobody outside can make more of."""

from flask import Request
from prometheus_client import Histogram

from . import declared
from .registered import Registered

_METHODS = frozenset(declared.METHODS)


class RequestMetrics:
    """`http_request_duration_seconds{method, url_rule, status}`.

    The exporter's own default metrics are left out: any method that a client makes up would be a label of them.
    """

    def __init__(self, registered: Registered) -> None:
        self._duration = registered.histogram(declared.REQUEST_DURATION)
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
