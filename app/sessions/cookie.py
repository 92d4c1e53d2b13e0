"""Stateless sessions: all of it in the browser, encrypted, split over several cookies when one is too small.

When it was last used stands in a cookie of its own, so that a slow request which only notes its use can neither bring
back a session that was ended meanwhile nor undo what was written.
"""

import hmac
import secrets
import time
from typing import Any

import flask
from flask import Flask, Request, Response
from flask.sessions import SessionInterface

from .cookies import MAXIMUM_BYTES, delete_cookie, set_cookie, to_bytes, to_text, vary_by_cookie
from .events import Stats, session_created, session_refused, tell, tell_ended
from .keyring import KeyRing, Undecryptable
from .merge import Resolve
from .model import Session, SessionTooLarge, decode, encode

_PURPOSE = "cookie session"
_USE = "cookie session use"
_SID_BYTES = 16
_RENEW_SECONDS = 60
# Four full cookies make 16 kB of request headers: nginx here takes that, many servers take no more.
_MAXIMUM_COOKIES = 4


class CookieSessions(SessionInterface):
    """Flask's session interface over the cookies `session`, `session.1`, `session.2`, …

    Their values, one after the other, are `base64url(session id (16) | blob)`. `session.used` is `Unix seconds-MAC`.
    """

    def __init__(self, app: Flask, keyring: KeyRing, idle: int) -> None:
        self.resolvers: dict[str, Resolve] = {}
        """Never called: each response has the browser's cookies to itself."""
        self._keyring = keyring
        self._stats = Stats.of(app)
        self._lifetime = int(app.permanent_session_lifetime.total_seconds())
        self._idle = idle if idle < self._lifetime else None

    def open_session(self, app: Flask, request: Request) -> Session:
        """Open the session that the request's cookies hold; a new one where they hold none that is valid."""
        text = "".join(request.cookies[name] for name in self._sent(app, request))
        if text:
            data = to_bytes(text)
            sid, blob = data[:_SID_BYTES], data[_SID_BYTES:]
            try:
                session = decode(sid.hex(), self._keyring.open(_PURPOSE, sid, blob), self._lifetime)
            except Undecryptable:
                tell(session_refused, where="session")
            else:
                if session is not None and self._used(app, request, session):
                    self._stats.opened(first_key=self._keyring.is_first(blob))
                    return session
        return Session(_new_sid())

    def save_session(self, app: Flask, session: Session, response: Response) -> None:  # type: ignore[override]
        """Write a changed session, remove an emptied one, leave any other alone.

        :raises SessionTooLarge: it needs more cookies than browsers and servers reliably carry.
        """
        if session.accessed:
            vary_by_cookie(response)
        if not session.modified:
            if session.accessed and session.stored and time.time() - session.used_at >= _RENEW_SECONDS:
                self._note_use(app, session, response)
            return
        # Once only: the error page that a failure below ends in saves the session as well.
        session.modified = False
        sent = self._sent(app, flask.request)
        parts = {_name(app, index): part for index, part in enumerate(self._parts(app, session) if session else [])}
        for name, part in parts.items():
            set_cookie(app, response, name, part, session.expires_in(self._lifetime))
        if parts:
            if not session.stored:
                tell(session_created)
                tell_ended("replaced", len(session.replaced))
            self._note_use(app, session, response)
        else:
            tell_ended(session.ends_by, len(session.replaced) + session.stored)
            if _used_name(app) in flask.request.cookies:
                sent.append(_used_name(app))
        for name in sent:
            if name not in parts:
                delete_cookie(app, response, name)

    def regenerate(self, session: Session) -> None:
        """Begin anew under another id. The old cookies are overwritten in the browser that sent them."""
        session.begin(_new_sid())

    def move(self, session: Session) -> None:
        """Go on under another id."""
        session.move(_new_sid())

    async def save(self, session: Session) -> bool:
        """Do nothing: the response writes it."""
        return True

    async def reload(self, session: Session) -> bool:
        """Do nothing: all of it came with the request."""
        return True

    async def amend(self, sid: str, key: str, value: Any) -> bool:
        """Do nothing: no response, no cookies."""
        return True

    def _used(self, app: Flask, request: Request, session: Session) -> bool:
        # Whether it was used within the idle time. Its use is no secret, but must not be another session's.
        if self._idle is None:
            session.used_at = int(time.time())
            return True
        text, _, mac = request.cookies.get(_used_name(app), "").partition("-")
        macs = self._keyring.names(_USE, f"{session.sid} {text}")
        if not any(hmac.compare_digest(mac.encode(), known.encode()) for known in macs):
            return False
        session.used_at = int(text)
        return session.used_at + self._idle > time.time()

    def _note_use(self, app: Flask, session: Session, response: Response) -> None:
        if self._idle is not None:
            now = str(int(time.time()))
            mac = self._keyring.names(_USE, f"{session.sid} {now}")[0]
            set_cookie(app, response, _used_name(app), f"{now}-{mac}", self._idle)

    def _parts(self, app: Flask, session: Session) -> list[str]:
        sid = bytes.fromhex(session.sid)
        text = to_text(sid + self._keyring.seal(_PURPOSE, sid, encode(session)))
        size = MAXIMUM_BYTES - len(_name(app, _MAXIMUM_COOKIES)) - 1
        parts = [text[start : start + size] for start in range(0, len(text), size)]
        if len(parts) > _MAXIMUM_COOKIES:
            raise SessionTooLarge(
                f"The session takes {len(text)} bytes as cookies, more than the {size * _MAXIMUM_COOKIES} that "
                "browsers and servers carry: keep less in flask.session, or set SESSION_BACKEND=redis."
            )
        return parts

    def _sent(self, app: Flask, request: Request) -> list[str]:
        names = [_name(app, index) for index in range(_MAXIMUM_COOKIES)]
        return [name for name in names if name in request.cookies]


def _name(app: Flask, index: int) -> str:
    name: str = app.config["SESSION_COOKIE_NAME"]
    return f"{name}.{index}" if index else name


def _used_name(app: Flask) -> str:
    return f"{app.config['SESSION_COOKIE_NAME']}.used"


def _new_sid() -> str:
    return secrets.token_hex(_SID_BYTES)
