"""Logout tokens: by which the provider ends sessions here (OpenID Connect Back-Channel Logout 1.0, 2.4 and 2.6)."""

import time
from typing import Any

from auth0_server_python.error import BackchannelLogoutError

LOGOUT_TOKEN_CLAIMS = ("iss", "aud", "iat", "exp", "jti", "events")
LOGOUT_TOKEN_TYPE = "logout+jwt"  # noqa: S105 - a media type
# Older than that, a token is no news; the provider tries again for a few minutes at most.
FRESH_SECONDS = 300
_EVENT = "http://schemas.openid.net/event/backchannel-logout"


def check_logout_token(claims: dict[str, Any], issuer: str, leeway: float) -> None:
    """Whether a token with these claims, whose signature, audience and times are right, is one of *issuer*'s.

    :raises BackchannelLogoutError: it is not.
    """
    if _normal(claims["iss"]) != _normal(issuer):
        raise BackchannelLogoutError("the logout token is of another issuer")
    # A text of digits passes as a time before.
    if not isinstance(claims["iat"], int | float) or abs(time.time() - claims["iat"]) > FRESH_SECONDS + leeway:
        raise BackchannelLogoutError("the logout token is not fresh")
    events = claims["events"]
    if not isinstance(events, dict) or not isinstance(events.get(_EVENT), dict):
        raise BackchannelLogoutError("the token is about something else")
    if "nonce" in claims:
        raise BackchannelLogoutError("the token has a nonce, which is an ID token's")
    if not isinstance(claims["jti"], str) or not claims["jti"]:
        raise BackchannelLogoutError("the logout token has no id")
    subjects = [claims.get(name) for name in ("sid", "sub") if claims.get(name) is not None]
    if not subjects or not all(isinstance(subject, str) and subject for subject in subjects):
        raise BackchannelLogoutError("the logout token names nobody")


def labels(issuer: str, sid: str | None, sub: str | None) -> list[str]:
    """What a session can be found by: its id at *issuer*, and its user."""
    named = {"sid": sid, "sub": sub}
    return [f"{kind} {_normal(issuer)} {value}" for kind, value in named.items() if value]


def _normal(issuer: str) -> str:
    return str(issuer).rstrip("/").lower()
