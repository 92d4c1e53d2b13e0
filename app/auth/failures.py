"""What can go wrong with a login, told apart: what the person reads, what the log says, with which status."""

import json
import re
from collections.abc import Iterator
from typing import NamedTuple

import httpx
import jwt
from auth0_server_python.error import (
    ApiError,
    ConfigurationError,
    IssuerValidationError,
    MissingRequiredArgumentError,
    MissingTransactionError,
    OrganizationTokenValidationError,
    SessionExpiredError,
)
from werkzeug.exceptions import HTTPException

from app.sessions import StoreUnavailable

from .logins import TooWeak


class Failure(NamedTuple):
    """One kind of failed login. `cause` is for logs and metrics, the texts are for the person."""

    cause: str
    status: int
    title: str
    text: str
    operator: bool = False
    """Whether it is the operator who has to do something, so it is logged as an error."""


DENIED = Failure("denied", 403, "Sign-in was cancelled", "You, or a rule of this organisation, declined the sign-in.")
EXPIRED = Failure(
    "expired",
    400,
    "This sign-in is no longer valid",
    "It took longer than ten minutes, was begun in another browser, or has been completed already.",
)
CODE_USED = Failure(
    "code_used", 400, "This sign-in was completed already", "The link that brought you here works only once."
)
ORGANIZATION = Failure(
    "organization", 403, "Not a member of this organisation", "Your account may not sign in to this organisation."
)
TOO_WEAK = Failure(
    "too_weak", 403, "This sign-in is not enough", "It did not bring what the page that you asked for needs."
)
SLOW = Failure("provider_slow", 504, "Signing in takes too long", "The sign-in service did not answer in time.")
DOWN = Failure("provider_down", 502, "Signing in is not possible right now", "The sign-in service has a problem.")
UNKNOWN_KEY = Failure(
    "unknown_key",
    502,
    "Signing in is not possible right now",
    "The sign-in service has changed its keys. Please try again in a minute.",
)
CLOCK = Failure(
    "clock_skew",
    500,
    "Signing in is not possible right now",
    "Something is not set up right. The operator has been told.",
    operator=True,
)
UNTRUSTED = CLOCK._replace(cause="untrusted_token")
MISCONFIGURED = CLOCK._replace(cause="misconfigured")
REFUSED = Failure("refused", 400, "Signing in did not succeed", "The sign-in service declined the request.")
UNKNOWN = CLOCK._replace(cause="unknown")
# Those that have another page than a `Failure`'s, or none.
REFUSED_BY_HOOK = "refused_by_hook"
STORE_UNAVAILABLE = "store_unavailable"
TIMED_OUT = "timed_out"
NEEDS_THE_PERSON = "needs_the_person"

PEOPLES = (
    *(failure.cause for failure in (DENIED, EXPIRED, CODE_USED, ORGANIZATION, TOO_WEAK, REFUSED)),
    REFUSED_BY_HOOK,
    NEEDS_THE_PERSON,
)
"""Causes that lie with who wanted to sign in, or with a rule: nothing is out of order."""
PROVIDERS = tuple(failure.cause for failure in (SLOW, DOWN, UNKNOWN_KEY))
"""Causes that lie with the provider, or on the way to it."""
OPERATORS = (
    *(failure.cause for failure in (CLOCK, UNTRUSTED, MISCONFIGURED, UNKNOWN)),
    STORE_UNAVAILABLE,
    TIMED_OUT,
)
"""Causes that the operator has to do something about."""
CAUSES = (*PEOPLES, *PROVIDERS, *OPERATORS)

# RFC 6749 (4.1.2.1, 5.2), OpenID Connect Core (3.1.2.6), and Auth0's own `unauthorized`.
_BY_CODE = {
    "access_denied": DENIED,
    "unauthorized": DENIED,
    "invalid_grant": CODE_USED,
    "invalid_client": MISCONFIGURED,
    "unauthorized_client": MISCONFIGURED,
    "invalid_request": MISCONFIGURED,
    "invalid_scope": MISCONFIGURED,
    "unsupported_response_type": MISCONFIGURED,
    "server_error": DOWN,
    "temporarily_unavailable": DOWN,
    "too_many_requests": DOWN,
    "invalid_signature": UNTRUSTED,
    "invalid_audience": UNTRUSTED,
    "jwks_key_not_found": UNKNOWN_KEY,
    "token_expired": CLOCK,
}
_BY_EXCEPTION: tuple[tuple[tuple[type[BaseException], ...], Failure], ...] = (
    ((MissingTransactionError, MissingRequiredArgumentError, SessionExpiredError), EXPIRED),
    ((OrganizationTokenValidationError,), ORGANIZATION),
    ((TooWeak,), TOO_WEAK),
    ((ConfigurationError,), MISCONFIGURED),
    ((httpx.TimeoutException, TimeoutError), SLOW),
    # An answer that should be JSON and is not comes from something in between.
    ((httpx.HTTPError, json.JSONDecodeError), DOWN),
    ((jwt.ImmatureSignatureError, jwt.ExpiredSignatureError), CLOCK),
    ((jwt.InvalidTokenError, IssuerValidationError), UNTRUSTED),
)
_CODE = re.compile(r"[a-z_]{1,64}")


def classify(error: Exception) -> Failure:
    """Say which kind of failure an exception of the SDK's login methods is."""
    for cause in _chain(error):
        for kinds, failure in _BY_EXCEPTION:
            if isinstance(cause, kinds):
                return failure
        failure_of_code = _BY_CODE.get(_code(cause))
        if failure_of_code is not None:
            return failure_of_code
    return REFUSED if isinstance(error, ApiError) else UNKNOWN


def outcome_of(error: Exception) -> str:
    """How a call to the provider ended that raised this: one of `events.PROVIDER_OUTCOMES`."""
    if isinstance(error, httpx.HTTPStatusError) and error.response.status_code < 500:
        return "refused"
    return {SLOW: "slow", DOWN: "down"}.get(classify(error), "refused")


def cause_of_http(error: HTTPException) -> str:
    """The cause of a login that ended in an answer which is not a `Failure`'s."""
    return STORE_UNAVAILABLE if isinstance(error, StoreUnavailable) else REFUSED_BY_HOOK


def code_of(error: Exception) -> str:
    """The error's code for the log: the provider's word where there is one, else the exception's name."""
    codes = [code for code in map(_code, _chain(error)) if code]
    return codes[-1] if codes else type(error).__name__


def _code(error: BaseException) -> str:
    # authlib calls it `error`, the SDK `code`; what does not look like a code is not ours to repeat.
    code = getattr(error, "error", None) or getattr(error, "code", None)
    return code if isinstance(code, str) and _CODE.fullmatch(code) else ""


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    # The SDK keeps what happened in `cause`, Python in `__cause__` and `__context__`.
    while error is not None:
        yield error
        error = getattr(error, "cause", None) or error.__cause__ or error.__context__
