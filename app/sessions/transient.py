"""Short-lived encrypted cookies: what a browser carries through a detour, bound to it and gone after use."""

import hashlib
import time
from typing import Any, NamedTuple

import msgspec
from flask import Response, after_this_request, current_app, g, request

from app.server import on_loop

from .cookies import delete_cookie, set_cookie, to_bytes, to_text
from .events import session_refused, tell
from .keyring import KeyRing, Undecryptable

_PURPOSE = "transient cookie"
_MAXIMUM = 5


class _Kept(NamedTuple):
    expires_at: int
    value: dict[str, Any]


class TransientCookies:
    """Values in cookies of their own, one for each *key*; at most five of a *kind* in a browser, the oldest goes first.

    Keys are hashed for the cookie's name, so any text will do as one.
    """

    def __init__(self, keyring: KeyRing, prefix: str) -> None:
        self._keyring = keyring
        self._prefix = prefix
        self._decoder = msgspec.msgpack.Decoder(_Kept)

    def put(self, kind: str, key: str, value: dict[str, Any], max_age: int) -> None:
        """Keep *value* for *max_age* seconds, from this request's response on."""
        name = self._name(kind, key)
        others = [other for other in request.cookies if other.startswith(self._prefix + kind + ".") and other != name]
        others.sort(key=self._expiry)
        # A flood of forged ones goes a few at a time: each that is removed is a header of the response.
        for other in others[: max(0, len(others) - _MAXIMUM + 1)][:_MAXIMUM]:
            _stage(other, None, 0)
        plaintext = msgspec.msgpack.encode(_Kept(int(time.time()) + max_age, value))
        _stage(name, to_text(self._keyring.seal(_PURPOSE, name.encode(), plaintext)), max_age)

    def take(self, kind: str, key: str) -> dict[str, Any] | None:
        """Return the value kept under *key* and remove its cookie; None where this browser has none that is valid."""
        name = self._name(kind, key)
        if name not in request.cookies:
            return None
        _stage(name, None, 0)
        kept = self._read(name)
        return kept.value if kept is not None and kept.expires_at > time.time() else None

    def _name(self, kind: str, key: str) -> str:
        return f"{self._prefix}{kind}.{hashlib.sha256(key.encode('utf-8', 'replace')).hexdigest()[:32]}"

    def _expiry(self, name: str) -> int:
        kept = self._read(name)
        return kept.expires_at if kept is not None else 0

    def _read(self, name: str) -> _Kept | None:
        try:
            plaintext = self._keyring.open(_PURPOSE, name.encode(), to_bytes(request.cookies[name]))
        except Undecryptable:
            # A login reads its own more than once.
            refused: set[str] = g.setdefault("transient_cookies_refused", set())
            if name not in refused:
                refused.add(name)
                tell(session_refused, where="transaction")
            return None
        return self._decoder.decode(plaintext)


def _stage(name: str, text: str | None, max_age: int) -> None:
    # Views set these before there is a response.
    if "transient_cookies" not in g:
        g.transient_cookies = {}
        after_this_request(_write)
    g.transient_cookies[name] = (text, max_age)


@on_loop
def _write(response: Response) -> Response:
    app = current_app._get_current_object()  # type: ignore[attr-defined]
    for name, (text, max_age) in g.transient_cookies.items():
        if text is None:
            delete_cookie(app, response, name)
        else:
            set_cookie(app, response, name, text, max_age)
    return response
