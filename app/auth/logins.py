"""What one login was begun with: kept with its transaction, and held against the tokens that it ends in."""

import hmac
import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import jwt
import msgspec
from auth0_server_python.error import MissingTransactionError

from .requirements import has_acr, is_recent

_KEY = "login"
# A link may ask for any age, and what it asks for is kept in an integer of 64 bits.
_LONGEST_SECONDS = 10**10


class TooWeak(Exception):
    """The sign-in succeeded, and did not bring what was asked of it."""


class Login(msgspec.Struct, frozen=True):
    """One login: `nonce` ties the ID token to this browser's request, `began` (Unix milliseconds) tells it from a later
    logout, `app_state` is the caller's own.

    `max_age`, `acr` and `scopes` were asked for beyond what every login asks for, so it has to bring them: a provider
    may ignore the wish, and whoever made it would make it again and again.

    `anonymous` is a `silent` one that began when nobody was signed in.
    """

    nonce: str
    began: int
    app_state: Any = None
    max_age: int | None = None
    acr: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()
    silent: bool = False
    anonymous: bool = False

    @classmethod
    def begin(cls, app_state: Any, parameters: Mapping[str, Any], *, anonymous: bool = False) -> "Login":
        """A new one, with these authorization parameters."""
        max_age = str(parameters.get("max_age", ""))
        return cls(
            secrets.token_urlsafe(24),
            now(),
            app_state,
            min(int(max_age), _LONGEST_SECONDS) if max_age.isascii() and max_age.isdigit() else None,
            tuple(str(parameters.get("acr_values", "")).split()),
            tuple(str(parameters.get("scope", "")).split()),
            parameters.get("prompt") == "none",
            anonymous,
        )

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

    def check(self, claims: Mapping[str, Any], granted: str | None, leeway: float) -> None:
        """Whether the ID token with *claims* and an access token of scope *granted* are the answer to this login.

        :raises jwt.InvalidTokenError: the ID token is another login's (OpenID Connect Core 3.1.3.7, 11).
        :raises TooWeak: it is ours, and not what was asked for (12 and 13 there).
        """
        if not hmac.compare_digest(str(claims.get("nonce", "")).encode(), self.nonce.encode()):
            raise jwt.InvalidTokenError("the ID token answers another request")
        if self.max_age is not None and not is_recent(claims, self.max_age, leeway):
            raise TooWeak("max_age")
        if self.acr and not has_acr(claims, self.acr):
            raise TooWeak("acr")
        # A provider that grants just what was asked for need not say so (RFC 6749, 5.1).
        if granted and not set(self.scopes) - {"offline_access"} <= set(granted.split()):
            raise TooWeak("scope")


def now() -> int:
    """Unix milliseconds: two things that a person does are seldom in the same one."""
    return time.time_ns() // 1_000_000


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
