"""Threads for code that blocks: bounded in number and in what may wait for them.

The threads are daemons. `concurrent.futures` joins its threads at exit, so one hung view would hang the stop.
"""

import asyncio
import logging
import sys
import threading
from collections.abc import Callable
from concurrent import futures
from contextvars import Context, copy_context
from queue import SimpleQueue
from typing import Any, TypeVar

from werkzeug.exceptions import ServiceUnavailable

from .bridge import await_, current_request, in_thread
from .stats import Stats

T = TypeVar("T")

log = logging.getLogger(__name__)
# Calls that may wait for each thread before a request that needs one is refused.
QUEUED_PER_THREAD = 4
RETRY_AFTER_SECONDS = 1


class _Call:
    """One call in a pool thread, and the future on the loop that gets its outcome."""

    __slots__ = ("abandoned", "context", "error", "function", "future", "loop", "waiting")

    def __init__(self, function: Callable[[], Any], context: Context) -> None:
        self.function = function
        self.context = context
        # What is being handled here, so that `sys.exc_info()` and `logger.exception()` see it there too.
        self.error = sys.exception()
        self.loop = asyncio.get_running_loop()
        self.future: asyncio.Future[tuple[Any, BaseException | None]] = self.loop.create_future()
        self.abandoned = False
        self.waiting: futures.Future[Any] | None = None

    def run(self) -> tuple[Any, BaseException | None]:
        if self.abandoned:
            return None, None
        in_thread.work = self
        try:
            return self.context.run(self._while_handling), None
        except BaseException as error:  # noqa: BLE001 - it is raised again in the request
            return None, error
        finally:
            in_thread.work = None

    def _while_handling(self) -> Any:
        error = self.error
        if error is None:
            return self.function()
        traceback = error.__traceback__
        try:
            raise error
        except BaseException:  # noqa: BLE001 - raised to be the one that is being handled
            error.__traceback__ = traceback
            return self.function()
        finally:
            self.error = None

    def waits_for(self, future: "futures.Future[Any]") -> None:
        """Note what the thread waits for on the loop, so that giving up the call ends the wait."""
        self.waiting = future
        if self.abandoned:
            future.cancel()

    def abandon(self) -> None:
        """Give the call up: nobody waits for its outcome. A thread cannot be stopped, but what it awaits can."""
        self.abandoned = True
        if self.waiting is not None:
            self.waiting.cancel()


class Pool:
    """At most `size` threads, started as they are needed. All methods are for the loop's thread."""

    def __init__(self, size: int, stats: Stats) -> None:
        self.size = size
        self.limit = size * (1 + QUEUED_PER_THREAD)
        self._stats = stats
        stats.threads = size
        self._calls: SimpleQueue[_Call] = SimpleQueue()
        self._threads = 0
        self._outstanding = 0

    def call(self, function: Callable[[], T]) -> T:
        """Run `function` in a thread, in the context of the current request, and wait for it. Outside of a request, and
        in a pool thread already, it is just called.

        :raises ServiceUnavailable: every thread is busy, too many calls wait, and the request is still refusable. Any
            other call (the teardown, an error page) has to run, and is bounded by the requests in flight.
        """
        request = current_request()
        if request is None or request.for_thread:
            return function()
        begun, request.begun = request.begun, True
        if self._outstanding >= self.limit and request.refusable and not begun:
            self._stats.refused_at_pool += 1
            raise ServiceUnavailable(retry_after=RETRY_AFTER_SECONDS)
        context = request.gr_context
        if context is not request.context or request.abandoned:
            # Somebody else is in it: code within `Context.run`, or the thread of a call that was given up.
            context = copy_context()
        call = _Call(function, context)
        self._submit(call)
        try:
            result, error = await_(call.future)
        except BaseException:
            request.abandoned = True
            call.abandon()
            raise
        if error is not None:
            try:
                raise error
            finally:
                # No cycle of the error, its traceback and this frame for the collector to find.
                del error, call
        return result  # type: ignore[no-any-return]

    def _submit(self, call: _Call) -> None:
        if self._threads < self.size and self._outstanding >= self._threads:
            self._threads += 1
            threading.Thread(target=self._work, name=f"pool-{self._threads}", daemon=True).start()
        self._count(1)
        self._calls.put(call)

    def _work(self) -> None:
        while True:
            call = self._calls.get()
            outcome = call.run()
            try:
                call.loop.call_soon_threadsafe(self._finish, call, outcome)
            except RuntimeError:
                return  # The loop has ended; so does the process.
            del call, outcome

    def _finish(self, call: _Call, outcome: tuple[Any, BaseException | None]) -> None:
        self._count(-1)
        if not call.future.done():
            call.future.set_result(outcome)
        elif call.abandoned:
            log.warning("A call that had been given up has ended: %s", call.function)

    def _count(self, change: int) -> None:
        self._outstanding += change
        self._stats.threads_busy = min(self._outstanding, self.size)
        self._stats.queued = self._outstanding - self._stats.threads_busy
