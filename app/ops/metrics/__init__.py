"""Metrics, through prometheus-flask-exporter and prometheus_client: `declared.py` has all of them.

The rooms know nothing of this one. What happens in them they tell by signals, and what they count stands in their
`Stats`; here it becomes metrics.
"""

import os

from prometheus_client import CollectorRegistry
from prometheus_flask_exporter import PrometheusMetrics
from prometheus_flask_exporter.multiprocess import GunicornPrometheusMetrics

from app.server import LoopFlask

from .events import Authentication, Sessions
from .master import Master
from .registered import Registered
from .requests import RequestMetrics
from .server import Server

__all__ = ["Master", "RequestMetrics", "init_app"]


def init_app(app: LoopFlask) -> RequestMetrics:
    """Set `app.extensions["metrics"]`, with whose decorators pages add metrics of their own, and watch the rooms."""
    # Under gunicorn the workers write to files that its master reads; elsewhere there is one process.
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        exporter = GunicornPrometheusMetrics(app, export_defaults=False)
    else:
        exporter = PrometheusMetrics(app, path=None, export_defaults=False, registry=CollectorRegistry())
    app.extensions["metrics"] = exporter
    registered = Registered(exporter.registry)
    sessions, server = Sessions(app, registered), Server(app, registered)
    # Kept for as long as the app: receivers of signals are referred to weakly.
    app.extensions["metrics_of_rooms"] = (Authentication(app, registered), sessions, server)

    def take(lag: float | None = None) -> None:
        server.take(lag)
        sessions.take()

    async def take_the_last() -> None:
        take()

    app.on_tick(take)
    app.on_stop(take_the_last)
    return RequestMetrics(registered)
