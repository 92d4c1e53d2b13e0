"""Stateful sessions: Flask-Session's interface, without its rewrites, races, pickle and plain ids.

The browser holds a random id; Redis holds, under the id's SHA-256, a blob whose key is derived from the id. So what is
in Redis neither names a session's cookie nor opens without it.
"""

import asyncio
import logging
from datetime import timedelta
from typing import Any

import flask
from flask import Flask, Request, Response
from flask_session.base import ServerSideSessionInterface

from app.server import await_

from .cookies import delete_cookie, set_cookie, vary_by_cookie
from .entries import PREFIX, Entries, key_of, name_of, version_of
from .events import Stats, session_created, session_refused, tell, tell_ended
from .index import Index
from .keyring import KeyRing, Undecryptable
from .merge import Resolve, merge
from .model import Replaced, Session, StoreUnavailable, UnavailableSession, decode, encode

log = logging.getLogger(__name__)

_PURPOSE = "redis session"
_ATTEMPTS = 100


class RedisSessions(ServerSideSessionInterface):
    """One command for a request with a cookie, none without, a compare-and-set only for a changed session."""

    session_class = Session

    def __init__(self, app: Flask, keyring: KeyRing, entries: Entries, index: Index) -> None:
        super().__init__(app, key_prefix=PREFIX, use_signer=False, permanent=True, sid_length=32)
        self.resolvers: dict[str, Resolve] = {}
        self._keyring = keyring
        self._stats = Stats.of(app)
        self._entries = entries
        self._index = index
        self._lifetime = int(app.permanent_session_lifetime.total_seconds())

    def open_session(self, app: Flask, request: Request) -> Session:
        """Open the session the cookie names; a new one where it names none, an unusable one while Redis is away."""
        sid = request.cookies.get(app.config["SESSION_COOKIE_NAME"])
        if sid:
            try:
                session = await_(self.find(sid))
            except StoreUnavailable:
                return UnavailableSession()
            if session is not None:
                return session
        # A new id even if one was sent: an id that we did not make must not become a session (fixation).
        return Session(self._new_sid())

    async def find(self, sid: str) -> Session | None:
        """Read the session of this id; None where there is none, or none that is valid.

        :raises StoreUnavailable: Redis does not answer.
        """
        blob = await self._retrieve_session_data(self._get_store_id(sid))
        return None if blob is None else self._opened(sid, blob)

    def save_session(self, app: Flask, session: Session, response: Response) -> None:
        """Write a changed session, end an emptied one, leave any other alone.

        :raises StoreUnavailable: Redis does not take it.
        """
        if session.accessed:
            vary_by_cookie(response)
        if session.modified or session.saving is not None:
            await_(self.save(session))
        if session.stored:
            if not session.announced:
                session.announced = True
                set_cookie(app, response, self._cookie(app), session.sid, session.expires_in(self._lifetime))
        elif session.emptied and self._cookie(app) in flask.request.cookies:
            delete_cookie(app, response, self._cookie(app))

    def regenerate(self, session: Session) -> None:
        """Begin anew under another id; the old one ends with the new one's first write."""
        session.begin(self._new_sid())

    def move(self, session: Session) -> None:
        """Go on under another id; the old one ends with the new one's first write."""
        session.move(self._new_sid())

    async def save(self, session: Session) -> bool:
        """Write a changed session now; what others changed meanwhile is in it afterwards.

        :returns: False if it has ended meanwhile. Nothing is written then, and it is empty.
        :raises StoreUnavailable: Redis does not take it.
        """
        if session.saving is None:
            if not session.modified:
                return True
            session.saving = asyncio.Lock()
        # A new id is there for one writing alone: of two at the same time, one would find that it has ended.
        waits = session.saving.locked()
        async with session.saving:
            if session.modified:
                return await self._saved(session)
            return not waits or bool(session)

    async def reload(self, session: Session) -> bool:
        """Bring what others wrote since it was read into *session*, which keeps its own changes.

        :returns: False if it has ended meanwhile; it is empty then.
        :raises StoreUnavailable: Redis does not answer.
        """
        if isinstance(session, UnavailableSession):
            raise StoreUnavailable
        if not session.stored:
            return True
        theirs = await self.find(session.sid)
        if theirs is None:
            session.end(self._new_sid())
            return False
        if theirs.version != session.version:
            merge(session, theirs, self.resolvers)
            session.version = theirs.version
        return True

    async def amend(self, sid: str, key: str, value: Any) -> bool:
        """Put *value* under *key* of the session of this id as it is in Redis now.

        :returns: False if it has ended.
        :raises StoreUnavailable: Redis does not answer, or does not take it.
        """
        session = await self.find(sid)
        if session is None:
            return False
        resolve = self.resolvers.get(key)
        session[key] = resolve(session.get(key), value) if resolve else value
        return await self.save(session)

    async def _saved(self, session: Session) -> bool:
        # Once only: the error page that a failure ends in saves the session as well.
        session.modified = False
        if not session:
            await self._empty(session)
            return True
        if await self._written(session):
            return True
        log.info("session not written: it ended while a request that changed it was running")
        session.end(self._new_sid())
        return False

    async def _written(self, session: Session) -> bool:
        # The index first: what it refuses, and what is ended by it from then on, does not come to be.
        if session.labels and (session.outdated or not session.stored):
            added = await self._index.add(session, session.ends_at(self._lifetime))
            if not added:
                return False
        for old in session.replaced:
            if not await self._swapped(session, old.sid, old.version, successor=name_of(session.sid)):
                session.overtaken = await self._entries.goes_on(name_of(old.sid))
                return False
        if not await self._swapped(session, session.sid, session.version):
            return False
        if not session.stored:
            tell(session_created)
            tell_ended("replaced", len(session.replaced))
        session.stored, session.outdated = True, False
        replaced, session.replaced, session.begun, session.cleared = session.replaced, (), False, False
        await asyncio.gather(*(self._index.remove(old.labels, [name_of(old.sid)]) for old in replaced))
        return True

    async def _swapped(self, session: Session, sid: str, version: bytes, *, successor: str = "") -> bool:
        key = self._get_store_id(sid)
        for _attempt in range(_ATTEMPTS):
            answer: bytes | bool
            if successor:
                answer = await self._entries.replace(key, version, successor)
            else:
                answer = await self._put(session, key, version)
            if isinstance(answer, bool):
                return answer
            theirs = self._opened(sid, answer)
            if theirs is None:
                return False
            merge(session, theirs, self.resolvers)
            version = theirs.version
        log.error("session not written: others write it all the time")
        raise StoreUnavailable

    async def _put(self, session: Session, key: str, version: bytes) -> bytes | bool:
        plaintext = encode(session)
        blob = self._keyring.seal(_PURPOSE, session.sid.encode(), plaintext)
        answer = await self._entries.swap(key, version, blob, session.expires_in(self._lifetime))
        if answer is True:
            session.version, session.plaintext = version_of(blob), plaintext
        return answer

    async def _empty(self, session: Session) -> None:
        current = [Replaced(session.sid, session.version, session.labels)] if session.stored else []
        ended = [(name_of(old.sid), old.labels) for old in (*session.replaced, *current)]
        await asyncio.gather(*(self._entries.delete(name) for name, _labels in ended))
        # Only then: what lives stands under its labels, or nobody could end it.
        await asyncio.gather(*(self._index.remove(labels, [name]) for name, labels in ended))
        tell_ended(session.ends_by, len(ended))
        session.end(self._new_sid())
        session.emptied = True

    def _new_sid(self) -> str:
        sid: str = self._generate_sid(self.sid_length)
        return sid

    def _opened(self, sid: str, blob: bytes) -> Session | None:
        try:
            session = decode(sid, self._keyring.open(_PURPOSE, sid.encode(), blob), self._lifetime)
        except Undecryptable:
            tell(session_refused, where="session")
            return None
        if session is not None:
            session.version = version_of(blob)
            first = self._keyring.is_first(blob)
            self._stats.opened(first_key=first)
            if not first:
                # It moves to the first key at once, so that the old one need not be kept until the session ends.
                session.outdated = session.modified = True
        return session

    @staticmethod
    def _cookie(app: Flask) -> str:
        name: str = app.config["SESSION_COOKIE_NAME"]
        return name

    # Flask-Session's hooks, on the loop.

    def _get_store_id(self, sid: str) -> str:
        return key_of(name_of(sid))

    async def _retrieve_session_data(self, store_id: str) -> bytes | None:
        return await self._entries.read(store_id)

    async def _upsert_session(self, session_lifetime: timedelta, session: Session, store_id: str) -> None:
        await self.save(session)

    async def _delete_session(self, store_id: str) -> None:
        await self._entries.delete(store_id.removeprefix(PREFIX))
