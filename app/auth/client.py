"""The SDK's client as pages use it: `auth0.get_user()` and the rest of the guide's table."""

from contextlib import nullcontext
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

import httpx
import jwt
from auth0_server_python.auth_types import StartInteractiveLoginOptions, StateData, UserClaims
from auth0_server_python.error import ApiError, BackchannelLogoutError, MissingTransactionError
from flask import session

from app import sessions

from . import events, logins
from .hooks import before_login
from .logout_tokens import FRESH_SECONDS, LOGOUT_TOKEN_CLAIMS, LOGOUT_TOKEN_TYPE, check_logout_token, labels
from .provider import STRANGERS
from .stores import FlaskSessionStateStore
from .tokens import TokenClient

# What `prompt=none` is answered with where it takes more (OpenID Connect Core 3.1.2.6).
_NEEDS_THE_PERSON = frozenset(
    ("login_required", "consent_required", "interaction_required", "account_selection_required", "access_denied")
)
# A claim that the user does not have reads as None, as it does with the SDK.
_NO_CLAIMS = dict.fromkeys(UserClaims.model_fields)


class NotSilently(Exception):
    """A silent login did not succeed, which nobody has asked for: the page is to be shown without.

    `app_state` is that of the login, `code` the provider's word. Its `__cause__` is what failed; None where all that it
    takes is the person.
    """

    def __init__(self, app_state: Any, code: str) -> None:
        super().__init__("nobody was signed in without being asked")
        self.app_state = app_state
        self.code = code


class Overtaken(Exception):
    """Another tab of the browser has completed a login at the same time, or while this one was silent: its session is
    the browser's.

    `app_state` is that of this login.
    """

    def __init__(self, app_state: Any) -> None:
        super().__init__("another login of the browser was faster")
        self.app_state = app_state


class LoggedOut(NamedTuple):
    """What a logout token has ended: how many sessions, and whose, by their pseudonym, where it names the user."""

    sessions: int
    user: str | None


class Auth0Client(TokenClient):
    """A `ServerClient` for one server process (`ProviderClient`), whose logins send a nonce and insist on it."""

    async def start_interactive_login(
        self, options: StartInteractiveLoginOptions | None = None, store_options: dict[str, Any] | None = None
    ) -> str:
        """The SDK's, with a nonce (OpenID Connect Core 3.1.2.1)."""
        options = options or StartInteractiveLoginOptions()
        parameters = options.authorization_params or {}
        anonymous = parameters.get("prompt") == "none" and await self.get_user() is None
        login = logins.Login.begin(options.app_state, parameters, anonymous=anonymous)
        options = options.model_copy(update={"app_state": login.keep()})
        pushes = events.call_to_provider("par") if self._pushed_authorization_requests else nullcontext()
        with logins.in_progress(login), pushes:
            url: str = await super().start_interactive_login(options, store_options)
        return url

    async def complete_interactive_login(self, url: str, store_options: dict[str, Any] | None = None) -> dict[str, Any]:
        """The SDK's, for an ID token that answers this very login."""
        state = parse_qs(urlsplit(url).query).get("state", [""])[0]
        # The SDK reads it once more; without one it says what is missing.
        transaction = state and await self._transaction_store.get(
            f"{self._transaction_identifier}:{state}", options=store_options
        )
        login = logins.Login.kept(transaction.app_state) if transaction else None
        if login is not None:
            events.tell(events.login_returned, seconds=max(0, logins.now() - login.began) / 1000)
        with logins.in_progress(login):
            try:
                if login is not None and login.anonymous and await self.get_user() is not None:
                    # Somebody has signed in meanwhile, who was asked, and it may be as another user.
                    raise Overtaken(login.app_state)
                result: dict[str, Any] = await super().complete_interactive_login(url, store_options)
            except Exception as error:
                if login is None or not login.silent or isinstance(error, Overtaken):
                    raise
                code = error.code if isinstance(error, ApiError) else ""
                raise NotSilently(login.app_state, code) from None if code in _NEEDS_THE_PERSON else error
        result.pop("app_state", None)
        if login is not None and login.app_state:
            result["app_state"] = login.app_state
        return result

    async def get_user(self, store_options: dict[str, Any] | None = None) -> dict[str, Any] | None:
        """The SDK's `get_user`, on what the store holds: None unless somebody is signed in, else all of their claims.

        The SDK makes a `StateData` of it first, and a dictionary of that, which costs more than opening the session.
        What is stored has been one already.
        """
        store = self._state_store
        if self._domain_resolver or not isinstance(store, FlaskSessionStateStore):
            found: dict[str, Any] | None = await super().get_user(store_options)
            return found
        state = store.read(self._state_identifier)
        if state is None:
            return None
        ends_early = "session_expires_at" in state.get("internal", ())
        if ends_early and await self._is_session_expired_by_ceiling(state, store_options):
            return None
        claims: dict[str, Any] | None = state.get("user")
        if claims is None:
            return None
        user = _NO_CLAIMS.copy()
        user.update(claims)
        return user

    async def handle_backchannel_logout(
        self, logout_token: str, store_options: dict[str, Any] | None = None
    ) -> LoggedOut:
        """The SDK's, with all checks of OpenID Connect Back-Channel Logout 1.0, 2.6.

        The SDK accepts a token twice, a stale one, one with a nonce or of another kind, and wants both `sid` and `sub`.

        :raises BackchannelLogoutError: the token is not valid.
        :raises StoreUnavailable: sessions cannot be reached.
        """
        try:
            claims = await self.verified(logout_token, LOGOUT_TOKEN_CLAIMS, STRANGERS, LOGOUT_TOKEN_TYPE)
            issuer = await self.issuer(self._domain)
        except (jwt.InvalidTokenError, ValueError, ApiError, httpx.HTTPError, TimeoutError) as error:
            raise BackchannelLogoutError(f"the logout token cannot be verified: {type(error).__name__}") from error
        check_logout_token(claims, issuer, self.leeway)
        # For as long as it would pass as fresh.
        seconds = 2 * int(FRESH_SECONDS + self.leeway)
        # The provider sends a token again if this fails, and then it has to count.
        async with sessions.once(f"logout token {claims['jti']}", seconds) as first:
            if not first:
                raise BackchannelLogoutError("the logout token was used before")
            ended: int = await self._state_store.delete_by_logout_token(claims, store_options) or 0
        return LoggedOut(ended, events.pseudonym(claims))

    def user_label(self) -> str | None:
        """What all sessions of the user who is signed in can be found by."""
        store = self._state_store
        state = store.read(self._state_identifier) if isinstance(store, FlaskSessionStateStore) else None
        user = (state or {}).get("user")
        return labels(user.get("iss") or (state or {}).get("domain") or "", None, user["sub"])[0] if user else None

    def granted_scopes(self) -> frozenset[str]:
        """What the access token of this session's login may be used for."""
        store = self._state_store
        state = store.read(self._state_identifier) if isinstance(store, FlaskSessionStateStore) else None
        audience = self._authorization_params.get("audience") or self.DEFAULT_AUDIENCE_STATE_KEY
        asked_at_login = self._merge_scope_with_defaults(None, audience) or ""
        sets = [tokens for tokens in (state or {}).get("token_sets", []) if tokens["audience"] == audience]
        return frozenset(name for tokens in sets for name in (tokens.get("scope") or asked_at_login).split())

    @property
    def _default_authorization_params(self) -> dict[str, Any]:
        # The SDK drops a nonce that is passed to a login, but sends all that is set here, pushed (PAR) or not.
        login = logins.current()
        return self._authorization_params | ({"nonce": login.nonce} if login else {})

    @_default_authorization_params.setter
    def _default_authorization_params(self, parameters: dict[str, Any]) -> None:
        self._authorization_params = parameters

    async def _persist_session_from_token_response(self, **login: Any) -> StateData:
        # The ID token has been verified by now, and nothing has been stored.
        answered, kept = logins.current(), {}
        if answered is not None:
            claims = login.get("id_token_claims")
            if claims is None:
                raise jwt.InvalidTokenError("the login brought no ID token")
            answered.check(claims, login["token_response"].get("scope"), self.leeway)
            kept = await before_login(claims)
            if answered.scopes and not login["token_response"].get("scope"):
                # What was asked for beyond every login's is granted without a word, and would be asked for for ever.
                scope = self._merge_scope_with_defaults(" ".join(answered.scopes), login.get("audience"))
                login["token_response"] = {**login["token_response"], "scope": scope}
        state: StateData = await super()._persist_session_from_token_response(**login)
        session.update(kept)
        if not await sessions.save():
            if sessions.overtaken():
                raise Overtaken(answered.app_state if answered else None)
            # The provider has ended its session while this login was under way.
            raise MissingTransactionError
        return state

    def _find_matching_token_set(
        self, token_sets: list[dict[str, Any]], audience: str | None, scope: str | None
    ) -> dict[str, Any] | None:
        # A provider that grants just what the login asked for need not say so (RFC 6749, 5.1), and none has to name
        # `offline_access` among what a token is for. The SDK takes either for a token that does not fit.
        wanted = _rights(scope)
        asked_at_login = _rights(self._merge_scope_with_defaults(None, audience))
        granted = [{**token_set, "scope": token_set.get("scope") or asked_at_login} for token_set in token_sets]
        found: dict[str, Any] | None = super()._find_matching_token_set(granted, audience, wanted)
        return found


def _rights(scope: str | None) -> str:
    return " ".join(name for name in (scope or "").split() if name != "offline_access")
