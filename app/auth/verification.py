"""Signed tokens of the provider: the SDK's check, with a leeway for clocks and without its omissions.

The one place that decodes a JWT. The SDK does so without a leeway, and accepts tokens that lack `exp` or `iat`.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import jwt

# OpenID Connect Core 2; a logout token (Back-Channel Logout 2.4) has no subject at times.
ID_TOKEN_CLAIMS = ("iss", "sub", "aud", "exp", "iat")


class AnotherLogin(jwt.InvalidTokenError):
    """The ID token of a renewal is not of the login whose tokens are renewed."""


class UnknownKey(ValueError):
    """No key of the provider's has the id that the token names. A ValueError, as it is the SDK's."""


def verified(
    token: str,
    keys: dict[str, Any],
    audience: str,
    leeway: float,
    required: Iterable[str],
    *,
    kind: str | None = None,
) -> dict[str, Any]:
    """The claims of *token*, signed with one of *keys* (a JWKS, RFC 7517), for *audience*, in time within *leeway* s.

    Who issued it is for the caller to look at.

    :param kind: what its header must call it (`typ`, RFC 8725, 3.11).

    :raises UnknownKey: the token names another key.
    :raises jwt.InvalidTokenError: whatever else is wrong with it.
    """
    header = jwt.get_unverified_header(token)
    key_id = header.get("kid")
    key = next((key for key in keys.get("keys", []) if key.get("kid") == key_id), None)
    if key is None or key_id is None:
        raise UnknownKey("the token is signed with a key that the provider does not have")
    try:
        public = jwt.PyJWK.from_dict(key, algorithm="RS256").key
    except jwt.PyJWTError:
        # A provider may have keys for other things, and anybody can name one of them.
        raise jwt.InvalidTokenError("the token names a key that is none for its kind of signature") from None
    claims: dict[str, Any] = jwt.decode(
        token,
        public,
        algorithms=["RS256"],
        audience=audience,
        leeway=leeway,
        options={"require": list(required), "verify_iss": False},
    )
    if kind is not None and str(header.get("typ", "")).lower().removeprefix("application/") != kind:
        raise jwt.InvalidTokenError("the token is of another kind")
    return claims


def check_party(claims: dict[str, Any], client_id: str) -> None:
    """Whether an ID token was issued to *client_id* (OpenID Connect Core 3.1.3.7, 4 and 5).

    :raises jwt.InvalidTokenError: it names another authorized party, or none where it has several audiences.
    """
    several = isinstance(claims["aud"], list) and len(claims["aud"]) > 1
    if claims.get("azp", None if several else client_id) != client_id:
        raise jwt.InvalidTokenError("the ID token was issued to another party")


def check_renewal(claims: Mapping[str, Any], login: Mapping[str, Any]) -> None:
    """Whether an ID token with *claims* renews that of a *login*, whose claims are these (OpenID Connect Core 12.2).

    :raises AnotherLogin: it is another issuer's, person's or party's, or of another sign-in of the person.
    """
    # Of a session that does not know them there is nothing to compare; the last two a renewal may leave out.
    same = [name for name in ("iss", "azp") if name in login]
    same += [name for name in ("auth_time", "nonce") if name in login and name in claims]
    if claims["sub"] != login.get("sub") or any(claims.get(name) != login[name] for name in same):
        raise AnotherLogin("the ID token of a renewal is of another login")
    if not _audiences(login) <= _audiences(claims):
        raise AnotherLogin("the ID token of a renewal lacks an audience that the login's had")


def _audiences(claims: Mapping[str, Any]) -> set[str]:
    named = claims.get("aud", ())
    return {named} if isinstance(named, str) else set(named)
