"""The SDK's stores over `flask.session`, with the names that the guide gives them.

They map, nothing more: encryption and where it is kept are the sessions room's.
"""

from typing import Any

from auth0_server_python.auth_types import StateData, TransactionData
from auth0_server_python.store import StateStore, TransactionStore
from auth0_server_python.utils.helpers import State
from flask import session
from pydantic import BaseModel

from app import sessions
from app.sessions import regenerate, transient_cookies

from . import logins
from .devices import note
from .logout_tokens import labels

_TRANSACTION = "login"
_TRANSACTION_SECONDS = 600
# What the SDK calls the audience of tokens that were asked for without one.
DEFAULT_AUDIENCE = "default"


class FlaskSessionStateStore(StateStore):
    """Keeps who is signed in, and their tokens, in `flask.session`."""

    def __init__(self, secret: str) -> None:
        super().__init__({"secret": secret})

    async def set(
        self,
        identifier: str,
        state: StateData | dict[str, Any],
        remove_if_expires: bool = False,
        options: dict[str, Any] | None = None,
    ) -> None:
        """Store the state. A login gets a session of its own: a new id, and nothing of another user's."""
        new = StateData.model_validate(_with_audiences(state.model_dump() if isinstance(state, BaseModel) else state))
        old = await self.get(identifier)
        # The SDK makes the state anew at a login; at a refresh it passes on what it read, as a dictionary.
        if old is None or isinstance(state, BaseModel) or old.internal != new.internal:
            if old is not None and _subject(old) != _subject(new):
                session.clear()
            regenerate()
            _label(new)
        session[identifier] = new.model_dump(exclude_none=True)

    async def get(self, identifier: str, options: dict[str, Any] | None = None) -> StateData | None:
        """Return the state, or None when nobody is signed in."""
        state = self.read(identifier)
        return None if state is None else StateData(**state)

    def read(self, identifier: str) -> dict[str, Any] | None:
        """The same as it is kept: not to be changed, and without the fields that are None."""
        # The proxy would look up the method for each call.
        state: dict[str, Any] | None = session._get_current_object().get(identifier)  # type: ignore[attr-defined]
        return state

    async def delete(self, identifier: str, options: dict[str, Any] | None = None) -> None:
        """End the session, with all that pages kept in it."""
        state = self.read(identifier)
        if state is not None:
            # Also the SDK deletes what it finds to be over.
            if State.is_session_ceiling_reached(state.get("internal", {}).get("session_expires_at")):
                sessions.ends_by("expired")
            session.clear()
            regenerate()

    async def delete_by_logout_token(self, claims: dict[str, Any], options: dict[str, Any] | None = None) -> int:
        """End the sessions that a logout token names: that of its `sid`, else all of its `sub`; how many there were.

        A login that is under way does not survive it. A session in a browser's cookies is out of reach (the guide).
        """
        [label, *_all_of_the_user] = labels(claims["iss"], claims.get("sid"), claims.get("sub"))
        return await sessions.end(label, at=logins.now(), cause="backchannel")


class FlaskSessionTransactionStore(TransactionStore):
    """Keeps each login in progress in a cookie of its own, so it is bound to the browser and tabs do not disturb it."""

    def __init__(self, secret: str) -> None:
        super().__init__({"secret": secret})

    async def set(
        self,
        identifier: str,
        state: TransactionData | dict[str, Any],
        remove_if_expires: bool = False,
        options: dict[str, Any] | None = None,
    ) -> None:
        """Keep the transaction for ten minutes."""
        data = state.model_dump(exclude_none=True) if isinstance(state, BaseModel) else state
        transient_cookies().put(_TRANSACTION, identifier, data, _TRANSACTION_SECONDS)

    async def get(self, identifier: str, options: dict[str, Any] | None = None) -> TransactionData | None:
        """Return the transaction and end it: whatever the callback comes to, its code is tried once."""
        data = transient_cookies().take(_TRANSACTION, identifier)
        return None if data is None else TransactionData(**data)

    async def delete(self, identifier: str, options: dict[str, Any] | None = None) -> None:
        """End the transaction."""
        transient_cookies().take(_TRANSACTION, identifier)


def _subject(state: StateData) -> str | None:
    return state.user.sub if state.user is not None else None


def _label(state: StateData) -> None:
    claims = state.user.model_dump() if state.user is not None else {}
    login = logins.current()
    # The provider's session is never another's again; a login of the user's that begins after a logout is to be let in.
    since = login.began if login is not None else logins.now()
    sid, *sub = labels(claims.get("iss") or state.domain or "", state.internal.sid, claims.get("sub"))
    sessions.index({sid: 0, **dict.fromkeys(sub, since)}, note())
    if state.internal.session_expires_at is not None:
        sessions.limit(state.internal.session_expires_at)


def _with_audiences(state: dict[str, Any]) -> dict[str, Any]:
    # After a refresh without an audience the SDK writes None for it, which its own StateData then refuses to read.
    newest: dict[tuple[str, str], dict[str, Any]] = {}
    for token_set in state.get("token_sets", []):
        audience = token_set.get("audience") or DEFAULT_AUDIENCE
        newest[audience, token_set.get("scope") or ""] = {**token_set, "audience": audience}
    return {**state, "token_sets": list(newest.values())}
