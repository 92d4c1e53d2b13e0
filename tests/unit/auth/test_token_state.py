"""What a renewal makes of a session's tokens, and what is left where two requests have changed them."""

import time
from typing import Any

import pytest

from app.auth.token_state import newest, renewed

NOW = int(time.time())
INTERNAL = {"sid": "s", "created_at": NOW}


def tokens(token: str, audience: str = "default", scope: str = "openid", lasts: int = 100) -> dict[str, Any]:
    return {"audience": audience, "access_token": token, "scope": scope, "expires_at": NOW + lasts}


def state(*token_sets: dict[str, Any], renewals: int = 0, **more: Any) -> dict[str, Any]:
    return {"internal": INTERNAL, "token_sets": list(token_sets), "renewed": renewals, **more}


@pytest.mark.parametrize("swap", [False, True])
def test_the_newest_tokens_win_whoever_writes_last(swap: bool) -> None:
    old, new = (
        state(tokens("old"), refresh_token="old"),
        state(tokens("new", lasts=200), renewals=1, refresh_token="new"),
    )
    merged = newest(new, old) if swap else newest(old, new)
    assert merged is not None
    assert (merged["refresh_token"], merged["token_sets"]) == ("new", [tokens("new", lasts=200)])


def test_tokens_for_different_apis_are_all_kept() -> None:
    one, other = state(tokens("a"), tokens("b", "https://b", lasts=5)), state(tokens("a2", lasts=300), renewals=1)
    merged = newest(one, other)
    assert merged is not None
    assert {kept["access_token"] for kept in merged["token_sets"]} == {"a2", "b"}


def test_whoever_signed_out_has_the_last_word() -> None:
    assert newest(None, state(tokens("a"), renewals=5)) is None
    assert newest(state(tokens("a")), None) is None


def test_another_login_takes_nothing_over() -> None:
    another = {**state(tokens("mine")), "internal": {"sid": "t", "created_at": NOW}}
    assert newest(state(tokens("theirs"), renewals=7), another) == another


def test_a_renewal_keeps_what_the_answer_does_not_have() -> None:
    before = state(tokens("a"), id_token="first", refresh_token="kept")
    after = renewed(before, {"access_token": "b"}, None, "openid profile")
    assert (after["id_token"], after["refresh_token"], after["renewed"]) == ("first", "kept", 1)
    newer = after["token_sets"][-1]
    assert (newer["access_token"], newer["scope"]) == ("b", "openid profile")
    assert newer["expires_at"] >= NOW + 3600
    assert before["token_sets"] == [tokens("a")]
