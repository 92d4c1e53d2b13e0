"""Access tokens: kept in the session, renewed before they end, by one request at a time in the whole fleet."""

import asyncio
import functools
import logging
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, NoReturn

from auth0_server_python.auth_types import LogoutOptions
from auth0_server_python.error import AccessTokenError, AccessTokenErrorCode, ApiError, SessionExpiredError
from auth0_server_python.utils.helpers import State
from flask import Flask

from app import sessions

from .events import call_to_provider, pseudonym, refresh_ended, refresh_lock_taken, tell
from .failures import DOWN, OPERATORS, SLOW, classify, code_of
from .provider import LOGIN, ProviderClient
from .renewed_here import RenewedHere, remember
from .stores import FlaskSessionStateStore
from .token_state import good_for, grant, is_answer, newest, renewed
from .verification import ID_TOKEN_CLAIMS, check_party, check_renewal

log = logging.getLogger(__name__)

# A holder of the lock that died is replaced after this long; one that lives renews its lease.
LEASE_SECONDS = 10.0
# So long after a renewal failed nobody waits for another while the token they have is good.
RETRY_SECONDS = 10.0


class TokenUnavailable(AccessTokenError):
    """No access token, because the provider is down: trying again later may help, signing in again does not."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(AccessTokenErrorCode.REFRESH_TOKEN_ERROR, "The provider cannot renew the token now.", cause)


class TokenClient(ProviderClient):
    """The part of `Auth0Client` that is about access tokens.

    :param margin: seconds that a token must be good for, or it is renewed.
    :param revoke: whether a logout revokes the refresh token.
    """

    def __init__(self, *, margin: float = 60.0, revoke: bool = True, **options: Any) -> None:
        super().__init__(**options)
        self._margin = margin
        self._revoke = revoke
        self._failed_at: dict[str, float] = {}
        self._renewed_here = RenewedHere()
        self._under_way: set[asyncio.Task[Any]] = set()

    async def get_access_token(
        self, store_options: dict[str, Any] | None = None, audience: str | None = None, scope: str | None = None
    ) -> str:
        """An access token of the session's user, for *audience* and *scope* or those of the settings.

        One that ends soon is renewed. The refresh token rotates and works once, so one request of the session does it
        and the others wait: with the lock, look again, renew, store, let go.

        :raises AccessTokenError: there is none, and the person has to sign in again.
        :raises TokenUnavailable: there is none as long as the provider is down.
        :raises SessionExpiredError: the identity provider's limit of the session has been reached.
        """
        if not isinstance(self._state_store, FlaskSessionStateStore):
            token: str = await super().get_access_token(store_options, audience, scope)
            return token
        audience = audience or self._default_authorization_params.get("audience")
        wanted = self._merge_scope_with_defaults(scope, audience)
        state = await self._state()
        found = self._found(state, audience, wanted)
        if good_for(found) > self._margin:
            return _access_token(found)
        if not state.get("refresh_token"):
            if good_for(found) > 0:
                return _access_token(found)
            raise AccessTokenError(
                AccessTokenErrorCode.MISSING_REFRESH_TOKEN,
                "The access token has expired, and there is no refresh token.",
            )
        session, asked_at = sessions.sid_digest(), time.monotonic()
        if good_for(found) > 0 and asked_at < self._failed_at.get(session, -RETRY_SECONDS) + RETRY_SECONDS:
            return _access_token(found)
        try:
            return await self._renewed_whatever_happens(session, asked_at, audience, wanted)
        except (TokenUnavailable, sessions.LockTimeout) as error:
            if good_for(found) > 0:
                log.warning(
                    "a token is not renewed: what it is good for is used up", extra={"code": type(error).__name__}
                )
                return _access_token(found)
            if isinstance(error, TokenUnavailable):
                raise
            raise TokenUnavailable(error) from None

    async def _renewed_whatever_happens(
        self, session: str, asked_at: float, audience: str | None, wanted: str | None
    ) -> str:
        # A request that is given up in the middle must not take with it the one refresh token that works from now on:
        # who comes with the one before has the provider end them all.
        task = asyncio.get_running_loop().create_task(self._renewed_with_lock(session, asked_at, audience, wanted))
        self._under_way.add(task)
        task.add_done_callback(self._done)
        return await asyncio.shield(task)

    async def _renewed_with_lock(self, session: str, asked_at: float, audience: str | None, wanted: str | None) -> str:
        async with self._lock(asked_at):
            return await self._renewed(session, asked_at, audience, wanted)

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._under_way.discard(task)
        if not task.cancelled():
            # Looked at, so that nobody complains when the request that waited is gone.
            task.exception()

    async def logout(self, options: LogoutOptions | None = None, store_options: dict[str, Any] | None = None) -> str:
        """The SDK's, and the refresh token of the session is revoked (RFC 7009) if that is set."""
        self.revoke_refresh_token()
        url: str = await super().logout(options, store_options)
        return url

    def revoke_refresh_token(self) -> None:
        """Have the provider take the refresh token of the session no more, if it is set that a logout does."""
        store = self._state_store
        state = store.read(self._state_identifier) if isinstance(store, FlaskSessionStateStore) else None
        if self._revoke and state and state.get("refresh_token"):
            self._revoke_soon(state["refresh_token"], state.get("domain") or self._domain)

    async def close(self) -> None:
        """End what is under way, and close the connections."""
        await self._renewed_here.close()
        await asyncio.gather(*self._under_way, return_exceptions=True)
        await super().close()

    @asynccontextmanager
    async def _lock(self, asked_at: float) -> AsyncIterator[None]:
        async with AsyncExitStack() as held:
            try:
                await held.enter_async_context(
                    sessions.lock("tokens", lease=LEASE_SECONDS, wait=self._timeout + LEASE_SECONDS)
                )
            finally:
                tell(refresh_lock_taken, seconds=time.monotonic() - asked_at)
            yield

    async def _state(self) -> dict[str, Any]:
        state: dict[str, Any] = self._state_store.read(self._state_identifier) or {}
        if State.is_session_ceiling_reached((state.get("internal") or {}).get("session_expires_at")):
            await self._state_store.delete(self._state_identifier)
            raise SessionExpiredError
        return state

    def _found(self, state: dict[str, Any], audience: str | None, wanted: str | None) -> dict[str, Any] | None:
        # A provider may grant less than it was asked for; asking again would bring no more.
        granted = state.get("granted", {}).get(grant(audience, wanted), wanted)
        found: dict[str, Any] | None = self._find_matching_token_set(state.get("token_sets", []), audience, granted)
        return found

    async def _renewed(self, session: str, asked_at: float, audience: str | None, wanted: str | None) -> str:
        if not await sessions.reload():
            _end()
        state = await self._state()
        known = self._renewed_here.newer_than(state, session)
        if known is not None:
            # What another request has renewed is not to be seen in cookies, nor in a Redis that has not taken it.
            await self._keep(session, state, known)
            state = known
        found = self._found(state, audience, wanted)
        if good_for(found) > self._margin:
            return _access_token(found)
        if self._failed_at.get(session, asked_at) > asked_at:
            # It failed while this one waited: no call for each that waits.
            raise TokenUnavailable(TimeoutError("the renewal that this one waited for has failed"))
        if not state.get("refresh_token"):
            raise AccessTokenError(AccessTokenErrorCode.MISSING_REFRESH_TOKEN, "The refresh token was refused before.")
        answer = await self._asked(session, state, audience, wanted)
        await self._keep(session, state, renewed(state, answer, audience, wanted))
        return str(answer["access_token"])

    async def _keep(self, session: str, before: dict[str, Any], state: dict[str, Any]) -> None:
        await self._state_store.set(self._state_identifier, state)
        # If Redis does not take it now it is brought later, by the next request of the session if that comes first: the
        # refresh token before this one is used up.
        self._renewed_here.keep(session, state)
        try:
            stored = await sessions.save()
        except sessions.StoreUnavailable:
            # Whatever becomes of this request and of the session that it has.
            write = functools.partial(sessions.amender(), self._state_identifier)
            self._renewed_here.offer(session, write, functools.partial(self._give_up, before))
            raise
        if sessions.shared():
            self._renewed_here.drop(session)
        if not stored:
            self._give_up(before, state)
            _end()

    def _give_up(self, before: dict[str, Any], state: dict[str, Any]) -> None:
        # A logout came first, and does not know of this one.
        if self._revoke and state.get("refresh_token") != before.get("refresh_token"):
            self._revoke_soon(state["refresh_token"], state.get("domain") or self._domain)

    async def _asked(
        self, session: str, state: dict[str, Any], audience: str | None, wanted: str | None
    ) -> dict[str, Any]:
        request = {"refresh_token": state["refresh_token"], "domain": state.get("domain"), "scope": wanted}
        try:
            # Before: what an answer cannot be held against must not use up the refresh token.
            await self._get_jwks_cached(self._domain)
            issuer = await self.issuer(state.get("domain") or self._domain)
            answer: dict[str, Any] = await self.get_token_by_refresh_token(
                {name: value for name, value in {**request, "audience": audience}.items() if value}
            )
            if not is_answer(answer):
                raise ApiError("invalid_response", "the provider's answer is none of a token endpoint")
            if answer.get("id_token"):
                claims = await self.verified(answer["id_token"], ID_TOKEN_CLAIMS, LOGIN)
                check_party(claims, self._client_id)
                check_renewal(claims, {"iss": issuer} | (state.get("user") or {}))
        except Exception as error:
            failure = classify(error)
            away, code = failure in (DOWN, SLOW), code_of(error)
            refused = "reused" if code == "invalid_grant" else "refused"
            outcome, operator = "provider_down" if away else refused, failure.cause in OPERATORS
            tell(refresh_ended, outcome=outcome, code=code, operator=operator, user=pseudonym(state.get("user")))
            if away:
                remember(self._failed_at, session, time.monotonic())
                raise TokenUnavailable(error) from error
            await self._forget(state, error)
            raise AccessTokenError(
                AccessTokenErrorCode.REFRESH_TOKEN_ERROR, "The provider does not renew the token.", error
            ) from error
        self._failed_at.pop(session, None)
        tell(refresh_ended, outcome="renewed", code="", operator=False, user=pseudonym(state.get("user")))
        return answer

    async def _forget(self, state: dict[str, Any], error: Exception) -> None:
        # What was refused is not tried again at each request. In cookies another response may be bringing the next one.
        if sessions.shared() and isinstance(error, ApiError) and error.code == "invalid_grant":
            await self._state_store.set(self._state_identifier, {**state, "refresh_token": None})
            await sessions.save()

    def _revoke_soon(self, refresh_token: str, domain: str) -> None:
        # Nobody waits for it: a logout is over when the session is.
        task = asyncio.get_running_loop().create_task(self._revoked(refresh_token, domain))
        self._under_way.add(task)
        task.add_done_callback(self._done)

    async def _revoked(self, refresh_token: str, domain: str) -> None:
        parameters = {"token": refresh_token, "token_type_hint": "refresh_token", "client_id": self._client_id}
        try:
            metadata = await self._get_oidc_metadata_cached(domain)
            aliases = metadata.get("mtls_endpoint_aliases", {}) if self._use_mtls else {}
            endpoint = aliases.get("revocation_endpoint") or metadata.get("revocation_endpoint")
            issuer = metadata.get("issuer") or f"https://{domain}/"
            self._apply_client_authentication(parameters, issuer, in_body=True)
            async with self._get_http_client() as http:
                with call_to_provider("revoke"):
                    (await http.post(endpoint or f"https://{domain}/oauth/revoke", data=parameters)).raise_for_status()
        except Exception as error:  # noqa: BLE001 - the session has ended all the same
            log.warning("a refresh token could not be revoked", extra={"code": type(error).__name__})


def _access_token(tokens: dict[str, Any] | None) -> str:
    return str((tokens or {})["access_token"])


def _end() -> NoReturn:
    raise AccessTokenError("session_ended", "The session has ended meanwhile.")


def init_app(app: Flask) -> None:
    """Let the newest tokens win where two requests have changed the session."""
    sessions.on_conflict(app, app.extensions["auth0"]._state_identifier, newest)
