"""The session object, its form as bytes, and the errors of this room."""

import time
from collections.abc import Mapping
from typing import Any

import msgspec
from flask_session.base import ServerSideSession
from werkzeug.exceptions import ServiceUnavailable

_RETRY_AFTER_SECONDS = 5


class StoreUnavailable(ServiceUnavailable):
    """The session store does not answer. A 503 with `Retry-After`, as a view's `HTTPException` is."""

    def __init__(self) -> None:
        super().__init__("Sessions are not available at the moment.", retry_after=_RETRY_AFTER_SECONDS)


class SessionTooLarge(Exception):
    """The session does not fit where it is kept."""


class Session(ServerSideSession):
    """`flask.session`: a dictionary that knows its life.

    `sid` is its id, `created_at` (Unix seconds) its beginning, `stored` whether the store has it already, and
    `replaced` are the ids that it had before and that end with it being saved.
    """

    def __init__(self, sid: str, data: Mapping[str, Any] | None = None, created_at: int | None = None) -> None:
        super().__init__(dict(data) if data is not None else None)
        self.sid = sid
        self.stored = data is not None
        self.replaced: list[str] = []
        self.created_at = int(time.time()) if created_at is None else created_at

    def begin(self, sid: str) -> None:
        """Go on as a session of its own that begins now, under the id *sid*; the one before ends when this is saved."""
        if self.stored:
            self.replaced.append(self.sid)
        self.sid, self.stored, self.created_at = sid, False, int(time.time())
        self.modified = True

    def expires_in(self, lifetime: int) -> int:
        """Whole seconds until a session of *lifetime* seconds ends; zero or less when it has."""
        return self.created_at + lifetime - int(time.time())


class UnavailableSession(Session):
    """What a request gets while the store is away: fails when it is used, so pages without a session go on."""

    def __init__(self) -> None:
        super().__init__(sid="")

    def _unavailable(self, *_args: Any, **_kwargs: Any) -> Any:
        raise StoreUnavailable

    __getitem__ = __setitem__ = __delitem__ = __contains__ = __iter__ = __len__ = __bool__ = _unavailable
    get = setdefault = pop = popitem = update = clear = keys = values = items = _unavailable


def encode(session: Session) -> bytes:
    """Write what is kept of a session: when it began, and its data. Never pickle: reading must not run code.

    :raises TypeError: a value is neither text, number, bytes, date, list nor dictionary.
    """
    try:
        return msgspec.msgpack.encode((session.created_at, dict(session)))
    except TypeError as error:
        raise TypeError(f"flask.session holds a value that cannot be kept: {error}") from None


_decoder = msgspec.msgpack.Decoder(tuple[int, dict[str, Any]])


def decode(sid: str, plaintext: bytes, lifetime: int) -> Session | None:
    """Read what `encode` wrote; None when its *lifetime* (seconds from the beginning) is over."""
    created_at, data = _decoder.decode(plaintext)
    session = Session(sid, data, created_at)
    return session if session.expires_in(lifetime) > 0 else None
