"""What a signed token of the provider must be, beyond its signature."""

import base64
import json
import time
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from app.auth.verification import ID_TOKEN_CLAIMS, UnknownKey, check_party, verified

KEY = rsa.generate_private_key(public_exponent=65_537, key_size=2048)
OTHER = rsa.generate_private_key(public_exponent=65_537, key_size=2048)
PUBLIC = {**json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(KEY.public_key())), "kid": "one", "use": "sig"}
CURVE = ec.generate_private_key(ec.SECP256R1()).public_key()
# What else a provider may have there, for another kind of signature or for nothing that we know.
OTHERS = [
    {**json.loads(jwt.algorithms.ECAlgorithm.to_jwk(CURVE)), "kid": "curve"},
    {"kty": "oct", "k": "AAAA", "kid": "shared"},
    {"kty": "RSA", "kid": "broken"},
]
KEYS = {"keys": [PUBLIC, *OTHERS]}
LEEWAY = 10


def claims(**changes: Any) -> dict[str, Any]:
    now = int(time.time())
    made = {"iss": "https://i/", "sub": "s", "aud": "client", "iat": now, "exp": now + 60, **changes}
    return {name: value for name, value in made.items() if value is not None}


def read(key: Any = KEY, algorithm: str = "RS256", kid: str | None = "one", **changes: Any) -> dict[str, Any]:
    token = jwt.encode(claims(**changes), key, algorithm, headers={"kid": kid} if kid else None)
    return verified(token, KEYS, "client", LEEWAY, ID_TOKEN_CLAIMS)


def test_a_good_token_gives_its_claims() -> None:
    assert read()["sub"] == "s"


def test_a_token_of_brackets_within_brackets_is_refused_as_any_other() -> None:
    """Anybody may send one, and Python's parser ends it with what is no error of a value: PyJWT catches it."""
    header = base64.urlsafe_b64encode(b'{"kid":' + b"[" * 3000).decode()
    with pytest.raises(jwt.InvalidTokenError):
        verified(f"{header}.e30.AA", KEYS, "client", LEEWAY, ID_TOKEN_CLAIMS)


@pytest.mark.parametrize("claim", ID_TOKEN_CLAIMS)
def test_a_token_without_a_claim_that_it_must_have_is_refused(claim: str) -> None:
    """The SDK accepts one that has neither `exp` nor `iat`."""
    with pytest.raises(jwt.MissingRequiredClaimError):
        read(**{claim: None})


@pytest.mark.parametrize(
    ("claim", "offset", "error"),
    [("exp", -LEEWAY - 5, jwt.ExpiredSignatureError), ("iat", LEEWAY + 5, jwt.ImmatureSignatureError)],
)
def test_clocks_may_differ_by_the_leeway_and_no_more(claim: str, offset: int, error: type[Exception]) -> None:
    read(**{claim: int(time.time()) + (offset + 10 if offset < 0 else offset - 10)})
    with pytest.raises(error):
        read(**{claim: int(time.time()) + offset})


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"key": OTHER}, jwt.InvalidSignatureError),
        ({"kid": "two"}, UnknownKey),
        ({"kid": None}, UnknownKey),
        ({"aud": "another"}, jwt.InvalidAudienceError),
        ({"key": "a-shared-secret-of-thirty-two-bytes", "algorithm": "HS256"}, jwt.InvalidAlgorithmError),
        ({"algorithm": "PS256"}, jwt.InvalidAlgorithmError),
        ({"key": None, "algorithm": "none"}, jwt.InvalidAlgorithmError),
        ({"kid": "curve"}, jwt.InvalidTokenError),
        ({"kid": "shared"}, jwt.InvalidTokenError),
        ({"kid": "broken"}, jwt.InvalidTokenError),
    ],
)
def test_a_token_that_is_not_the_providers_or_not_for_us_is_refused(
    options: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        read(**options)


def test_a_token_that_names_no_key_is_not_held_against_one_without_a_name() -> None:
    nameless = {name: value for name, value in PUBLIC.items() if name != "kid"}
    with pytest.raises(UnknownKey):
        verified(jwt.encode(claims(), KEY, "RS256"), {"keys": [nameless]}, "client", LEEWAY, ID_TOKEN_CLAIMS)


@pytest.mark.parametrize("token", ["", "a", "a.b.c", "....", "é.é.é", "eyJhbGciOiJub25lIn0.e30."])
def test_what_is_no_token_is_refused_as_one(token: str) -> None:
    with pytest.raises((jwt.InvalidTokenError, UnknownKey)):
        verified(token, KEYS, "client", LEEWAY, ID_TOKEN_CLAIMS)


@pytest.mark.parametrize(
    ("changes", "ours"),
    [
        ({}, True),
        ({"azp": "client"}, True),
        ({"azp": "another"}, False),
        ({"aud": ["client"]}, True),
        ({"aud": ["client", "another"]}, False),
        ({"aud": ["client", "another"], "azp": "client"}, True),
        ({"aud": ["client", "another"], "azp": "another"}, False),
    ],
)
def test_an_id_token_was_issued_to_this_client(changes: dict[str, Any], ours: bool) -> None:
    """The SDK accepts any `azp`."""
    if ours:
        check_party(claims(**changes), "client")
    else:
        with pytest.raises(jwt.InvalidTokenError):
            check_party(claims(**changes), "client")
