"""Sessions as Redis keeps them: read with one command, written by compare-and-set, and over once they have ended.

Each stands under the SHA-256 of its id, as a blob of the key ring. A blob's header and nonce differ in each writing:
they are its version. What somebody else than its own request has ended holds for a while a mark that no writing
replaces, so that a session which is only about to be written does not come to be.
"""

import functools
import hashlib
import os
import time
from collections import OrderedDict

from .store import RedisStore

PREFIX = "session:"
_VERSION = slice(0, 17)
_ENDED = b"\0"
# Longer than a session takes to be written: a few round trips, each with a time limit.
_ENDED_SECONDS = 60
_RENEW_SECONDS = 60
_REMEMBERED = 65_536

# KEYS: the session. ARGV: the version that was read, what is to be there, for how many seconds.
# 1: it is there. 0: the session has ended. Else: what somebody else has written since.
_SWAP = """
local found = redis.call('GET', KEYS[1]) or ''
local version = string.sub(found, 1, 17)
if version == ARGV[1] then
  redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3])
elseif version ~= string.sub(ARGV[2], 1, 17) then
  if ARGV[1] == '' or found == '' or string.byte(found) == 0 then
    return 0
  end
  return found
end
return 1
"""

# Both answer what the session goes on as, and answer the same when they are sent twice, as when an answer was lost.
# KEYS: the session. ARGV: the mark, for how many seconds.
_END = """
local found = redis.call('GET', KEYS[1]) or ''
local successor = string.byte(found) == 0 and string.sub(found, 18) or ''
redis.call('SET', KEYS[1], ARGV[1] .. successor, 'EX', ARGV[2])
return successor
"""
_DELETE = """
local found = redis.call('GET', KEYS[1]) or ''
if string.byte(found) == 0 then
  return string.sub(found, 18)
end
redis.call('DEL', KEYS[1])
return ''
"""


@functools.lru_cache(1024)
def name_of(sid: str) -> str:
    """What the session of this id is called in Redis and in the index; it does not lead back to the id."""
    return hashlib.sha256(sid.encode()).hexdigest()


def key_of(name: str) -> str:
    """The key of the session called *name*."""
    return PREFIX + name


def version_of(blob: bytes) -> bytes:
    """Which writing of a session this is."""
    return blob[_VERSION]


def _mark(successor: str = "") -> bytes:
    # No two are the same, so that one which is sent twice is known.
    return _ENDED + os.urandom(16) + successor.encode()


class Entries:
    """The sessions in *store*; one that is not used for *idle* seconds ends."""

    def __init__(self, store: RedisStore, idle: int, lifetime: int) -> None:
        self._store = store
        self._idle = idle
        self._renews = idle < lifetime
        self._renewed: OrderedDict[str, float] = OrderedDict()

    async def read(self, key: str) -> bytes | None:
        """Return the blob, if there is one, with one command; it lives on for the idle time if that is due."""
        if self._renews and self._due(key):
            blob: bytes | None = await self._store.execute("GETEX", key, "EX", self._idle)
        else:
            blob = await self._store.execute("GET", key)
        return None if blob is None or blob.startswith(_ENDED) else blob

    async def swap(self, key: str, version: bytes, blob: bytes, seconds: int) -> bytes | bool:
        """Write *blob* if what is there has this *version*, empty for nothing.

        :returns: True if it is written, False if the session has ended, else what somebody wrote in between.
        """
        seconds = max(1, min(self._idle, seconds))
        answer = await self._store.execute("EVAL", _SWAP, 1, key, version, blob, seconds)
        if answer == 1:
            self._remember(key, time.monotonic())
        return answer if isinstance(answer, bytes) else bool(answer)

    async def replace(self, key: str, version: bytes, successor: str) -> bytes | bool:
        """End a session that has this *version* and goes on under the name *successor*; answers as `swap`."""
        return await self.swap(key, version, _mark(successor), _ENDED_SECONDS)

    async def end(self, name: str) -> str:
        """End a session, also one that is only about to be written.

        :returns: the name that it goes on under, if it has got a new id already; else empty.
        """
        successor: bytes = await self._store.execute("EVAL", _END, 1, key_of(name), _mark(), _ENDED_SECONDS)
        return successor.decode()

    async def delete(self, name: str) -> None:
        """End a session that was there, and the one that it goes on as: who has read it finds that it is gone."""
        successor: bytes = await self._store.execute("EVAL", _DELETE, 1, key_of(name))
        name = successor.decode()
        while name:
            name = await self.end(name)

    async def goes_on(self, name: str) -> bool:
        """Whether the session that was called so has got a new id."""
        found: bytes = await self._store.execute("GET", key_of(name)) or b""
        return found.startswith(_ENDED) and len(found) > _VERSION.stop

    async def lives(self, name: str) -> bool:
        """Whether there is a session of this name."""
        return await self._store.execute("GETRANGE", key_of(name), 0, 0) not in (b"", _ENDED)

    def _due(self, key: str) -> bool:
        # At most once a minute in this process: a renewal is a write, which Redis sends on to its replicas and its log.
        now = time.monotonic()
        last = self._renewed.get(key)
        if last is not None and now - last < _RENEW_SECONDS:
            return False
        self._remember(key, now)
        return True

    def _remember(self, key: str, now: float) -> None:
        renewed = self._renewed
        renewed[key] = now
        renewed.move_to_end(key)
        while len(renewed) > _REMEMBERED or now - next(iter(renewed.values())) >= _RENEW_SECONDS:
            renewed.popitem(last=False)
