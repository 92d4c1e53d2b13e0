"""Flask on the event loop: what each function of the app runs on is decided here."""

import functools
import types
from collections.abc import Callable, Coroutine
from inspect import CO_COROUTINE, iscoroutinefunction
from typing import Any, TypeVar

from flask import Flask
from flask import Request as FlaskRequest
from flask import Response as FlaskResponse
from werkzeug.routing import MapAdapter

from . import routing
from .bridge import await_, current_request
from .pool import Pool
from .stats import Stats
from .wrappers import Request, Response

F = TypeVar("F", bound=Callable[..., Any])
Hook = Callable[[], Coroutine[Any, Any, object]]


def on_loop(function: F) -> F:
    """Mark a plain `def` view or hook that never blocks: it is called on the loop, without a trip to a thread."""
    function.on_loop = True  # type: ignore[attr-defined]
    return function


def _is_async(function: Callable[..., Any]) -> bool:
    # A function that nobody has marked says it itself; `inspect` looks for what may be around one.
    if type(function) is types.FunctionType and not function.__dict__:
        return bool(function.__code__.co_flags & CO_COROUTINE)
    return iscoroutinefunction(function)


class LoopFlask(Flask):
    """A Flask whose `async def` functions run on the process's one event loop, and plain ones in a thread pool.

    The pool is the server's (`ASGI`); elsewhere (`flask run`, the test client) plain functions are just called.
    """

    request_class = Request
    response_class = Response
    on_loop_packages: frozenset[str] = frozenset({"flask"})
    """Packages whose plain functions never block, and so are called on the loop."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.extensions["server"] = Stats()
        self.pool: Pool | None = None
        self.start_hooks: list[Hook] = []
        self.stop_hooks: list[Hook] = []
        self.tick_hooks: list[Callable[[float], object]] = []
        self.overload_response: Callable[[], FlaskResponse] | None = None
        """Makes the answer to a request that is one too many; called once, at start."""

    @property
    def stats(self) -> Stats:
        """What the server counts."""
        stats: Stats = self.extensions["server"]
        return stats

    def on_start(self, function: Hook) -> Hook:
        """Await `function()` on the server's loop before the first request. If it raises, the worker does not start."""
        self.start_hooks.append(function)
        return function

    def on_stop(self, function: Hook) -> Hook:
        """Await `function()` on the server's loop after the last request; the last one registered is the first."""
        self.stop_hooks.append(function)
        return function

    def on_tick(self, function: Callable[[float], object]) -> Callable[[float], object]:
        """Call `function(lag)` ten times a second while the server runs, on its loop: it must not block.

        *lag* is how late the loop was this time, in seconds.
        """
        self.tick_hooks.append(function)
        return function

    def async_to_sync(self, func: Callable[..., Coroutine[Any, Any, Any]]) -> Callable[..., Any]:
        """A function that calls `func` and waits for it on the loop."""

        @functools.wraps(func)
        def wait(*arguments: Any, **options: Any) -> Any:
            return await_(func(*arguments, **options))

        return wait

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """What Flask calls in place of `func`: on the loop, in a pool thread, or just so."""
        request = current_request()
        if _is_async(func):
            if request is not None:
                request.begun = True
            return lambda *arguments, **options: await_(func(*arguments, **options))
        pool = self.pool
        if pool is None or request is None or self._stays(func):
            return func
        return lambda *arguments, **options: pool.call(functools.partial(func, *arguments, **options))

    def create_url_adapter(self, request: FlaskRequest | None) -> MapAdapter | None:
        """As Flask does; the host is looked at once for each that is asked for, not for each request."""
        chosen_by_host = self.url_map.host_matching or self.subdomain_matching
        configured = self.config["SERVER_NAME"] is not None or self.config["TRUSTED_HOSTS"] is not None
        if request is None or chosen_by_host or configured or request.trusted_hosts:
            return super().create_url_adapter(request)
        if not routing.is_plain(request.environ):
            return super().create_url_adapter(request)
        return routing.adapter(self.url_map, request)

    def preprocess_request(self) -> Any:
        """As Flask does; a request may be refused here, for want of a thread."""
        return self._refusable(super().preprocess_request)

    def dispatch_request(self) -> Any:
        """As Flask does; a request may be refused here, for want of a thread."""
        returned = self._refusable(super().dispatch_request)
        # A decorator that knows nothing of async makes a plain function of an async view: it returns the coroutine.
        return await_(returned) if isinstance(returned, types.CoroutineType) else returned

    def _refusable(self, step: Callable[[], Any]) -> Any:
        request = current_request()
        if request is None:
            return step()
        request.refusable = True
        try:
            return step()
        finally:
            request.refusable = False

    def _stays(self, func: Callable[..., Any]) -> bool:
        if getattr(func, "on_loop", False):
            return True
        if (func.__module__ or "").partition(".")[0] in self.on_loop_packages:
            return True
        view_class = getattr(func, "view_class", None)
        # What `View.as_view` made only calls `ensure_sync` for the method; a decorator around it may block.
        return view_class is not None and not view_class.decorators
