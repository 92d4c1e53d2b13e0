"""What may be done with the current request's session, and with others by their labels; the same in both modes.

In cookie mode nobody but the browser has a session, so what reaches for it from outside finds none.
"""

import functools
import hashlib
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from typing import Any, cast

from flask import Flask, current_app, session

from .cookie import CookieSessions
from .events import tell_ended
from .index import Index, Listed
from .keyring import KeyRing
from .locks import Locks
from .merge import Resolve
from .model import Session
from .redis import RedisSessions

_TOMBSTONE_SECONDS = 3600


def shared() -> bool:
    """Whether sessions are kept in Redis, so that they can be found and ended from outside."""
    return "session_index" in current_app.extensions


def regenerate(*, continues: bool = False) -> None:
    """Give the current session a new id, and end the old one: call it whenever rights grow.

    Without it, a session id planted in a browser before login is the victim's session after it (OWASP session
    fixation). Its life begins anew, as at a login, unless it *continues*.
    """
    if continues:
        _interface().move(_session())
    else:
        _interface().regenerate(_session())


def limit(not_after: int) -> None:
    """Let the current session end at *not_after* (Unix seconds), unless it ends earlier."""
    _session().limit(not_after)


def ends_by(cause: str) -> None:
    """Say what has ended the current session, which is emptied: one of `events.ENDS`, a logout unless it is said."""
    _session().ends_by = cause


def ends_at() -> datetime:
    """When the current session ends, whatever is done in it."""
    lifetime = int(current_app.permanent_session_lifetime.total_seconds())
    return datetime.fromtimestamp(_session().ends_at(lifetime), UTC)


def sid_digest() -> str:
    """What the current session is called: no secret, and the same as in `listed`."""
    return hashlib.sha256(_session().sid.encode()).hexdigest()


def pseudonym(text: str) -> str:
    """What *text* is called where it must not be read, as in a log; the same as long as the first key is."""
    keyring: KeyRing = current_app.extensions["session_keys"]
    return keyring.pseudonyms(text)[0]


async def save() -> bool:
    """Write the current session now, not with the response; what others changed meanwhile is in it afterwards.

    :returns: False if it has ended meanwhile. Nothing is written then, and it is empty.
    :raises StoreUnavailable: Redis does not take it.
    """
    return await _interface().save(_session())


def overtaken() -> bool:
    """Whether `save` has just found that another request gave the browser's session a new id, so that it has that one.

    As when two tabs complete a login at the same time.
    """
    return _session().overtaken


def amender() -> Callable[[str, Any], Awaitable[bool]]:
    """What writes one key of the current session, at any time and whatever has become of this request.

    It is called with the key and its value, and answers False if the session has ended. A key that others have changed
    meanwhile is what `on_conflict` says. It raises `StoreUnavailable` as `save` does.
    """
    return functools.partial(_interface().amend, _session().sid)


async def reload() -> bool:
    """Bring what others wrote since the current session was read into it; its own changes stay.

    :returns: False if it has ended meanwhile; it is empty then.
    :raises StoreUnavailable: Redis does not answer.
    """
    return await _interface().reload(_session())


def lock(name: str, *, lease: float = 10.0, wait: float = 30.0) -> AbstractAsyncContextManager[None]:
    """Be the only holder of this session's lock *name* for an `async with` block, in the whole fleet.

    :param lease: seconds after which a holder that died is replaced; renewed for one that lives.
    :param wait: seconds to wait for it.
    :raises LockTimeout: it is not to be had for so long.
    :raises StoreUnavailable: Redis does not answer.
    """
    return _locks().hold(f"{sid_digest()} {name}", lease, wait)


def once(label: str, seconds: int) -> AbstractAsyncContextManager[bool]:
    """Do something once in so many seconds, in the whole fleet: `async with once(label, 60) as first:`.

    *first* is False for who comes later. A block that fails does not count: it may be tried again some seconds later.

    :raises StoreUnavailable: Redis does not answer.
    """
    return _locks().once(label, seconds)


def index(labels: Mapping[str, int], note: Mapping[str, Any] | None = None) -> None:
    """Let the current session be found by these labels, from its next writing on.

    :param labels: each with the time (Unix seconds) since when it holds. Where `end` was called for that time or a
        later one the session is refused, with all labels.
    :param note: what `listed` tells of it.
    """
    if not shared():
        return
    current = _session()
    current.labels, current.note = dict(labels), dict(note or {})
    current.outdated = current.modified = True


async def end(label: str, *, at: int | None = None, cause: str = "other") -> int:
    """End all sessions under *label*, also those that are about to be written and whose label holds since *at*.

    :param at: Unix seconds; now unless given.
    :param cause: for whoever watches, one of `events.ENDS`.
    :returns: how many there were.
    """
    found = _index()
    if found is None:
        return 0
    ended = await found.end(label, int(time.time()) if at is None else at, _TOMBSTONE_SECONDS)
    tell_ended(cause, ended)
    return ended


async def end_one(label: str, name: str, *, cause: str = "other") -> bool:
    """End the session that `listed` calls *name*; False if there is none of it under *label*.

    :param cause: for whoever watches, one of `events.ENDS`.
    """
    found = _index()
    ended = found is not None and await found.end_one(label, name)
    tell_ended(cause, int(ended))
    return ended


async def listed(label: str) -> list[Listed]:
    """The sessions under *label* that have not ended, the newest at the end."""
    found = _index()
    current = sid_digest() if _session().stored else ""
    return [] if found is None else await found.listed(label, current)


def on_conflict(app: Flask, key: str, resolve: Resolve) -> None:
    """Let `resolve(theirs, mine)` say what `flask.session[key]` is when two requests have both changed it.

    None stands for a key that is not there. A key without such a function is what was written last.
    """
    cast(RedisSessions | CookieSessions, app.session_interface).resolvers[key] = resolve


def _session() -> Session:
    return cast(Session, session._get_current_object())  # type: ignore[attr-defined]


def _interface() -> RedisSessions | CookieSessions:
    return cast(RedisSessions | CookieSessions, current_app.session_interface)


def _locks() -> Locks:
    return cast(Locks, current_app.extensions["session_locks"])


def _index() -> Index | None:
    return current_app.extensions.get("session_index")
