"""One at a time, in this process or in the whole fleet, and things that happen once."""

import asyncio
import contextlib
import hashlib
import logging
import random
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol
from weakref import WeakValueDictionary

from .entries import PREFIX
from .model import StoreUnavailable
from .store import RedisStore

log = logging.getLogger(__name__)

_POLL_SECONDS = 0.05
# So long others keep away from what is being tried once, and from what has failed.
_TRY_SECONDS = 2
_random = random.SystemRandom()

# KEYS: the lock. ARGV: the holder, milliseconds.
# Whoever has it already gets it again: the answer to the first asking may have been lost.
_TAKE = """
if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) or redis.call('GET', KEYS[1]) == ARGV[1] then
  return 1
end
return 0
"""
_RENEW = """
if redis.call('GET', KEYS[1]) == ARGV[1] then
  return redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
return 0
"""
_RELEASE = """
if redis.call('GET', KEYS[1]) == ARGV[1] then
  return redis.call('DEL', KEYS[1])
end
return 0
"""


class LockTimeout(Exception):
    """Others held the lock for longer than one would wait."""


class Locks(Protocol):
    """Locks by name, and things that happen once."""

    def hold(self, name: str, lease: float, wait: float) -> AbstractAsyncContextManager[None]:
        """Be the only holder of the lock *name* for the time of the block.

        :param lease: seconds after which a holder that died is replaced.
        :param wait: seconds to wait for the lock.
        :raises LockTimeout: it is not to be had for so long.
        """

    def once(self, name: str, seconds: int) -> AbstractAsyncContextManager[bool]:
        """Whether the block is the first with *name* that succeeds in that many seconds.

        One that fails does not count: whoever tries again some seconds later is the first.
        """


class LocalLocks:
    """Locks among the requests of this process."""

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._once: dict[str, float] = {}

    @asynccontextmanager
    async def hold(self, name: str, lease: float, wait: float) -> AsyncIterator[None]:
        """As `Locks.hold`; a holder of this process ends with its request, so the *lease* is not needed."""
        lock = self._locks.get(name)
        if lock is None:
            lock = self._locks[name] = asyncio.Lock()
        try:
            async with asyncio.timeout(wait):
                await lock.acquire()
        except TimeoutError:
            raise LockTimeout(name) from None
        try:
            yield
        finally:
            lock.release()

    @asynccontextmanager
    async def once(self, name: str, seconds: int) -> AsyncIterator[bool]:
        """As `Locks.once`, for this process."""
        now = time.monotonic()
        self._once = {known: until for known, until in self._once.items() if until > now}
        first = name not in self._once
        self._once.setdefault(name, now + min(seconds, _TRY_SECONDS))
        yield first
        if first:
            self._once[name] = now + seconds


class FleetLocks:
    """Locks among all processes that share *store*."""

    def __init__(self, store: RedisStore) -> None:
        self._store = store
        # Of each process at most one request asks Redis for the same lock.
        self._here = LocalLocks()

    @asynccontextmanager
    async def hold(self, name: str, lease: float, wait: float) -> AsyncIterator[None]:
        """As `Locks.hold`; the lease is renewed three times in its length while the block runs."""
        deadline = time.monotonic() + wait
        async with self._here.hold(name, lease, wait):
            key, holder = _key("lock", name), _holder()
            while not await self._taken(key, holder, lease):
                if time.monotonic() > deadline:
                    raise LockTimeout(name)
                await asyncio.sleep(_random.uniform(0.5, 1.5) * _POLL_SECONDS)
            renewal = asyncio.create_task(self._renew(key, holder, lease))
            try:
                yield
            finally:
                renewal.cancel()
                # A lease that cannot be given back ends by itself.
                with contextlib.suppress(StoreUnavailable):
                    await self._store.execute("EVAL", _RELEASE, 1, key, holder)

    @asynccontextmanager
    async def once(self, name: str, seconds: int) -> AsyncIterator[bool]:
        """As `Locks.once`, for all processes."""
        key, holder = _key("once", name), _holder()
        first = await self._taken(key, holder, min(seconds, _TRY_SECONDS))
        yield first
        if first:
            await self._store.execute("SET", key, holder, "EX", seconds)

    async def _taken(self, key: str, holder: str, seconds: float) -> bool:
        return bool(await self._store.execute("EVAL", _TAKE, 1, key, holder, int(seconds * 1000)))

    async def _renew(self, key: str, holder: str, lease: float) -> None:
        while True:
            await asyncio.sleep(lease / 3)
            with contextlib.suppress(StoreUnavailable):
                if not await self._store.execute("EVAL", _RENEW, 1, key, holder, int(lease * 1000)):
                    log.warning("a lock was lost: its holder was held up for longer than the lease")
                    return


def _holder() -> str:
    return secrets.token_hex(16)


def _key(kind: str, name: str) -> str:
    return f"{PREFIX}{kind}:{hashlib.sha256(name.encode()).hexdigest()}"
