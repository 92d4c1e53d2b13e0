"""Each way that a login fails is told apart by what the SDK raises for it."""

import httpx
import jwt
import pytest
from auth0_server_python.error import (
    ApiError,
    IssuerValidationError,
    MissingRequiredArgumentError,
    MissingTransactionError,
    OrganizationTokenValidationError,
    SessionExpiredError,
)
from authlib.integrations.base_client.errors import OAuthError

from app.auth.failures import classify, code_of

REQUEST = httpx.Request("POST", "https://acme.eu.auth0.com/oauth/token")


def token_error(error: str) -> ApiError:
    """What the SDK makes of an error answer of the token endpoint."""
    return ApiError("token_error", "Token exchange failed", OAuthError(error, "description"))


@pytest.mark.parametrize(
    ("error", "cause", "status"),
    [
        (MissingTransactionError(), "expired", 400),
        (MissingRequiredArgumentError("state"), "expired", 400),
        (SessionExpiredError(), "expired", 400),
        (ApiError("access_denied", "cancelled"), "denied", 403),
        (ApiError("unauthorized", "blocked"), "denied", 403),
        (OrganizationTokenValidationError("no member"), "organization", 403),
        (token_error("invalid_grant"), "code_used", 400),
        (token_error("invalid_client"), "misconfigured", 500),
        (token_error("unauthorized_client"), "misconfigured", 500),
        (ApiError("invalid_scope", "unknown scope"), "misconfigured", 500),
        (ApiError("server_error", "oops"), "provider_down", 502),
        (ApiError("temporarily_unavailable", "later"), "provider_down", 502),
        (ApiError("login_required", "prompt=none"), "refused", 400),
        (httpx.ReadTimeout("slow", request=REQUEST), "provider_slow", 504),
        (httpx.ConnectTimeout("slow", request=REQUEST), "provider_slow", 504),
        (httpx.ConnectError("refused", request=REQUEST), "provider_down", 502),
        (httpx.HTTPStatusError("500", request=REQUEST, response=httpx.Response(500)), "provider_down", 502),
        (ApiError("metadata_error", "m", httpx.ReadTimeout("slow", request=REQUEST)), "provider_slow", 504),
        (ApiError("jwks_fetch_error", "m", httpx.ConnectError("down", request=REQUEST)), "provider_down", 502),
        (ApiError("invalid_token", "m", jwt.ImmatureSignatureError("iat")), "clock_skew", 500),
        (ApiError("token_expired", "m", jwt.ExpiredSignatureError("exp")), "clock_skew", 500),
        (ApiError("invalid_token", "m", jwt.DecodeError("garbage")), "untrusted_token", 500),
        (ApiError("invalid_signature", "m"), "untrusted_token", 500),
        (ApiError("invalid_audience", "m", jwt.InvalidAudienceError("aud")), "untrusted_token", 500),
        (ApiError("jwks_key_not_found", "m"), "unknown_key", 502),
        (IssuerValidationError("iss"), "untrusted_token", 500),
        (ApiError("something_new", "m"), "refused", 400),
        (KeyError("a bug"), "unknown", 500),
    ],
)
def test_a_failure_is_told_apart(error: Exception, cause: str, status: int) -> None:
    failure = classify(error)
    assert (failure.cause, failure.status) == (cause, status)
    # What needs the operator is an error in the log, what the person did is not.
    assert failure.operator == (status == 500)


def test_the_log_gets_the_innermost_code() -> None:
    assert code_of(token_error("invalid_grant")) == "invalid_grant"
    assert code_of(httpx.ReadTimeout("slow", request=REQUEST)) == "ReadTimeout"


@pytest.mark.parametrize("code", ["<script>", "a\nb", "secret=1234", "x" * 100, "", None, 7])
def test_the_log_gets_no_code_that_does_not_look_like_one(code: object) -> None:
    assert code_of(ApiError(code, "m")) == "ApiError"  # type: ignore[arg-type]
