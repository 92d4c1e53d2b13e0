"""Start and stop of the app with its server (ASGI's lifespan protocol)."""

import asyncio
import logging
import time

from .body import Receive
from .bridge import serve_on
from .exchange import Send
from .flask import Hook, LoopFlask
from .stats import Stats

log = logging.getLogger(__name__)
# How long requests that were cancelled may take to let go of what the stop hooks close.
UNWIND_SECONDS = 0.5


async def lifespan(flask: LoopFlask, receive: Receive, send: Send) -> None:
    """Run the app's start hooks, wait for the server's end, run its stop hooks."""
    await receive()
    serve_on(asyncio.get_running_loop())
    try:
        for hook in flask.start_hooks:
            await hook()
    except Exception as error:
        log.critical("The app did not start: %s failed.", _name(hook), exc_info=True)
        serve_on(None)
        await send({"type": "lifespan.startup.failed", "message": f"{_name(hook)}: {error}"})
        return
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await _unwound(flask.stats)
    for hook in reversed(flask.stop_hooks):
        try:
            await hook()
        except Exception:
            # The others still get their turn to let go of what they hold.
            log.exception("Stopping the app: %s failed.", _name(hook))
    serve_on(None)
    await send({"type": "lifespan.shutdown.complete"})


async def _unwound(stats: Stats) -> None:
    # uvicorn cancels requests that outlive the grace time, and does not wait for their teardown nor for their threads.
    deadline = time.monotonic() + UNWIND_SECONDS
    while (stats.in_flight or stats.threads_busy) and time.monotonic() < deadline:  # noqa: ASYNC110 - of numbers
        await asyncio.sleep(0.01)


def _name(hook: Hook) -> str:
    return getattr(hook, "__qualname__", repr(hook))
