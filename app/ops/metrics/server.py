"""What the server counts of itself, taken over by the metrics ten times a second."""

from app.server import LoopFlask, Stats

from . import declared
from .registered import Registered


class Server:
    """The numbers of one worker."""

    def __init__(self, app: LoopFlask, registered: Registered) -> None:
        self._app = app
        self._gauges = {
            name: registered.gauge(metric)
            for name, metric in (
                ("in_flight", declared.REQUESTS_IN_FLIGHT),
                ("threads", declared.THREADS),
                ("threads_busy", declared.THREADS_BUSY),
                ("queued", declared.CALLS_QUEUED),
                ("connections", declared.CONNECTIONS),
            )
        }
        refused = registered.counter(declared.REFUSED)
        self._counters = {
            "refused_at_door": refused.labels("door"),
            "refused_at_pool": refused.labels("pool"),
            "timed_out": registered.counter(declared.TIMED_OUT),
        }
        self._lag = registered.histogram(declared.LOOP_LAG)
        self._taken = Stats()

    def take(self, lag: float | None) -> None:
        """Take over what has changed since the last time.

        :param lag: how late the loop was just now, in seconds; None for not known.
        """
        stats, taken = self._app.stats, self._taken
        for name, gauge in self._gauges.items():
            value = getattr(stats, name)
            if value != getattr(taken, name):
                gauge.set(value)
                setattr(taken, name, value)
        for name, counter in self._counters.items():
            value = getattr(stats, name)
            if value != getattr(taken, name):
                counter.inc(value - getattr(taken, name))
                setattr(taken, name, value)
        if lag is not None:
            self._lag.observe(lag)
