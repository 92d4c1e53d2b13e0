"""Synchronous code that awaits: each request runs in a greenlet of its task, and what it awaits, the task waits for.

A coroutine is stepped inside the greenlet, and only the futures that it yields go up to the task. So all of a request,
its `async def` functions too, runs in one `contextvars.Context`, and a coroutine may call synchronous code that awaits
in its turn (a view that reads the body, a template with an `async def` context processor).
"""

import asyncio
import inspect
import os
import threading
import types
from collections.abc import Awaitable, Callable, Coroutine, Generator
from concurrent import futures
from contextvars import Context, copy_context
from typing import Any, Protocol, TypeVar, cast

from greenlet import getcurrent, greenlet  # type: ignore[import-untyped]

T = TypeVar("T")


class RequestGreenlet(greenlet):
    """The greenlet of one request. `context` is the `contextvars.Context` of everything that it runs."""

    abandoned = False
    """Whether a call in a pool thread was given up, so that its thread may still be in `context`."""
    begun = False
    """Whether code of the app has run that a refusal, for want of a thread, would break off halfway."""
    refusable = False
    """Whether it has not, and what runs now (a first hook, the view) may be refused."""
    for_thread = False
    """Whether a thread waits for it: were it to wait for a thread, too, all could wait for each other."""

    def __init__(self, function: Callable[..., Any], context: Context | None = None) -> None:
        super().__init__(function)
        # A context of its own, which the loop never enters, so that a pool thread can while the greenlet waits.
        self.context = copy_context() if context is None else context
        self.gr_context: Context | None = self.context
        self.task: asyncio.Task[Any] | None = None
        self.interruption: BaseException | None = None

    def renew(self, context: Context | None) -> None:
        """Forget the request before, and go on in *context*; None while there is no request."""
        self.abandoned = self.begun = self.refusable = False
        self.gr_context = context
        self.context = cast(Context, context)

    def interrupt(self, error: BaseException) -> None:
        """Raise `error` where the greenlet waits; a coroutine that it waits for is cancelled. Call it on the loop."""
        if self.task is not None:
            self.interruption = error
            self.task.cancel()

    async def drive(self, *arguments: Any) -> Any:
        """Run the greenlet as part of the current task. Returns or raises what its function does."""
        self.task = asyncio.current_task()
        try:
            return await self._steps(arguments)
        finally:
            self.task = None

    @types.coroutine
    def _steps(self, arguments: tuple[Any, ...]) -> Generator[Any, Any, Any]:
        self.parent = getcurrent()
        waits_for = self.switch(*arguments)
        while not self.dead and type(waits_for) is not Outcome:
            try:
                value = yield waits_for
            except BaseException as error:  # noqa: BLE001 - whatever it is, it belongs to the greenlet
                self.parent = getcurrent()
                waits_for = self.throw(error)
            else:
                # The loop may resume from another greenlet than the one that began (an eager task).
                self.parent = getcurrent()
                waits_for = self.switch(value)
        return waits_for.take() if type(waits_for) is Outcome else waits_for

    def wait(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Step `coroutine` here, in the greenlet, handing the futures that it waits for up to the task."""
        try:
            waits_for = coroutine.send(None)
            while True:
                try:
                    # Read anew each time: it is who drives the greenlet now.
                    value = self.parent.switch(waits_for)
                except BaseException as thrown:  # noqa: BLE001 - whatever it is, it belongs to the coroutine
                    waits_for = coroutine.throw(thrown)
                else:
                    waits_for = coroutine.send(value)
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return]
        except asyncio.CancelledError:
            error, self.interruption = self.interruption, None
            if error is None or self.task is None:
                raise
            self.task.uncancel()
            raise error from None


class Outcome:
    """What a greenlet that is used again (`Greenlets`) hands up in the end: what its function returned or raised."""

    __slots__ = ("error", "value")

    def __init__(self, value: Any, error: BaseException | None = None) -> None:
        self.value = value
        self.error = error

    def take(self) -> Any:
        """Return the value or raise the error; the idle greenlet, which goes on referring to this, keeps neither."""
        value, error = self.value, self.error
        self.value = self.error = None
        if error is None:
            return value
        try:
            raise error
        finally:
            # No cycle of the error, its traceback and this frame.
            del error


class Waiter(Protocol):
    """Work in a pool thread that may be given up by the request that ordered it."""

    def waits_for(self, future: "futures.Future[Any]") -> None: ...


class _InThread(threading.local):
    work: Waiter | None = None


in_thread = _InThread()


def current_request() -> RequestGreenlet | None:
    """The greenlet of the request that is being answered here; None in a pool thread and outside requests."""
    current = getcurrent()
    return current if isinstance(current, RequestGreenlet) else None


def await_(awaitable: Awaitable[T]) -> T:
    """Wait for `awaitable` from synchronous code, wherever that runs.

    In a request it is awaited in the request's own task; in any other thread, on the process's one event loop: the
    server's, or a background thread's where there is no server (`flask run`, tests, the command line).

    :raises RuntimeError: in a coroutine outside a request, where waiting would stop the loop.
    """
    coroutine = cast(
        "Coroutine[Any, Any, T]", awaitable if isinstance(awaitable, types.CoroutineType) else _awaited(awaitable)
    )
    request = current_request()
    if request is not None:
        return request.wait(coroutine)
    if asyncio._get_running_loop() is not None:
        coroutine.close()
        raise RuntimeError("await_() was called in a coroutine on the event loop: await it instead.")
    return _wait_in_thread(coroutine)


async def _awaited(awaitable: Awaitable[T]) -> T:
    return await awaitable


def _wait_in_thread(coroutine: Coroutine[Any, Any, T]) -> T:
    # On the loop it is a greenlet too, and it has this thread's context, which is idle while the thread waits.
    shared = RequestGreenlet(await_, getcurrent().gr_context or copy_context())
    shared.for_thread = True
    loop = the_loop()
    future = asyncio.run_coroutine_threadsafe(_outcome(shared, coroutine), loop)

    def close_unless_begun(future: "futures.Future[Outcome]") -> None:
        # Given up before its first step, it would complain that nobody has awaited it.
        if future.cancelled():
            loop.call_soon_threadsafe(
                lambda: coroutine.close() if inspect.getcoroutinestate(coroutine) == inspect.CORO_CREATED else None
            )

    future.add_done_callback(close_unless_begun)
    work = in_thread.work
    if work is not None:
        work.waits_for(future)
    try:
        return cast(T, future.result().take())
    except futures.CancelledError:
        # `except Exception` must not catch it, as in a coroutine.
        raise asyncio.CancelledError from None
    except BaseException:
        future.cancel()
        raise


async def _outcome(shared: RequestGreenlet, coroutine: Coroutine[Any, Any, Any]) -> Outcome:
    try:
        return Outcome(await shared.drive(coroutine))
    except (SystemExit, KeyboardInterrupt) as error:
        # A task that raises one of these ends the loop, and nobody who waits for it would ever hear.
        return Outcome(None, error)


class _Loop:
    """The one event loop of this process that may touch coroutines."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.served: asyncio.AbstractEventLoop | None = None
        self.background: asyncio.AbstractEventLoop | None = None

    def start_background(self) -> asyncio.AbstractEventLoop:
        with self.lock:
            if self.background is None:
                self.background = asyncio.new_event_loop()
                threading.Thread(target=self.background.run_forever, name="event-loop", daemon=True).start()
            return self.background


_the = _Loop()
# A forked child has neither the parent's loop thread nor the right to its loop.
os.register_at_fork(after_in_child=_the.__init__)  # type: ignore[misc]


def serve_on(loop: asyncio.AbstractEventLoop | None) -> None:
    """Make `loop` the process's one loop while it serves; None when it no longer does."""
    _the.served = loop


def the_loop() -> asyncio.AbstractEventLoop:
    """The process's one loop; started in a thread of its own if no server runs one."""
    return _the.served or _the.background or _the.start_background()
