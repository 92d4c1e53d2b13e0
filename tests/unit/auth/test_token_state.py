"""What a renewal makes of a session's tokens, and what is left where two requests have changed them."""

import time
from typing import Any

import pytest

from app.auth.token_state import grant, is_answer, newest, renewed

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


@pytest.mark.parametrize("swap", [False, True])
def test_of_two_tokens_for_one_api_the_one_that_lasts_longer_is_kept(swap: bool) -> None:
    """Whoever renewed last may have renewed the other API's."""
    longer = tokens("longer", lasts=300)
    one, other = state(longer, renewals=1), state(tokens("shorter"), tokens("b", "https://b"), renewals=2)
    merged = newest(other, one) if swap else newest(one, other)
    assert merged is not None
    assert {kept["access_token"] for kept in merged["token_sets"]} == {"longer", "b"}
    assert merged["renewed"] == 2


def test_renewals_are_counted_and_what_was_granted_is_kept_by_what_was_asked_for() -> None:
    once = renewed(state(tokens("a")), {"access_token": "b", "scope": "openid"}, None, "openid read")
    assert [kept["access_token"] for kept in once["token_sets"]] == ["b"]
    twice = renewed(once, {"access_token": "c", "scope": "openid"}, "https://b", "openid read")
    assert twice["renewed"] == 2
    assert len(twice["granted"]) == 2
    assert twice["granted"] == {grant(None, "openid read"): "openid", grant("https://b", "openid read"): "openid"}
    assert {kept["access_token"] for kept in twice["token_sets"]} == {"b", "c"}


@pytest.mark.parametrize(
    ("answer", "good"),
    [
        ({"access_token": "a"}, True),
        ({"access_token": "a", "expires_in": 0, "scope": None, "id_token": None, "refresh_token": None}, True),
        ({"access_token": "a", "expires_in": 10**10}, True),
        ({"access_token": "a", "expires_in": 10**10 + 1}, False),
        ({"access_token": "a", "expires_in": None}, False),
        ({}, False),
        ([], False),
        (None, False),
    ],
)
def test_which_answers_of_a_token_endpoint_can_be_kept(answer: Any, good: bool) -> None:
    assert is_answer(answer) == good
