"""What operators see: health, metrics, logs."""

from app.server import LoopFlask

from . import health, logs, metrics, requests

__all__ = ["init_app", "logs"]


def init_app(app: LoopFlask) -> None:
    """Register the health routes, the metrics and the line that each request leaves in the log."""
    health.init_app(app)
    requests.init_app(app, metrics.init_app(app))
