"""A circuit: after repeated failure nobody waits for the store, until it answers again."""

import asyncio
import contextlib
import logging
import random
from collections.abc import Awaitable, Callable

log = logging.getLogger(__name__)

_FAILURES = 3
_random = random.SystemRandom()
_PROBE_SECONDS = 0.5


class Circuit:
    """Open after three failures in a row. Then *probe* alone asks the store, twice a second or so, until it answers.

    So a store that hangs costs each worker some tenths of a second, and no request waits to find out that it is back.

    :param on_change: called with whether it is open, whenever that has changed.
    """

    def __init__(self, probe: Callable[[], Awaitable[object]], on_change: Callable[[bool], object]) -> None:
        self.is_open = False
        self._on_change = on_change
        self._probe = probe
        self._failures = 0
        self._probing: asyncio.Task[None] | None = None

    def succeeded(self) -> None:
        """Note that the store has answered."""
        self._failures = 0
        if self.is_open:
            self.is_open = False
            log.info("the session store answers again")
            self._on_change(False)

    def failed(self) -> None:
        """Note that it has not."""
        self._failures += 1
        if self._failures >= _FAILURES and not self.is_open:
            self.is_open = True
            log.error("the session store does not answer: no request waits for it until it does")
            # Before anybody is told, who may raise: without it, it would be open for good.
            self._probing = asyncio.get_running_loop().create_task(self._probe_again_and_again())
            self._on_change(True)

    async def close(self) -> None:
        """Ask no more."""
        if self._probing is not None:
            self._probing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._probing

    async def _probe_again_and_again(self) -> None:
        while self.is_open:
            await asyncio.sleep(_PROBE_SECONDS * _random.uniform(0.5, 1.5))
            with contextlib.suppress(Exception):
                await self._probe()
