"""How this process talks to Auth0: one TLS context, limits on time, and keys that outlive an outage."""

import asyncio
import warnings
from typing import Any

import httpx
from authlib.deprecate import AuthlibDeprecationWarning

with warnings.catch_warnings():
    # authlib announces its move to httpx2 at every start; the SDK is on httpx, so authlib stays there too.
    warnings.simplefilter("ignore", AuthlibDeprecationWarning)
    from auth0_server_python.auth_server.server_client import ServerClient
    from authlib.integrations.httpx_client import AsyncOAuth2Client

from auth0_server_python.error import ApiError

from .discovery import Document
from .events import call_to_provider
from .verification import ID_TOKEN_CLAIMS, UnknownKey, check_party, verified

# How often an unknown key makes the keys be read before their time: in seconds, counted for each reason by itself, so
# that what strangers send never uses up what a login needs after a rotation.
LOGIN = ("login", 2.0)
STRANGERS = ("strangers", 30.0)


class TokenEndpoint(AsyncOAuth2Client):
    """The client of the code exchange."""

    async def fetch_token(self, *arguments: Any, **options: Any) -> Any:
        """authlib's, told to whoever watches."""
        with call_to_provider("token"):
            return await super().fetch_token(*arguments, **options)


class ProviderClient(ServerClient):
    """A `ServerClient` whose calls share a TLS context and end after *timeout* seconds.

    The SDK makes an HTTP client for each call, and each would load the certificate bundle again: 15 ms of a blocked
    loop. `SSL_CERT_FILE` and `SSL_CERT_DIR` name other authorities than the usual ones.

    :param leeway: seconds by which clocks may differ.
    :param keys_seconds: how long the provider's metadata and keys are used before they are fetched again.
    :param proxy: URL of a proxy that all calls go through.
    :param client_certificate: paths of a certificate and its key, both PEM, to show at each call (mTLS, RFC 8705).
    """

    def __init__(
        self,
        *,
        timeout: float,
        leeway: float = 10.0,
        keys_seconds: float = 600.0,
        proxy: str | None = None,
        client_certificate: tuple[str, str] | None = None,
        **options: Any,
    ) -> None:
        tls = httpx.create_ssl_context()
        if client_certificate is not None:
            tls.load_cert_chain(*client_certificate)
            options |= {"use_mtls": True, "ssl_context": tls}
        super().__init__(**options)
        self._timeout = timeout
        self.leeway = leeway
        """Seconds by which clocks may differ."""
        self._keys_seconds = keys_seconds
        self._connection: dict[str, Any] = {"verify": tls, "timeout": timeout, "proxy": proxy}
        self._metadata: dict[str, Document] = {}
        self._keys: dict[str, Document] = {}
        # The SDK makes it with none of these.
        self._oauth = TokenEndpoint(
            client_id=self._client_id,
            client_secret=None if self._client_assertion_signing_key else self._client_secret,
            headers=self._telemetry_headers,
            **self._connection,
        )

    def http_client(self) -> httpx.AsyncClient:
        """A client for calls to an API with a user's access token; use it with `async with`."""
        return httpx.AsyncClient(**self._connection)

    async def close(self) -> None:
        """Close the connections that are kept open."""
        for document in (*self._metadata.values(), *self._keys.values()):
            await document.close()
        await self._oauth.aclose()

    async def get_token_by_refresh_token(self, options: dict[str, Any]) -> dict[str, Any]:
        """The SDK's, told to whoever watches."""
        with call_to_provider("refresh"):
            answer: dict[str, Any] = await super().get_token_by_refresh_token(options)
        return answer

    async def issuer(self, domain: str) -> str:
        """What tokens of *domain* name as their issuer."""
        return str((await self._get_oidc_metadata_cached(domain)).get("issuer") or f"https://{domain}/")

    async def verified(
        self, token: str, required: tuple[str, ...], unknown_key: tuple[str, float], kind: str | None = None
    ) -> dict[str, Any]:
        """The claims of a token that the provider signed for this client.

        :param required: claims that it must have.
        :param unknown_key: why, and after how many seconds at the earliest, the keys are read again for one that is
            not among them.
        :param kind: what its header must call it.
        :raises UnknownKey: the provider does not have the key.
        :raises jwt.InvalidTokenError: whatever else is wrong with it.
        """
        keys = await self._get_jwks_cached(self._domain)
        try:
            return verified(token, keys, self._client_id, self.leeway, required, kind=kind)
        except UnknownKey:
            newer = await self._keys[self._domain].renew(*unknown_key)
            if newer is keys:
                raise
            return verified(token, newer, self._client_id, self.leeway, required, kind=kind)

    async def _verify_and_decode_jwt(
        self, token: str, jwks: dict[str, Any], audience: str | None = None
    ) -> dict[str, Any]:
        # What the SDK calls for the ID token of a login.
        claims = await self.verified(token, ID_TOKEN_CLAIMS, LOGIN)
        check_party(claims, self._client_id)
        return claims

    async def _get_oidc_metadata_cached(self, domain: str) -> dict[str, Any]:
        document = self._metadata.get(domain)
        if document is None:
            # A few at most: the setting's, and those of sessions that began before it was changed.
            document = self._metadata[domain] = Document(
                "metadata", lambda: self._in_time("metadata", self._fetch_oidc_metadata(domain)), self._keys_seconds
            )
        return await document.get()

    async def _get_jwks_cached(self, domain: str, metadata: dict[str, Any] | None = None) -> dict[str, Any]:
        document = self._keys.get(domain)
        if document is None:
            document = self._keys[domain] = Document("keys", lambda: self._fetch_keys(domain), self._keys_seconds)
        return await document.get()

    async def _fetch_keys(self, domain: str) -> dict[str, Any]:
        address = (await self._get_oidc_metadata_cached(domain)).get("jwks_uri")
        if not address:
            raise ApiError("missing_jwks_uri", "the provider's metadata names no keys")
        return await self._in_time("keys", self._fetch_jwks(address))

    async def _in_time(self, call: str, fetch: Any) -> dict[str, Any]:
        with call_to_provider(call):
            # httpx limits each wait for bytes, and an answer can come in very many pieces.
            async with asyncio.timeout(self._timeout):
                fetched = await fetch
            if not isinstance(fetched, dict):
                raise ApiError("invalid_response", "the provider's answer is no JSON object")
            return fetched

    def _get_http_client(self, **options: Any) -> httpx.AsyncClient:
        client: httpx.AsyncClient = super()._get_http_client(**{**self._connection, **options})
        return client
