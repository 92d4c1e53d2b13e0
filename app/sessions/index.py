"""Sessions by label, so that they can be found and ended from outside: by a login's `sid`, or a user's `sub`.

A label's name in Redis is a MAC by the key ring, which tells nobody who it is. Under it stand a sorted set of the names
of its sessions by when they end, a hash of their notes, and, for a time after the label was ended, when that was.

No transaction spans a label and a session, which a cluster may keep on different servers. The order does it: a
session's labels are written first, and refused if the label has been ended since they hold; then the session, which
must not be there yet. Who ends a label first notes the time, then marks each session that stands under it as ended,
also one that is not written yet. Whichever way the two interleave, one of them finds what the other has left.
"""

import asyncio
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from .entries import PREFIX, Entries, name_of
from .events import session_refused, tell
from .keyring import KeyRing, Undecryptable
from .model import Session
from .store import RedisStore

_LABEL = "session label"
_NOTE = "session note"

# KEYS: when the label was ended, its sessions, their notes. ARGV: name, since, when it ends, now, note.
_ADD = """
local ended = redis.call('GET', KEYS[1])
if ended and tonumber(ended) >= tonumber(ARGV[2]) then
  return 0
end
for _, over in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', ARGV[4], 'LIMIT', 0, 100)) do
  redis.call('ZREM', KEYS[2], over)
  redis.call('HDEL', KEYS[3], over)
end
redis.call('ZADD', KEYS[2], ARGV[3], ARGV[1])
if ARGV[5] ~= '' then
  redis.call('HSET', KEYS[3], ARGV[1], ARGV[5])
end
local last = redis.call('ZRANGE', KEYS[2], -1, -1, 'WITHSCORES')[2]
redis.call('EXPIREAT', KEYS[2], last)
redis.call('EXPIREAT', KEYS[3], last)
return 1
"""

# KEYS: when the label was ended, its sessions. ARGV: when, for how many seconds that is known.
_END = """
local ended = redis.call('GET', KEYS[1])
if not ended or tonumber(ended) < tonumber(ARGV[1]) then
  ended = ARGV[1]
end
redis.call('SET', KEYS[1], ended, 'EX', ARGV[2])
return redis.call('ZRANGE', KEYS[2], 0, -1)
"""

# KEYS: a label's sessions, their notes. ARGV: now. Name after name of those that have not ended, each with its note.
_LISTED = """
local found = {}
for _, name in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], ARGV[1], '+inf')) do
  found[#found + 1] = name
  found[#found + 1] = redis.call('HMGET', KEYS[2], name)[1]
end
return found
"""


@dataclass(frozen=True)
class Listed:
    """A session found by a label: what it is called, and what was noted of it."""

    name: str
    note: dict[str, Any]
    current: bool = False


class Index:
    """The labels of the sessions in *entries*."""

    def __init__(self, store: RedisStore, keyring: KeyRing, entries: Entries) -> None:
        self._store = store
        self._keyring = keyring
        self._entries = entries

    async def add(self, session: Session, ends_at: int) -> bool:
        """Put *session* under its labels; False if one of them has been ended since it holds."""
        name = name_of(session.sid)
        now = int(time.time())
        added = []
        for label, since in session.labels.items():
            note = self._sealed(label, name, session.note)
            keys = _keys(self._keyring.names(_LABEL, label)[0])
            added.append(self._store.execute("EVAL", _ADD, 3, *keys, name, since, ends_at, now, note))
        return all(await asyncio.gather(*added))

    async def remove(self, labels: Iterable[str], names: list[str]) -> None:
        """Take sessions out from under these labels."""
        if names:
            await asyncio.gather(*(self._forget(digest, names) for label in labels for digest in self._digests(label)))

    async def end(self, label: str, at: int, seconds: int) -> int:
        """End all sessions under *label*, and for that many *seconds* each whose label holds since *at* or earlier.

        :returns: how many there were.
        """
        digests = self._digests(label)
        found = await asyncio.gather(*(self._marked(digest, at, seconds) for digest in digests))
        ended = 0
        for digest, names in zip(digests, found, strict=True):
            ended += sum(await asyncio.gather(*(self._end(name) for name in names)))
            if names:
                # Only now: if this is broken off, whoever tries again still finds them.
                await self._forget(digest, names)
        return ended

    async def end_one(self, label: str, name: str) -> bool:
        """End the session of this *name* if it stands under *label*, under whatever id it goes on."""
        ended = False
        # What it goes on as stands there too, or is another user's.
        while name and await self._stands(label, name):
            successor = await self._entries.end(name)
            await self.remove([label], [name])
            name, ended = successor, True
        return ended

    async def listed(self, label: str, current: str) -> list[Listed]:
        """The live sessions under *label*, the one that ends last at the end; the *current* one, if any, lives."""
        now = int(time.time())
        keys = [_keys(digest)[1:] for digest in self._digests(label)]
        answers = await asyncio.gather(*(self._store.execute("EVAL", _LISTED, 2, *pair, now) for pair in keys))
        notes = {
            name.decode(): note for answer in answers for name, note in zip(answer[::2], answer[1::2], strict=True)
        }
        # Who is alone, as most are, has an answer after one round trip.
        others = [name for name in notes if name != current]
        live = await asyncio.gather(*map(self._entries.lives, others))
        ended = {name for name, lives in zip(others, live, strict=True) if not lives}
        return [
            Listed(name, self._opened(label, name, note), name == current)
            for name, note in notes.items()
            if name not in ended
        ]

    async def _end(self, name: str) -> bool:
        # One that was ended by another of its labels still stands under this one, and is counted no second time.
        lives, _successor = await asyncio.gather(self._entries.lives(name), self._entries.end(name))
        return lives

    async def _stands(self, label: str, name: str) -> bool:
        keys = [_keys(digest)[1] for digest in self._digests(label)]
        scores = await asyncio.gather(*(self._store.execute("ZSCORE", key, name) for key in keys))
        return any(score is not None for score in scores)

    async def _marked(self, digest: str, at: int, seconds: int) -> list[str]:
        ended, sessions, _notes = _keys(digest)
        names = await self._store.execute("EVAL", _END, 2, ended, sessions, at, seconds)
        return [name.decode() for name in names]

    async def _forget(self, digest: str, names: list[str]) -> None:
        _ended, sessions, notes = _keys(digest)
        await asyncio.gather(self._store.execute("ZREM", sessions, *names), self._store.execute("HDEL", notes, *names))

    def _digests(self, label: str) -> list[str]:
        # While keys rotate, labels stand under the key that was first when they were written.
        return self._keyring.names(_LABEL, label)

    def _sealed(self, label: str, name: str, note: Mapping[str, Any]) -> bytes:
        return self._keyring.seal(_NOTE, f"{name} {label}".encode(), msgspec.msgpack.encode(note)) if note else b""

    def _opened(self, label: str, name: str, sealed: bytes | None) -> dict[str, Any]:
        try:
            plaintext = self._keyring.open(_NOTE, f"{name} {label}".encode(), sealed or b"")
        except Undecryptable:
            if sealed:
                tell(session_refused, where="note")
            return {}
        return msgspec.msgpack.decode(plaintext, type=dict[str, Any])


def _keys(digest: str) -> tuple[str, str, str]:
    # In braces, so that a cluster keeps the three together.
    return f"{PREFIX}ended:{{{digest}}}", f"{PREFIX}index:{{{digest}}}", f"{PREFIX}notes:{{{digest}}}"
