"""What a page may ask of a sign-in beyond that there is one."""

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from auth0_server_python.error import OrganizationTokenValidationError
from auth0_server_python.utils.helpers import validate_org_claims

MULTI_FACTOR = "http://schemas.openid.net/pape/policies/2007/06/multi-factor"
"""The one `acr_values` that Auth0 knows. It answers with `mfa` in the claim `amr`, not with an `acr`."""


@dataclass(frozen=True)
class Requirements:
    """`max_age` (s since the password was typed), `acr`, `scopes`: another sign-in may bring them. `claims` and
    `organization`: none does, for this person.

    A claim's wanted value is the claim's own or one of a list that the claim is; of a list of wanted values the claim
    has to have all.
    """

    max_age: int | None = None
    acr: str | None = None
    scopes: Collection[str] = ()
    claims: Mapping[str, Any] = field(default_factory=dict)
    organization: str | None = None

    @property
    def parameters(self) -> dict[str, str]:
        """The authorization parameters (OpenID Connect Core 3.1.2.1) that ask the provider for it."""
        asked = {
            "max_age": None if self.max_age is None else str(self.max_age),
            "acr_values": self.acr,
            "scope": " ".join(self.scopes),
        }
        return {name: value for name, value in asked.items() if value}

    def missing(self, user: Mapping[str, Any]) -> list[str]:
        """What the person with these claims does not have, in words for the log, without values."""
        missing = [f"claim {name}" for name, wanted in self.claims.items() if not _has(user.get(name), wanted)]
        return missing + (["organization"] if self.organization and not _is_member(user, self.organization) else [])

    def weak(self, user: Mapping[str, Any], granted: Collection[str], leeway: float) -> list[str]:
        """What another sign-in has to bring, in words for the log; *granted* are the scopes of the session's token."""
        weak = []
        if self.max_age is not None and not is_recent(user, self.max_age, leeway):
            weak.append("max_age")
        if self.acr and not has_acr(user, (self.acr,)):
            weak.append("acr")
        return weak + [f"scope {scope}" for scope in self.scopes if scope not in granted]


def is_recent(claims: Mapping[str, Any], max_age: int, leeway: float) -> bool:
    """Whether the person was authenticated within *max_age* seconds (`auth_time`, OpenID Connect Core 3.1.3.7, 13)."""
    at = claims.get("auth_time")
    return isinstance(at, int | float) and time.time() <= at + max_age + leeway


def has_acr(claims: Mapping[str, Any], wanted: Collection[str]) -> bool:
    """Whether the sign-in satisfied one of the wanted authentication contexts."""
    methods = claims.get("amr")
    multi_factor = isinstance(methods, list) and "mfa" in methods
    return claims.get("acr") in wanted or (multi_factor and MULTI_FACTOR in wanted)


def _has(claim: Any, wanted: Any) -> bool:
    if isinstance(wanted, list | tuple | set | frozenset):
        return all(_has(claim, one) for one in wanted)
    # True is no 1: a claim of another type is another claim.
    values = claim if isinstance(claim, list) else [claim]
    return any(type(value) is type(wanted) and value == wanted for value in values)


def _is_member(user: Mapping[str, Any], organization: str) -> bool:
    try:
        validate_org_claims(dict(user), organization)
    except OrganizationTokenValidationError:
        return False
    return True
