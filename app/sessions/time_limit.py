"""A time limit that is for others alone: what the event loop itself is late by does not count."""

import asyncio
from types import TracebackType

_PARTS = 5
# A loop that is idle wakes up within a millisecond or two.
_PUNCTUAL_SECONDS = 0.01


class TimeLimit:
    """`async with TimeLimit(0.25):` ends as `asyncio.timeout(0.25)` does, where nothing happens for so long.

    A timer that comes late says that the loop was held up, by a busy machine or a page that blocks, and so that nobody
    has listened; the answer may well be there. So the limit has five parts, each of which counts as no more than that
    however late its end is seen, and one that is seen late is not the last: what has come is read first.
    """

    def __init__(self, seconds: float) -> None:
        self._part = seconds / _PARTS
        self._left = _PARTS
        self._extended = False
        self._limit = asyncio.timeout(None)

    async def __aenter__(self) -> None:
        """Begin."""
        await self._limit.__aenter__()
        self._loop = asyncio.get_running_loop()
        self._due = self._loop.time() + self._part
        self._next = self._loop.call_at(self._due, self._part_is_over)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End.

        :raises TimeoutError: the block took longer.
        """
        self._next.cancel()
        await self._limit.__aexit__(kind, error, traceback)

    def _part_is_over(self) -> None:
        now = self._loop.time()
        late = now > self._due + _PUNCTUAL_SECONDS
        self._left -= 1
        if not self._left and late and not self._extended:
            self._left, self._extended = 1, True
        if self._left:
            self._due = (now if late else self._due) + self._part
            self._next = self._loop.call_at(self._due, self._part_is_over)
        else:
            self._limit.reschedule(now)
