"""What one login was begun with: kept with its transaction, and held against the ID token that it ends in."""

import hmac
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import jwt
import msgspec
from auth0_server_python.error import MissingTransactionError

_KEY = "login"


class Login(msgspec.Struct, frozen=True):
    """One login: `nonce` ties the ID token to this browser's request, `app_state` is the caller's own."""

    nonce: str
    app_state: Any = None

    @classmethod
    def begin(cls, app_state: Any) -> "Login":
        """A new one."""
        return cls(secrets.token_urlsafe(24), app_state)

    @classmethod
    def kept(cls, app_state: Any) -> "Login":
        """The one that `keep` made.

        :raises MissingTransactionError: it is none of ours.
        """
        try:
            return msgspec.convert(app_state[_KEY], cls)
        except (TypeError, KeyError, msgspec.ValidationError):
            raise MissingTransactionError from None

    def keep(self) -> dict[str, Any]:
        """As the transaction's `app_state`, which the SDK keeps and hands back."""
        return {_KEY: msgspec.to_builtins(self)}

    def check(self, claims: dict[str, Any]) -> None:
        """Whether the ID token with *claims* is the answer to this login.

        :raises jwt.InvalidTokenError: it is another's (OpenID Connect Core 3.1.3.7, 11).
        """
        if not hmac.compare_digest(str(claims.get("nonce", "")).encode(), self.nonce.encode()):
            raise jwt.InvalidTokenError("the ID token answers another request")


_current: ContextVar[Login | None] = ContextVar("login", default=None)


def current() -> Login | None:
    """The login that is being begun or completed here."""
    return _current.get()


@contextmanager
def in_progress(login: Login | None) -> Iterator[None]:
    """Make *login* the current one."""
    token = _current.set(login)
    try:
        yield
    finally:
        _current.reset(token)
