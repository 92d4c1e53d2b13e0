"""The SDK's client with what a server needs of it: one TLS context, and time limits on every call."""

import warnings
from typing import Any

import httpx
from authlib.deprecate import AuthlibDeprecationWarning

with warnings.catch_warnings():
    # authlib announces its move to httpx2 at every start; the SDK is on httpx, so authlib stays there too.
    warnings.simplefilter("ignore", AuthlibDeprecationWarning)
    from auth0_server_python.auth_server.server_client import ServerClient
    from auth0_server_python.auth_types import UserClaims
    from authlib.integrations.httpx_client import AsyncOAuth2Client

from .stores import FlaskSessionStateStore

# A claim that the user does not have reads as None, as it does with the SDK.
_NO_CLAIMS = dict.fromkeys(UserClaims.model_fields)


class Auth0Client(ServerClient):
    """A `ServerClient` whose calls to Auth0 share a TLS context and end after *timeout* seconds.

    The SDK makes an HTTP client for each call, and each would load the certificate bundle again: 15 ms of a blocked
    loop. `SSL_CERT_FILE` and `SSL_CERT_DIR` name other authorities than the usual ones.
    """

    def __init__(self, *, timeout: float, **options: Any) -> None:
        super().__init__(**options)
        self._tls = httpx.create_ssl_context()
        self._timeout = timeout
        # The client of the code exchange, which the SDK makes with neither of the two.
        self._oauth = AsyncOAuth2Client(
            client_id=options["client_id"],
            client_secret=options["client_secret"],
            headers=self._telemetry_headers,
            verify=self._tls,
            timeout=timeout,
        )

    async def get_user(self, store_options: dict[str, Any] | None = None) -> dict[str, Any] | None:
        """The SDK's `get_user`, on what the store holds: None unless somebody is signed in, else all of their claims.

        The SDK makes a `StateData` of it first, and a dictionary of that, which costs more than opening the session.
        What is stored has been one already.
        """
        store = self._state_store
        if self._domain_resolver or not isinstance(store, FlaskSessionStateStore):
            user: dict[str, Any] | None = await super().get_user(store_options)
            return user
        state = store.read(self._state_identifier)
        if state is None or await self._is_session_expired_by_ceiling(state, store_options):
            return None
        claims: dict[str, Any] | None = state.get("user")
        return None if claims is None else {**_NO_CLAIMS, **claims}

    def http_client(self) -> httpx.AsyncClient:
        """A client for calls to an API with a user's access token; use it with `async with`."""
        return httpx.AsyncClient(verify=self._tls, timeout=self._timeout)

    async def close(self) -> None:
        """Close the connections that are kept open."""
        await self._oauth.aclose()

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

    def _get_http_client(self, **options: Any) -> httpx.AsyncClient:
        client: httpx.AsyncClient = super()._get_http_client(
            **{"verify": self._tls, "timeout": self._timeout, **options}
        )
        return client


def _rights(scope: str | None) -> str:
    return " ".join(name for name in (scope or "").split() if name != "offline_access")
