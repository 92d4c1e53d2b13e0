"""The time limit of a request."""

import asyncio

from werkzeug.exceptions import GatewayTimeout

from .bridge import RequestGreenlet
from .stats import Stats

# How long the app's error page and teardown may take after the limit.
ERROR_PAGE_SECONDS = 5.0


class Overdue(BaseException):
    """The app's error page hangs as well. Not an Exception, lest it be handled by another one."""


class TimeLimit:
    """Interrupts a request that has not begun to answer after `seconds`, and ends it if its error page hangs too."""

    __slots__ = ("_request", "_seconds", "_stats", "_timer")

    def __init__(self, seconds: float, stats: Stats) -> None:
        self._seconds = seconds
        self._stats = stats
        self._request: RequestGreenlet | None = None
        self._timer: asyncio.TimerHandle | None = None

    def start(self, request: RequestGreenlet) -> None:
        """Begin to count, for `request`."""
        self._request = request
        self._timer = asyncio.get_running_loop().call_later(self._seconds, self._interrupt)

    def cancel(self) -> None:
        """The request is on time. Called on the loop or, by a streaming application, in a pool thread."""
        request, self._request = self._request, None
        if self._timer is not None and request is not None:
            self._timer.cancel()

    def _interrupt(self) -> None:
        if self._request is None:
            return
        self._stats.timed_out += 1
        self._timer = asyncio.get_running_loop().call_later(ERROR_PAGE_SECONDS, self._end)
        self._request.interrupt(GatewayTimeout())

    def _end(self) -> None:
        if self._request is not None:
            self._request.interrupt(Overdue("The error page took too long as well."))
