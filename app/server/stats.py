"""What the server counts, for metrics and for readiness."""

from dataclasses import dataclass


@dataclass
class Stats:
    """The state of one worker, at `app.extensions["server"]`. Written on the loop only, so plain numbers do."""

    in_flight: int = 0
    """Requests being answered, including responses being streamed."""
    threads_busy: int = 0
    """Pool threads at work, also for requests that have been given up."""
    threads: int = 0
    """Pool threads that there may be."""
    connections: int = 0
    """Connections that are open, idle ones among them; counted ten times a second."""
    queued: int = 0
    """Calls that wait for a pool thread."""
    refused_at_door: int = 0
    """Requests answered with 503 because too many were in flight; the app has not seen them."""
    refused_at_pool: int = 0
    """Requests that the app answered with 503 because too many calls waited for a pool thread."""
    timed_out: int = 0
    """Requests answered with 504 because they took too long."""
    draining: bool = False
    """Whether the worker is about to stop: readiness must say no."""
