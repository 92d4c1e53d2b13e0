"""Stateful sessions: Flask-Session's interface, without its rewrites, races, pickle and plain ids.

The browser holds a random id; Redis holds, under the id's SHA-256, a blob whose key is derived from the id. So what is
in Redis neither names a session's cookie nor opens without it.
"""

import asyncio
import hashlib
import logging
from datetime import timedelta

import flask
from flask import Flask, Request, Response
from flask_session.base import ServerSideSessionInterface

from app.server import await_

from .cookies import delete_cookie, set_cookie, vary_by_cookie
from .keyring import KeyRing, Undecryptable
from .model import Session, StoreUnavailable, UnavailableSession, decode, encode
from .store import RedisStore

log = logging.getLogger(__name__)

_PURPOSE = "redis session"


class RedisSessions(ServerSideSessionInterface):
    """One GET for a request with a cookie, none without, a SET only for a changed session."""

    session_class = Session

    def __init__(self, app: Flask, keyring: KeyRing, store: RedisStore) -> None:
        super().__init__(app, key_prefix="session:", use_signer=False, permanent=True, sid_length=32)
        self._keyring = keyring
        self._store = store
        self._lifetime = int(app.permanent_session_lifetime.total_seconds())

    def open_session(self, app: Flask, request: Request) -> Session:
        """Open the session the cookie names; a new one where it names none, an unusable one while Redis is away."""
        sid = request.cookies.get(app.config["SESSION_COOKIE_NAME"])
        if sid:
            try:
                blob = await_(self._retrieve_session_data(self._get_store_id(sid)))
            except StoreUnavailable:
                return UnavailableSession()
            session = self._opened(sid, blob) if blob is not None else None
            if session is not None:
                return session
        # A new id even if one was sent: an id that we did not make must not become a session (fixation).
        return Session(self._generate_sid(self.sid_length))

    def save_session(self, app: Flask, session: Session, response: Response) -> None:
        """Write a changed session, delete an emptied one, leave any other alone.

        :raises StoreUnavailable: Redis does not take it.
        """
        if session.accessed:
            vary_by_cookie(response)
        if not session.modified:
            return
        # Once only: the error page that a failure below ends in saves the session as well.
        session.modified = False
        name = app.config["SESSION_COOKIE_NAME"]
        new = not session.stored
        await_(self._write(session))
        if session and new:
            set_cookie(app, response, name, session.sid, session.expires_in(self._lifetime))
        elif not session and name in flask.request.cookies:
            delete_cookie(app, response, name)

    def regenerate(self, session: Session) -> None:
        """Begin anew under another id; the old one is deleted together with the new one's first write."""
        session.begin(self._generate_sid(self.sid_length))

    async def _write(self, session: Session) -> None:
        # All of it in one round trip, as commands of one turn of the loop are.
        ended = session.replaced + ([session.sid] if session.stored and not session else [])
        commands = [self._delete_session(self._get_store_id(sid)) for sid in ended]
        if session:
            lifetime = timedelta(seconds=session.expires_in(self._lifetime))
            commands.append(self._upsert_session(lifetime, session, self._get_store_id(session.sid)))
        await asyncio.gather(*commands)
        session.replaced.clear()

    def _get_store_id(self, sid: str) -> str:
        return str(self.key_prefix) + hashlib.sha256(sid.encode()).hexdigest()

    # Flask-Session's hooks, on the loop.

    async def _retrieve_session_data(self, store_id: str) -> bytes | None:
        blob: bytes | None = await self._store.execute("GET", store_id)
        return blob

    async def _upsert_session(self, session_lifetime: timedelta, session: Session, store_id: str) -> None:
        blob = self._keyring.seal(_PURPOSE, session.sid.encode(), encode(session))
        seconds = max(int(session_lifetime.total_seconds()), 1)
        # XX for one that was there: a slow request must not bring back what a logout deleted meanwhile.
        condition = "XX" if session.stored else "NX"
        if await self._store.execute("SET", store_id, blob, "EX", seconds, condition) is None:
            log.info("session not written: it ended while a request that changed it was running")
        session.stored = True

    async def _delete_session(self, store_id: str) -> None:
        await self._store.execute("DEL", store_id)

    def _opened(self, sid: str, blob: bytes) -> Session | None:
        try:
            return decode(sid, self._keyring.open(_PURPOSE, sid.encode(), blob), self._lifetime)
        except Undecryptable:
            log.warning("session refused: its data in Redis cannot be decrypted")
            return None
