"""OAuth 2.0 by hand, for what the SDK would not send."""

import base64
import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import httpx
import jwt

from tests.integration.identity.browser import Browser, query
from tests.servers.identity import CLIENT, IdentityProvider

CALLBACK: str = CLIENT["redirect_uris"][0]
SCOPE = "openid profile email offline_access"


@dataclass
class RelyingParty:
    """A client with one code verifier."""

    provider: IdentityProvider
    client_id: str = CLIENT["client_id"]
    client_secret: str = CLIENT["client_secret"]
    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(48))

    @property
    def challenge(self) -> str:
        """The S256 challenge of the verifier (RFC 7636, 4.2)."""
        return base64.urlsafe_b64encode(hashlib.sha256(self.verifier.encode()).digest()).rstrip(b"=").decode()

    def authorize(self, **changes: str | None) -> str:
        """The address of an authorization request; a parameter that is None is left out."""
        parameters: dict[str, str | None] = {
            "client_id": self.client_id,
            "redirect_uri": CALLBACK,
            "response_type": "code",
            "scope": SCOPE,
            "state": "the-state",
            "code_challenge": self.challenge,
            "code_challenge_method": "S256",
        }
        kept = {name: value for name, value in (parameters | changes).items() if value is not None}
        return f"/authorize?{urlencode(kept)}"

    def exchange(self, code: str, **changes: str) -> httpx.Response:
        """The token endpoint's answer to a code."""
        fields = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK}
        return self.token(fields | {"code_verifier": self.verifier} | changes)

    def refresh(self, refresh_token: str, **changes: str) -> httpx.Response:
        """The token endpoint's answer to a refresh token."""
        return self.token({"grant_type": "refresh_token", "refresh_token": refresh_token} | changes)

    def token(self, fields: Mapping[str, str]) -> httpx.Response:
        """The token endpoint's answer, the client authenticated by client_secret_basic."""
        with self.provider.client() as http:
            return http.post("/oauth/token", data=fields, auth=(self.client_id, self.client_secret))

    def sign_in(self, browser: Browser, **parameters: str | None) -> dict[str, Any]:
        """The tokens of Jane, who signs in when she is asked."""
        callback = query(browser.sign_in(self.authorize(**parameters)))
        response = self.exchange(callback["code"])
        assert response.is_success, response.text
        tokens: dict[str, Any] = response.json()
        return tokens

    def userinfo(self, access_token: str) -> httpx.Response:
        """The answer of /userinfo."""
        with self.provider.client() as http:
            return http.get("/userinfo", headers={"authorization": f"Bearer {access_token}"})

    def verified(self, token: str, audience: str | None = None) -> dict[str, Any]:
        """The claims of a token whose signature, audience and times are right."""
        with self.provider.client() as http:
            keys = jwt.PyJWKSet.from_dict(http.get("/.well-known/jwks.json").json())
        key = keys[jwt.get_unverified_header(token)["kid"]]
        claims: dict[str, Any] = jwt.decode(
            token, key, ["RS256"], audience=audience or self.client_id, issuer=self.provider.issuer
        )
        return claims
