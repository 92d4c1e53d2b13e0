"""Which claims satisfy what a page asks for."""

import time
from typing import Any

import pytest

from app.auth import MULTI_FACTOR, login_required
from app.auth.requirements import Requirements, has_acr, is_recent

ROLES = "https://example.com/roles"


@pytest.mark.parametrize(
    ("claim", "wanted", "has"),
    [
        (["reader", "editor"], "editor", True),
        (["reader"], "editor", False),
        ("editor", "editor", True),
        ("editors", "editor", False),
        (None, "editor", False),
        (["reader", "editor"], ["editor", "reader"], True),
        (["editor"], ["editor", "reader"], False),
        (["reader", "editor"], ("editor", "reader"), True),
        (["editor"], ("editor", "reader"), False),
        (["reader", "editor"], {"editor", "reader"}, True),
        (["reader", "editor"], frozenset(("editor", "reader")), True),
        (True, True, True),
        (1, True, False),
        (0, False, False),
        ({"a": 1}, {"a": 1}, True),
        ("", None, False),
        ([], [], True),
    ],
)
def test_a_claim_is_the_wanted_value_or_has_it(claim: Any, wanted: Any, has: bool) -> None:
    assert (Requirements(claims={ROLES: wanted}).missing({ROLES: claim}) == []) == has


@pytest.mark.parametrize(
    ("user", "organization", "member"),
    [
        ({"org_id": "org_1", "org_name": "acme"}, "org_1", True),
        ({"org_id": "org_1", "org_name": "acme"}, "ACME", True),
        ({"org_id": "org_1", "org_name": "acme"}, "org_2", False),
        ({"org_id": "org_1"}, "acme", False),
        ({"org_id": None}, "org_1", False),
        ({}, "acme", False),
    ],
)
def test_an_organization_is_the_one_that_the_person_signed_in_to(
    user: dict[str, Any], organization: str, member: bool
) -> None:
    assert (Requirements(organization=organization).missing(user) == []) == member


@pytest.mark.parametrize(("ago", "recent"), [(0, True), (295, True), (305, True), (315, False), (-60, True)], ids=str)
def test_recent_is_what_is_younger_than_the_age_and_the_leeway(ago: int, recent: bool) -> None:
    assert is_recent({"auth_time": int(time.time()) - ago}, 300, 10) == recent


@pytest.mark.parametrize("claims", [{}, {"auth_time": None}, {"auth_time": "now"}])
def test_who_does_not_say_when_was_not_recent(claims: dict[str, Any]) -> None:
    assert not is_recent(claims, 300, 10)


@pytest.mark.parametrize(
    ("claims", "wanted", "has"),
    [
        ({"acr": "gold"}, ("gold",), True),
        ({"acr": "gold"}, ("silver", "gold"), True),
        ({"acr": "gold"}, ("silver",), False),
        ({"amr": ["pwd", "mfa"]}, (MULTI_FACTOR,), True),
        ({"amr": ["pwd"]}, (MULTI_FACTOR,), False),
        ({"amr": "mfa"}, (MULTI_FACTOR,), False),
        ({"amr": ["mfa"]}, ("gold",), False),
        ({}, ("gold",), False),
    ],
)
def test_which_sign_ins_satisfy_an_authentication_context(
    claims: dict[str, Any], wanted: tuple[str, ...], has: bool
) -> None:
    assert has_acr(claims, wanted) == has


@pytest.mark.parametrize(
    ("asked", "weak"),
    [
        ({}, []),
        # Whenever that was.
        ({"max_age": 0}, ["max_age"]),
        ({"max_age": 7200}, []),
        ({"acr": "gold"}, ["acr"]),
        ({"acr": "tin"}, []),
        ({"scopes": ["read", "write"]}, ["scope write"]),
        ({"max_age": 300, "acr": "gold", "scopes": ["write"]}, ["max_age", "acr", "scope write"]),
    ],
)
def test_what_another_sign_in_has_to_bring(asked: dict[str, Any], weak: list[str]) -> None:
    user = {"auth_time": int(time.time()) - 3600, "acr": "tin"}
    assert Requirements(**asked).weak(user, ["openid", "read"], 10) == weak


def test_what_another_sign_in_may_bring_is_asked_for_and_the_rest_is_not() -> None:
    asked = Requirements(max_age=0, acr="gold", scopes=("a", "b"), claims={ROLES: "x"}, organization="acme").parameters
    assert asked == {"max_age": "0", "acr_values": "gold", "scope": "a b"}


def test_scopes_are_a_list_and_not_a_text_whose_letters_would_be_asked_for() -> None:
    with pytest.raises(TypeError):
        login_required(scopes="openid")
