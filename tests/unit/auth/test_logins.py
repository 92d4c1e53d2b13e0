"""What a login was begun with, and whether tokens are the answer to it."""

import time
from typing import Any

import jwt
import pytest
from auth0_server_python.error import MissingTransactionError

from app.auth.logins import Login, TooWeak

LEEWAY = 10.0


def begun(**parameters: str) -> Login:
    return Login.begin(None, parameters)


def answer(login: Login, **claims: Any) -> dict[str, Any]:
    """The claims of an ID token that answers *login*."""
    return {"nonce": login.nonce, **claims}


def test_it_is_the_same_when_it_comes_back() -> None:
    login = Login.begin({"return_to": "/x"}, {"max_age": "60", "acr_values": "a b", "scope": "c d", "prompt": "none"})
    kept = Login.kept(login.keep())
    assert kept == login
    assert (kept.app_state, kept.max_age, kept.acr, kept.scopes, kept.silent) == (
        {"return_to": "/x"},
        60,
        ("a", "b"),
        ("c", "d"),
        True,
    )


@pytest.mark.parametrize("kept", [None, {}, [], "login", {"login": None}, {"login": {}}, {"login": {"nonce": 1}}])
def test_what_is_none_is_a_login_that_nobody_has_begun(kept: Any) -> None:
    with pytest.raises(MissingTransactionError):
        Login.kept(kept)


@pytest.mark.parametrize("claims", [{}, {"nonce": ""}, {"nonce": None}, {"nonce": "another"}, {"nonce": "\u00e4"}])
def test_an_id_token_with_no_or_another_nonce_is_none_of_its(claims: dict[str, Any]) -> None:
    with pytest.raises(jwt.InvalidTokenError):
        begun().check(claims, None, LEEWAY)


def test_two_logins_are_told_apart() -> None:
    one, other = begun(), begun()
    one.check(answer(one), None, LEEWAY)
    with pytest.raises(jwt.InvalidTokenError):
        other.check(answer(one), None, LEEWAY)


@pytest.mark.parametrize(
    ("asked", "claims", "granted"),
    [
        ({"max_age": "0"}, {}, None),
        ({"max_age": "60"}, {"auth_time": time.time() - 3600}, None),
        ({"acr_values": "gold"}, {}, None),
        ({"acr_values": "gold silver"}, {"acr": "tin"}, None),
        ({"scope": "read write"}, {}, "openid read"),
        ({"scope": "read offline_access"}, {}, "offline_access"),
    ],
)
def test_what_was_asked_for_and_not_brought_is_too_weak(
    asked: dict[str, str], claims: dict[str, Any], granted: str | None
) -> None:
    login = begun(**asked)
    with pytest.raises(TooWeak):
        login.check(answer(login, **claims), granted, LEEWAY)


@pytest.mark.parametrize(
    ("asked", "claims", "granted"),
    [
        # A day: it is made when the tests are collected.
        ({"max_age": "86400"}, {"auth_time": time.time()}, None),
        ({"acr_values": "gold silver"}, {"acr": "silver"}, None),
        ({"scope": "read"}, {}, "openid read"),
        # No word of it means what was asked for (RFC 6749, 5.1), and what a token is for need not name this one.
        ({"scope": "read"}, {}, None),
        ({"scope": "read offline_access"}, {}, "read"),
    ],
)
def test_what_was_asked_for_and_brought_is_enough(
    asked: dict[str, str], claims: dict[str, Any], granted: str | None
) -> None:
    login = begun(**asked)
    login.check(answer(login, **claims), granted, LEEWAY)
