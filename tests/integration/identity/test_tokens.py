"""Codes, access tokens and refresh tokens: what is accepted, and above all what is not."""

from concurrent.futures import ThreadPoolExecutor

import httpx
import jwt
import pytest
from auth0_server_python.error import AccessTokenError

from tests.integration.identity.browser import Browser, location, query
from tests.integration.identity.conftest import Application
from tests.integration.identity.protocol import CALLBACK, RelyingParty
from tests.servers.identity import CLIENT, IdentityProvider

API = "https://api.example.com/"


@pytest.fixture
def party(provider: IdentityProvider) -> RelyingParty:
    return RelyingParty(provider)


def code_of(party: RelyingParty, browser: Browser, **parameters: str) -> str:
    return query(browser.sign_in(party.authorize(**parameters)))["code"]


def error(response: httpx.Response) -> str:
    assert response.status_code in {400, 401}, response.text
    value: str = response.json()["error"]
    return value


# PKCE


@pytest.mark.parametrize(
    "parameters",
    [
        {"code_challenge": None, "code_challenge_method": None},
        {"code_challenge_method": "plain"},
        {"code_challenge_method": None},
        {"code_challenge": None},
        {"code_challenge": "too-short"},
    ],
)
def test_an_authorization_request_without_s256_is_refused(
    party: RelyingParty, browser: Browser, parameters: dict[str, None]
) -> None:
    callback = query(location(browser.open(party.authorize(**parameters))))

    assert callback["error"] == "invalid_request"
    assert "code" not in callback


@pytest.mark.parametrize("verifier", ["", "x" * 50])
def test_a_code_is_worth_nothing_without_its_verifier(party: RelyingParty, browser: Browser, verifier: str) -> None:
    assert error(party.exchange(code_of(party, browser), code_verifier=verifier)) == "invalid_grant"


# Codes


def test_a_code_is_good_once_and_its_second_use_revokes_what_the_first_gave(
    party: RelyingParty, browser: Browser
) -> None:
    code = code_of(party, browser)
    tokens = party.exchange(code).json()

    assert error(party.exchange(code)) == "invalid_grant"
    assert error(party.refresh(tokens["refresh_token"])) == "invalid_grant"
    assert party.userinfo(tokens["access_token"]).status_code == 401


def test_a_code_belongs_to_its_client_and_its_redirect_uri(
    party: RelyingParty, browser: Browser, provider: IdentityProvider
) -> None:
    provider.knobs.change_clients(
        {"client_id": "other", "client_secret": "o", "name": "O", "redirect_uris": [CALLBACK]}
    )
    other = RelyingParty(provider, "other", "o", party.verifier)

    assert error(other.exchange(code_of(party, browser))) == "invalid_grant"
    assert error(party.exchange(code_of(party, browser), redirect_uri="https://localhost:8443/")) == "invalid_grant"


def test_a_redirect_uri_that_is_not_registered_gets_a_page_and_no_redirect(
    party: RelyingParty, browser: Browser
) -> None:
    for address in (
        "https://evil.example/callback",
        f"{CALLBACK}/x",
        f"{CALLBACK}?a=b",
        "http://localhost:8443/callback",
    ):
        page = browser.open(party.authorize(redirect_uri=address))
        assert page.status_code == 400
        assert "redirect_uri" in page.text


def test_the_client_authenticates_by_header_or_body_and_by_nothing_less(
    party: RelyingParty, browser: Browser, provider: IdentityProvider
) -> None:
    refresh_token = party.sign_in(browser)["refresh_token"]
    fields = {"grant_type": "refresh_token", "refresh_token": refresh_token}
    identifier, secret = {"client_id": CLIENT["client_id"]}, CLIENT["client_secret"]
    with provider.client() as http:
        for wrong in ({}, identifier, identifier | {"client_secret": "wrong"}, identifier | {"client_secret": ""}):
            assert error(http.post("/oauth/token", data=fields | wrong)) in {"invalid_client", "invalid_request"}
        assert error(http.post("/oauth/token", data=fields, auth=(CLIENT["client_id"], "wrong"))) == "invalid_client"
        assert http.post("/oauth/token", data=fields | identifier | {"client_secret": secret}).is_success


@pytest.mark.parametrize(
    "grant", ["password", "client_credentials", "implicit", "urn:ietf:params:oauth:grant-type:device_code"]
)
def test_no_other_grant_is_offered(party: RelyingParty, grant: str) -> None:
    fields = {"grant_type": grant, "username": "jane@example.com", "password": "correct-horse", "scope": "openid"}

    assert error(party.token(fields)) == "unsupported_grant_type"


# Access tokens


def test_without_an_audience_the_access_token_is_opaque_and_good_for_userinfo(
    party: RelyingParty, browser: Browser
) -> None:
    tokens = party.sign_in(browser)

    assert tokens["access_token"].count(".") == 0
    answer = party.userinfo(tokens["access_token"])
    assert answer.json()["email"] == "jane@example.com"
    assert answer.json()["https://example.com/roles"] == ["reader", "editor"]
    assert answer.headers["cache-control"] == "no-store"
    for wrong in ("x", "x y", f"{tokens['access_token']}x", tokens["id_token"], tokens["refresh_token"]):
        assert party.userinfo(wrong).status_code in {400, 401}


def test_with_an_audience_the_access_token_is_a_jwt_for_that_api(party: RelyingParty, browser: Browser) -> None:
    tokens = party.sign_in(browser, audience=API, scope="openid email offline_access read:messages delete:everything")

    assert tokens["scope"].split() == ["openid", "email", "offline_access", "read:messages"]
    header = jwt.get_unverified_header(tokens["access_token"])
    assert (header["alg"], header["typ"]) == ("RS256", "at+jwt")
    claims = party.verified(tokens["access_token"], API)
    assert claims["aud"] == [API, f"{party.provider.issuer}userinfo"]
    assert claims["scope"] == tokens["scope"]
    assert claims["azp"] == party.client_id
    assert claims["sub"] == party.verified(tokens["id_token"])["sub"]
    assert claims["https://example.com/roles"] == ["reader", "editor"]
    assert tokens["expires_in"] == claims["exp"] - claims["iat"] == 86400


def test_the_access_token_of_an_api_is_good_for_userinfo_too(party: RelyingParty, browser: Browser) -> None:
    token = party.sign_in(browser, audience=API, scope="openid email")["access_token"]

    answer = party.userinfo(token)
    assert answer.json()["email"] == "jane@example.com"
    assert "name" not in answer.json()
    payload = token.split(".")[1]
    assert party.userinfo(token.replace(payload, f"{payload[:-2]}AA")).status_code == 401


def test_a_token_for_an_api_alone_is_not_good_for_userinfo(party: RelyingParty, browser: Browser) -> None:
    token = party.sign_in(browser, audience=API, scope="read:messages")["access_token"]

    assert party.verified(token, API)["aud"] == API
    assert party.userinfo(token).status_code == 401


def test_the_sdk_gets_and_refreshes_a_token_for_its_audience(
    provider: IdentityProvider, make_application, browser: Browser
) -> None:
    scope = "openid profile email offline_access read:messages"
    application: Application = make_application(authorization_params={"scope": scope, "audience": API})
    application.complete(browser.sign_in(application.login_url()))
    first = application.access_token()
    application.expire_access_token()
    second = application.access_token()

    assert first != second
    for token in (first, second):
        assert RelyingParty(provider).verified(token, API)["scope"] == scope


def test_an_unknown_audience_is_refused_in_auth0s_words(party: RelyingParty, browser: Browser) -> None:
    callback = query(location(browser.open(party.authorize(audience="https://unknown.example/"))))

    assert (callback["error"], callback["error_description"]) == (
        "access_denied",
        "Service not found: https://unknown.example/",
    )


# Refresh tokens


def test_the_sdk_refreshes_and_gets_a_new_refresh_token_each_time(application: Application, browser: Browser) -> None:
    state = application.complete(browser.sign_in(application.login_url()))
    seen = {(state["token_sets"][0]["access_token"], state["refresh_token"])}
    for _ in range(3):
        application.expire_access_token()
        token = application.access_token()
        seen.add((token, application.state["refresh_token"]))

    assert len({access for access, _ in seen}) == 4
    assert len({refresh for _, refresh in seen}) == 4
    assert application.run(application.sdk.get_user())["email"] == "jane@example.com"


def test_a_refresh_keeps_the_subject_the_session_and_the_scope(party: RelyingParty, browser: Browser) -> None:
    tokens = party.sign_in(browser)
    refreshed = party.refresh(tokens["refresh_token"]).json()

    before, after = party.verified(tokens["id_token"]), party.verified(refreshed["id_token"])
    assert refreshed["scope"] == tokens["scope"]
    assert {name: after[name] for name in ("sub", "sid", "email")} == {
        name: before[name] for name in ("sub", "sid", "email")
    }


def test_a_refresh_may_ask_for_less_and_not_for_more(party: RelyingParty, browser: Browser) -> None:
    tokens = party.sign_in(browser, scope="openid email offline_access")
    less = party.refresh(tokens["refresh_token"], scope="openid offline_access").json()

    assert less["scope"] == "openid offline_access"
    assert error(party.refresh(less["refresh_token"], scope="openid profile")) == "invalid_scope"


def test_reuse_of_a_refresh_token_is_refused_and_ends_its_family(application: Application, browser: Browser) -> None:
    state = application.complete(browser.sign_in(application.login_url()))
    old = state["refresh_token"]
    application.expire_access_token()
    access_token = application.access_token()
    party = RelyingParty(application.provider)
    assert party.userinfo(access_token).is_success

    assert error(party.refresh(old)) == "invalid_grant"
    assert party.userinfo(access_token).status_code == 401
    application.expire_access_token()
    with pytest.raises(AccessTokenError):
        application.access_token()


def test_the_family_of_another_sign_in_lives_on(party: RelyingParty, browser: Browser) -> None:
    first, second = party.sign_in(browser), party.sign_in(browser)
    newer = party.refresh(first["refresh_token"]).json()
    assert error(party.refresh(first["refresh_token"])) == "invalid_grant"

    assert error(party.refresh(newer["refresh_token"])) == "invalid_grant"
    assert party.userinfo(second["access_token"]).is_success
    assert party.refresh(second["refresh_token"]).is_success


def test_of_many_refreshes_at_once_one_succeeds_at_most_and_the_family_ends(
    party: RelyingParty, browser: Browser
) -> None:
    refresh_token = party.sign_in(browser)["refresh_token"]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(party.refresh, [refresh_token] * 8))

    good = [answer for answer in answers if answer.is_success]
    assert len(good) <= 1
    assert {error(answer) for answer in answers if not answer.is_success} == {"invalid_grant"}
    for answer in good:
        assert error(party.refresh(answer.json()["refresh_token"])) == "invalid_grant"


def test_a_refresh_token_belongs_to_its_client(
    party: RelyingParty, browser: Browser, provider: IdentityProvider
) -> None:
    provider.knobs.change_clients(
        {"client_id": "other", "client_secret": "o", "name": "O", "redirect_uris": [CALLBACK]}
    )
    tokens = party.sign_in(browser)

    assert error(RelyingParty(provider, "other", "o").refresh(tokens["refresh_token"])) == "invalid_grant"
    assert party.refresh(tokens["refresh_token"]).is_success


def test_a_refresh_for_an_audience_that_was_not_granted_is_refused(party: RelyingParty, browser: Browser) -> None:
    tokens = party.sign_in(browser)
    refused = party.refresh(tokens["refresh_token"], audience=API)

    assert error(refused) == "access_denied"
    assert API in refused.json()["error_description"]
    assert party.refresh(tokens["refresh_token"]).is_success


def test_a_revoked_refresh_token_ends_its_family(
    party: RelyingParty, browser: Browser, provider: IdentityProvider
) -> None:
    tokens = party.sign_in(browser)
    with provider.client() as http:
        auth = (party.client_id, party.client_secret)
        assert http.post("/oauth/revoke", data={"token": tokens["refresh_token"]}, auth=auth).is_success

    assert error(party.refresh(tokens["refresh_token"])) == "invalid_grant"
    assert party.userinfo(tokens["access_token"]).status_code == 401


def test_metadata_names_auth0s_routes_and_what_is_really_offered(provider: IdentityProvider) -> None:
    with provider.client() as http:
        metadata = http.get("/.well-known/openid-configuration").json()
        forged = http.get("/.well-known/openid-configuration", headers={"host": "evil.example"}).json()
        keys = http.get("/.well-known/jwks.json").json()["keys"]
    issuer = provider.issuer

    assert issuer.endswith("/")
    assert metadata == forged
    expected = {
        "issuer": issuer,
        "authorization_endpoint": f"{issuer}authorize",
        "token_endpoint": f"{issuer}oauth/token",
        "userinfo_endpoint": f"{issuer}userinfo",
        "jwks_uri": f"{issuer}.well-known/jwks.json",
        "revocation_endpoint": f"{issuer}oauth/revoke",
        "pushed_authorization_request_endpoint": f"{issuer}oauth/par",
        "end_session_endpoint": f"{issuer}oidc/logout",
        "id_token_signing_alg_values_supported": ["RS256"],
        "code_challenge_methods_supported": ["S256"],
        "response_types_supported": ["code"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "backchannel_logout_supported": True,
        "backchannel_logout_session_supported": True,
    }
    assert {name: metadata.get(name) for name in expected} == expected
    assert {(key["kty"], key["alg"], key["use"]) for key in keys} == {("RSA", "RS256", "sig")}
    assert not set().union(*keys) & {"d", "p", "q", "dp", "dq", "qi"}
