"""What operators see: health, metrics, logs, traces."""

from app.server import LoopFlask
from app.settings import Settings

from . import health, logs, metrics, requests, security, tracing

__all__ = ["init_app", "logs"]


def init_app(app: LoopFlask, settings: Settings) -> None:
    """Register the health routes, the metrics, the lines of requests and of security events, and the spans."""
    health.init_app(app)
    # Before the metrics: what is first here stops last, and a collector that hangs must not cost the last counts.
    tracing.init_app(app, settings)
    requests.init_app(app, metrics.init_app(app))
    security.init_app(app)
