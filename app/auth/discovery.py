"""The provider's metadata and keys: fetched once for all who wait for them, and kept while the provider is down."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

log = logging.getLogger(__name__)

# A provider that is down is asked this often, and what it said last is believed for so long (RFC 5861, 4).
RETRY_SECONDS = 15.0
STALE_SECONDS = 86_400.0


class Document:
    """One document of the provider's, fresh for *seconds*.

    However many ask for it at once, it is fetched once. Where that fails, the last one stays in use for a day.
    """

    def __init__(self, name: str, fetch: Callable[[], Awaitable[dict[str, Any]]], seconds: float) -> None:
        self._name = name
        self._fetch = fetch
        self._seconds = seconds
        self._value: dict[str, Any] | None = None
        self._good_until = self._stale_until = 0.0
        self._renewed: dict[str, float] = {}
        self._task: asyncio.Task[dict[str, Any]] | None = None

    async def get(self) -> dict[str, Any]:
        """The document.

        :raises Exception: what the fetch raised, where there is none to fall back on.
        """
        if self._value is not None and time.monotonic() < self._good_until:
            return self._value
        return await self._fetched()

    async def renew(self, reason: str, pause: float) -> dict[str, Any]:
        """The document, fetched anew unless that was done for the same *reason* within the last *pause* seconds."""
        now = time.monotonic()
        if self._task is None:
            if self._value is not None and now < self._renewed.get(reason, -pause) + pause:
                return self._value
            self._renewed[reason] = now
        return await self._fetched()

    async def close(self) -> None:
        """End a fetch that is under way."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _fetched(self) -> dict[str, Any]:
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._fetch_for_all())
            self._task.add_done_callback(self._done)
        # The request that began it may be cancelled; those that wait with it are not.
        return await asyncio.shield(self._task)

    def _done(self, task: "asyncio.Task[dict[str, Any]]") -> None:
        self._task = None
        if not task.cancelled():
            # Looked at, so that nobody complains when all who waited are gone.
            task.exception()

    async def _fetch_for_all(self) -> dict[str, Any]:
        try:
            self._value = await self._fetch()
        except Exception as error:
            if self._value is None or time.monotonic() >= self._stale_until:
                raise
            self._good_until = time.monotonic() + RETRY_SECONDS
            log.warning(
                "the provider's %s cannot be fetched: the last one stays in use",
                self._name,
                extra={"cause": _name(error)},
            )
        else:
            self._good_until = time.monotonic() + self._seconds
            self._stale_until = time.monotonic() + STALE_SECONDS
        return self._value


def _name(error: BaseException) -> str:
    # The SDK keeps what happened in `cause`.
    return type(getattr(error, "cause", None) or error).__name__
