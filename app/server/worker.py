"""gunicorn's worker: uvicorn, with a stop that first says that it is coming."""

import asyncio
import logging
import mmap
import os
import signal
import socket
import sys
import threading
import time
from types import FrameType
from typing import Any, ClassVar

from gunicorn.arbiter import Arbiter
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import Server
from uvicorn_worker import UvicornWorker

from . import heap
from .asgi import ASGI

log = logging.getLogger(__name__)
# A hung request must be over, and the process gone, before gunicorn's master kills it.
MARGIN_SECONDS = 1.0
QUICK_SECONDS = 1
FIRST_REQUEST_SECONDS = 0.5
TICK_SECONDS = 0.01
# So long uvicorn's main loop sleeps between two calls of `on_tick`.
UVICORN_TICK_SECONDS = 0.1


class DrainingServer(Server):
    """On SIGTERM: readiness says no, `drain_seconds` later nothing new is accepted, running requests finish."""

    def __init__(self, app: ASGI, grace_seconds: float, asked: mmap.mmap, **options: Any) -> None:
        super().__init__(**options)
        self._app = app
        self._asked = asked
        self._grace_seconds = grace_seconds
        self._drain_seconds: float = app.flask.config.get("SERVER_DRAIN_SECONDS", 0.0)
        self._exit_at: float | None = None
        self._ticked_at: float | None = None

    async def startup(self, *arguments: Any, **options: Any) -> None:
        await super().startup(*arguments, **options)
        heap.settle()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        # Not uvicorn's, which raises the signal again at the end: the worker would die of it and not exit with 0.
        if sig == signal.SIGTERM and self._exit_at is None:
            self._stop(self._drain_seconds)
        elif sig != signal.SIGTERM:
            self.config.timeout_graceful_shutdown = QUICK_SECONDS
            self._stop(0.0)

    def _stop(self, drain_seconds: float) -> None:
        self._app.flask.stats.draining = True
        self._asked[0] = 1
        if self._exit_at is None:
            seconds = max(self._grace_seconds - MARGIN_SECONDS / 2, MARGIN_SECONDS / 2)
            watchdog = threading.Timer(seconds, _exit_at_once)
            watchdog.daemon = True
            watchdog.start()
        self._exit_at = time.monotonic() + drain_seconds

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for listener in (*self.servers, *(sockets or ())):
            listener.close()
        await self._first_requests()
        await super().shutdown(sockets)

    async def _first_requests(self) -> None:
        # uvicorn closes what has no running request. A connection that was just taken off the common queue has none
        # yet: its client would get a reset in place of an answer, and no other worker can serve it any more.
        patience = time.monotonic() + FIRST_REQUEST_SECONDS
        while True:
            # Once in any case: what was accepted in this turn is among the connections only in the next.
            await asyncio.sleep(TICK_SECONDS)
            waiting = any(
                isinstance(connection, HttpToolsProtocol) and connection.cycle is None
                for connection in self.server_state.connections
            )
            if not waiting or time.monotonic() >= patience:
                return

    async def on_tick(self, counter: int) -> bool:
        now = time.monotonic()
        lag = 0.0 if self._ticked_at is None else max(0.0, now - self._ticked_at - UVICORN_TICK_SECONDS)
        self._ticked_at = now
        self._app.flask.stats.connections = len(self.server_state.connections)
        for hook in self._app.flask.tick_hooks:
            hook(lag)
        if self._exit_at is not None and time.monotonic() >= self._exit_at:
            self.should_exit = True
        return await super().on_tick(counter)


def _exit_at_once() -> None:
    # What still runs now cannot be stopped: a thread that somebody waits for at exit, a task that swallows its
    # cancellation.
    log.warning("The worker ends without waiting any longer for what still runs.")
    logging.shutdown()
    os._exit(0)


class Worker(UvicornWorker):
    """`worker_class = "app.server.worker.Worker"`."""

    CONFIG_KWARGS: ClassVar[dict[str, Any]] = {
        "loop": "uvloop",
        "http": "app.server.protocol:Protocol",
        "ws": "none",
        "lifespan": "on",
        "interface": "asgi3",
        "access_log": False,
        "server_header": False,
        # Which proxies are believed is the app's to say, not the server's.
        "proxy_headers": False,
        # A request that is pipelined behind another would inherit its context variables.
        "reset_contextvars": True,
    }

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        # Made in the master, before the fork, so that the two share it.
        self._asked = mmap.mmap(-1, 1)
        if not self.log.error_log.handlers:
            # gunicorn's lines go to the root logger's handlers; uvicorn's would go nowhere.
            logging.getLogger("uvicorn.error").propagate = True

    @property
    def was_asked_to_end(self) -> bool:
        """For the master: whether the worker knew of its end; otherwise it has crashed, was killed or hung."""
        return self._asked[0] != 0

    async def _serve(self) -> None:
        app = self.wsgi
        self.config.app = app
        grace = float(self.cfg.graceful_timeout)
        drain = float(app.flask.config.get("SERVER_DRAIN_SECONDS", 0.0))
        self.config.timeout_graceful_shutdown = max(1, int(grace - drain - 2 * MARGIN_SECONDS))
        server = DrainingServer(app, grace, self._asked, config=self.config)
        asyncio.get_running_loop().add_signal_handler(signal.SIGQUIT, server.handle_exit, signal.SIGQUIT, None)
        await server.serve(sockets=self.sockets)
        if not server.started:
            sys.exit(Arbiter.WORKER_BOOT_ERROR)
