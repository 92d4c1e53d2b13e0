"""What the SDK keeps of a session's tokens, and how a renewal changes it."""

import time
from typing import Any

from auth0_server_python.utils.helpers import State

from .stores import DEFAULT_AUDIENCE

# A session keeps integers of 64 bits.
_LONGEST_SECONDS = 10**10


def newest(theirs: dict[str, Any] | None, mine: dict[str, Any] | None) -> dict[str, Any] | None:
    """What two requests made of the SDK's state at the same time: the tokens of whoever renewed last, and the end of it
    wherever one of them ended it.
    """
    if theirs is None or mine is None:
        return None
    older, newer = sorted((theirs, mine), key=lambda state: int(state.get("renewed", 0)))
    if newer.get("internal") != older.get("internal"):
        return mine
    kept = {(tokens["audience"], tokens.get("scope") or ""): tokens for tokens in older.get("token_sets", [])}
    for tokens in newer.get("token_sets", []):
        key = (tokens["audience"], tokens.get("scope") or "")
        if tokens["expires_at"] >= kept.get(key, tokens)["expires_at"]:
            kept[key] = tokens
    return {**older, **newer, "token_sets": list(kept.values())}


def is_answer(answer: Any) -> bool:
    """Whether *answer* is a token endpoint's (RFC 6749, 5.1), so that it can be kept."""
    if not isinstance(answer, dict) or not isinstance(answer.get("access_token"), str):
        return False
    texts = all(isinstance(answer.get(name), str | None) for name in ("id_token", "refresh_token", "scope"))
    seconds = answer.get("expires_in", 0)
    return texts and isinstance(seconds, int) and 0 <= seconds <= _LONGEST_SECONDS


def renewed(state: dict[str, Any], answer: dict[str, Any], audience: str | None, wanted: str | None) -> dict[str, Any]:
    """The state after a renewal: *answer* is the token endpoint's, to a request for *audience* and *wanted* scopes."""
    # Without a lifetime it would have ended already (the SDK's is that of a login).
    answer.setdefault("expires_in", 3600)
    # No scope means what was asked for (RFC 6749, 5.1).
    answer["scope"] = answer.get("scope") or wanted or ""
    updated = State.update_state_data(audience or DEFAULT_AUDIENCE, dict(state), answer)
    return {
        **updated,
        "id_token": answer.get("id_token") or state.get("id_token"),
        "granted": {**state.get("granted", {}), grant(audience, wanted): answer["scope"]},
        "renewed": int(state.get("renewed", 0)) + 1,
    }


def grant(audience: str | None, wanted: str | None) -> str:
    """What was asked for, as a key of what was granted for it."""
    return f"{audience or ''} {wanted or ''}"


def good_for(tokens: dict[str, Any] | None) -> float:
    """Seconds until the access token of these ends; zero for none."""
    return 0.0 if tokens is None else float(tokens["expires_at"]) - time.time()
