"""The session object, its form as bytes, and the errors of this room."""

import asyncio
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec
from flask_session.base import ServerSideSession
from werkzeug.datastructures import CallbackDict
from werkzeug.exceptions import ServiceUnavailable

_RETRY_AFTER_SECONDS = 5


class StoreUnavailable(ServiceUnavailable):
    """The session store does not answer. A 503 with `Retry-After`, as a view's `HTTPException` is."""

    def __init__(self) -> None:
        super().__init__("Sessions are not available at the moment.", retry_after=_RETRY_AFTER_SECONDS)


class SessionTooLarge(Exception):
    """The session does not fit where it is kept."""


class Replaced(NamedTuple):
    """An id that a session had before: what was read under it, and what it stands under in the index."""

    sid: str
    version: bytes
    labels: Mapping[str, int]


def _changed(session: "CallbackDict[str, Any]") -> None:
    vars(session).update(modified=True, accessed=True)


class Session(ServerSideSession):
    """`flask.session`: a dictionary that knows its life."""

    not_after: int | None = None
    """It ends then at the latest (Unix seconds), whatever its lifetime is."""
    labels: Mapping[str, int] = {}
    """What it can be found by (`index.py`), each with the Unix seconds since when it holds."""
    note: Mapping[str, Any] = {}
    """What is told of it to who finds it by a label."""
    plaintext: bytes | None = None
    """What was read, to tell one's own changes from those of others."""
    version = b""
    """Which writing of it was read; empty while the store has none of this id."""
    replaced: tuple[Replaced, ...] = ()
    """What it was before; that ends with it being saved."""
    begun = False
    """Whether it began with this request, so what it was before tells nothing of its life and its labels."""
    cleared = False
    """Whether it was emptied by this request, so nothing that others add meanwhile belongs to it."""
    outdated = False
    """Whether its labels are not in the index, or not by the first key."""
    overtaken = False
    """Whether it could not take the place of the one before, which another request of the browser had just replaced."""
    emptied = False
    """Whether it was ended by this request, so its cookie goes."""
    ends_by = "logout"
    """What ends it where it is saved empty, one of `events.ENDS`."""
    announced = False
    """Whether the browser has its id."""
    saving: asyncio.Lock | None = None
    """Held while it is written, once that has begun: what a request gave up goes on beside its error page."""
    used_at = 0
    """When it was last used (Unix seconds), where the store does not know that itself."""

    def __init__(self, sid: str, data: Mapping[str, Any] | None = None, created_at: int | None = None) -> None:
        # Not the base class's, which makes a function and copies for each.
        CallbackDict.__init__(self, data, _changed)
        self.sid = sid
        self.modified = self.accessed = False
        self.stored = data is not None
        self.created_at = int(time.time()) if created_at is None else created_at

    def begin(self, sid: str) -> None:
        """Go on under the id *sid* as a session that begins now; the one before ends when this is saved."""
        self.move(sid)
        self.created_at, self.not_after, self.labels, self.note = int(time.time()), None, {}, {}
        self.begun = True

    def move(self, sid: str) -> None:
        """Go on under the id *sid*; the old one ends when this is saved."""
        if self.stored:
            self.replaced = (*self.replaced, Replaced(self.sid, self.version, self.labels))
        self.sid, self.stored, self.version, self.announced = sid, False, b"", False
        self.modified = True

    def end(self, sid: str) -> None:
        """Be an empty session of the id *sid* that nobody has seen: the one that this was has ended."""
        dict.clear(self)
        self.sid, self.stored, self.version, self.plaintext, self.announced = sid, False, b"", None, False
        self.created_at, self.not_after, self.labels, self.note = int(time.time()), None, {}, {}
        self.replaced, self.begun, self.cleared = (), False, False
        self.modified = False

    def clear(self) -> None:
        """Empty it, also of what other requests are adding."""
        # Flask-Session's keeps whether it is permanent, as a key of it; here each one is.
        CallbackDict.clear(self)
        self.cleared = True

    def limit(self, not_after: int) -> None:
        """Let it end at *not_after* (Unix seconds), unless it ends earlier."""
        if self.not_after is None or not_after < self.not_after:
            self.not_after = not_after
            self.modified = True

    def ends_at(self, lifetime: int) -> int:
        """When a session of *lifetime* seconds ends (Unix seconds)."""
        end = self.created_at + lifetime
        return end if self.not_after is None else min(end, self.not_after)

    def expires_in(self, lifetime: int) -> int:
        """Whole seconds until a session of *lifetime* seconds ends; zero or less when it has."""
        return self.ends_at(lifetime) - int(time.time())


class UnavailableSession(Session):
    """What a request gets while the store is away: fails when it is used, so pages without a session go on."""

    def __init__(self) -> None:
        super().__init__(sid="")

    def _unavailable(self, *_args: Any, **_kwargs: Any) -> Any:
        raise StoreUnavailable

    __getitem__ = __setitem__ = __delitem__ = __contains__ = __iter__ = __len__ = __bool__ = _unavailable
    get = setdefault = pop = popitem = update = clear = keys = values = items = _unavailable
    move = limit = _unavailable


class _Kept(msgspec.Struct, array_like=True):
    created_at: int
    data: dict[str, Any]
    not_after: int | None = None
    labels: dict[str, int] = {}
    note: dict[str, Any] = {}


_decoder = msgspec.msgpack.Decoder(_Kept)


def encode(session: Session) -> bytes:
    """Write what is kept of a session: its life, what it is found by, its data. Never pickle: reading runs no code.

    :raises TypeError: a value is neither text, number, bytes, date, list nor dictionary.
    """
    kept: tuple[Any, ...] = (session.created_at, dict(session))
    if session.not_after is not None or session.labels:
        kept += (session.not_after, session.labels, session.note)
    try:
        return msgspec.msgpack.encode(kept)
    except TypeError as error:
        raise TypeError(f"flask.session holds a value that cannot be kept: {error}") from None


def decode(sid: str, plaintext: bytes, lifetime: int) -> Session | None:
    """Read what `encode` wrote; None when its *lifetime* (seconds from the beginning) is over."""
    kept = _decoder.decode(plaintext)
    session = Session(sid, kept.data, kept.created_at)
    session.plaintext = plaintext
    session.announced = True
    if kept.not_after is not None:
        session.not_after = kept.not_after
    if kept.labels:
        session.labels, session.note = kept.labels, kept.note
    return session if session.expires_in(lifetime) > 0 else None


def data_of(plaintext: bytes) -> dict[str, Any]:
    """The data alone of what `encode` wrote."""
    data: dict[str, Any] = _decoder.decode(plaintext).data
    return data
