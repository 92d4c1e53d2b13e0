"""The end of a session: /v2/logout as Auth0 has it, /oidc/logout, and what applications are told."""

import socket
import time
from collections.abc import Iterator
from urllib.parse import quote, urlencode

import jwt
import pytest
from auth0_server_python.auth_types import LogoutOptions

from tests.integration.identity.browser import Browser, form_of, location, query
from tests.integration.identity.conftest import Application
from tests.integration.identity.protocol import CALLBACK, RelyingParty
from tests.integration.identity.receiver import Receiver, receiver
from tests.servers.identity import CLIENT, IdentityProvider

HOME = CLIENT["allowed_logout_urls"][0]
OTHER = {"client_id": "other", "client_secret": "o", "name": "Other", "redirect_uris": [CALLBACK]}


@pytest.fixture
def party(provider: IdentityProvider) -> RelyingParty:
    return RelyingParty(provider)


@pytest.fixture
def listening(provider: IdentityProvider) -> Iterator[Receiver]:
    """The client's back-channel logout endpoint for the time of the test."""
    with receiver(provider.ca) as received:
        provider.knobs.change_clients({"client_id": CLIENT["client_id"], "backchannel_logout_uri": received.url})
        yield received
    provider.knobs.change_clients(CLIENT)


def is_signed_in(party: RelyingParty, browser: Browser) -> bool:
    return "code" in query(location(browser.open(party.authorize(prompt="none"))))


def logout(**parameters: str) -> str:
    return f"/v2/logout?{urlencode(parameters)}"


def test_the_sdks_logout_ends_the_session_and_leads_back(
    application: Application, party: RelyingParty, browser: Browser
) -> None:
    application.complete(browser.sign_in(application.login_url()))
    assert is_signed_in(party, browser)
    url = application.run(application.sdk.logout(LogoutOptions(return_to=HOME)))

    assert location(browser.open(url)) == HOME
    assert not is_signed_in(party, browser)


@pytest.mark.parametrize("address", [HOME, f"{HOME}?from=logout#top"])
def test_return_to_is_compared_without_query_and_fragment(party: RelyingParty, browser: Browser, address: str) -> None:
    party.sign_in(browser)

    assert location(browser.open(logout(client_id=party.client_id, returnTo=address))) == address
    assert not is_signed_in(party, browser)


@pytest.mark.parametrize(
    "address",
    [
        "https://evil.example/",
        "//evil.example/",
        "/relative",
        "javascript:alert(1)",
        "https://localhost:8443@evil.example/",
        "https://user@localhost:8443/",
        "https://localhost:8444/",
        "http://localhost:8443/",
        "https://localhost:8443/profile",
        "https://localhost:8443.evil.example/",
        "https://localhost:8443\\@evil.example/",
        "",
    ],
)
def test_any_other_return_to_is_refused_and_ends_nothing(party: RelyingParty, browser: Browser, address: str) -> None:
    party.sign_in(browser)
    page = browser.open(logout(client_id=party.client_id, returnTo=address))

    assert page.status_code == 400
    assert "not among the allowed logout URLs" in page.text
    assert is_signed_in(party, browser)


def test_return_to_given_twice_is_refused(party: RelyingParty, browser: Browser) -> None:
    first = quote(f"{HOME}?")
    page = browser.open(f"/v2/logout?client_id={party.client_id}&returnTo={first}&returnTo=https://evil.example/")

    assert page.status_code == 400


def test_without_return_to_it_leads_to_the_clients_first_address(party: RelyingParty, browser: Browser) -> None:
    party.sign_in(browser)

    assert location(browser.open(logout(client_id=party.client_id))) == HOME
    assert not is_signed_in(party, browser)


@pytest.mark.parametrize("parameters", [{}, {"client_id": "other"}])
def test_without_an_address_to_go_to_it_shows_a_page(
    party: RelyingParty, browser: Browser, parameters: dict[str, str], provider: IdentityProvider
) -> None:
    provider.knobs.change_clients(OTHER)
    party.sign_in(browser)

    assert "You are signed out" in browser.open(logout(**parameters)).text
    assert not is_signed_in(party, browser)


@pytest.mark.parametrize(
    "parameters", [{"client_id": "nobody"}, {"returnTo": HOME}, {"client_id": "", "returnTo": HOME}]
)
def test_a_return_to_needs_a_client_that_is_known(
    party: RelyingParty, browser: Browser, parameters: dict[str, str]
) -> None:
    party.sign_in(browser)

    assert browser.open(logout(**parameters)).status_code == 400
    assert is_signed_in(party, browser)


def test_logout_without_a_session_leads_back_all_the_same(party: RelyingParty, browser: Browser) -> None:
    assert location(browser.open(logout(client_id=party.client_id, returnTo=HOME))) == HOME


def test_refresh_tokens_outlive_the_session_as_at_auth0(party: RelyingParty, browser: Browser) -> None:
    tokens = party.sign_in(browser)
    browser.open(logout(client_id=party.client_id, returnTo=HOME))

    assert party.refresh(tokens["refresh_token"]).is_success
    assert party.userinfo(tokens["access_token"]).is_success


def test_access_tokens_outlive_it_too_and_so_do_those_of_another_tab(party: RelyingParty, browser: Browser) -> None:
    tabs = [party.sign_in(browser, scope="openid email") for _ in range(2)]
    browser.open(logout(client_id=party.client_id, returnTo=HOME))

    assert all(party.userinfo(tokens["access_token"]).is_success for tokens in tabs)


def test_the_application_is_told_by_back_channel(
    application: Application, party: RelyingParty, browser: Browser, listening: Receiver
) -> None:
    user = application.complete(browser.sign_in(application.login_url()))["user"]
    before = int(time.time())
    browser.open(application.run(application.sdk.logout(LogoutOptions(return_to=HOME))))
    token = listening.logout_token()

    claims = party.verified(token)
    assert jwt.get_unverified_header(token)["typ"] == "logout+jwt"
    assert (claims["sub"], claims["sid"]) == (user["sub"], user["sid"])
    assert claims["events"] == {"http://schemas.openid.net/event/backchannel-logout": {}}
    assert before <= claims["iat"] <= time.time() < claims["exp"]
    assert claims["jti"]
    assert "nonce" not in claims
    application.run(application.sdk.handle_backchannel_logout(token))
    assert [(entry["sub"], entry["sid"]) for entry in application.states.logged_out] == [(user["sub"], user["sid"])]


def test_every_application_of_the_session_is_told_and_each_with_its_own_sid(
    party: RelyingParty, browser: Browser, listening: Receiver, provider: IdentityProvider
) -> None:
    provider.knobs.change_clients(OTHER | {"backchannel_logout_uri": listening.url})
    other = RelyingParty(provider, "other", "o")
    sids = {each.client_id: each.verified(each.sign_in(browser)["id_token"])["sid"] for each in (party, other)}
    browser.open(logout())
    told = [jwt.decode(listening.logout_token(), options={"verify_signature": False}) for _ in sids]

    assert {claims["aud"]: claims["sid"] for claims in told} == sids
    assert len(set(sids.values())) == 2


def test_the_first_users_application_is_told_when_another_user_signs_in(
    party: RelyingParty, browser: Browser, listening: Receiver
) -> None:
    first = party.verified(party.sign_in(browser)["id_token"])
    page = browser.open(party.authorize(prompt="login"))
    browser.submit(page, username="john@example.com", password="battery-staple")

    assert party.verified(listening.logout_token())["sid"] == first["sid"]


@pytest.mark.parametrize("status", [400, 500])
def test_an_application_that_answers_with_an_error_holds_up_nobody(
    party: RelyingParty, browser: Browser, listening: Receiver, status: int
) -> None:
    listening.status = status
    party.sign_in(browser)

    assert location(browser.open(logout(client_id=party.client_id, returnTo=HOME))) == HOME
    assert not is_signed_in(party, browser)


def test_an_application_that_does_not_answer_holds_up_nobody_for_long(
    party: RelyingParty, browser: Browser, provider: IdentityProvider
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"https://localhost:{silent.getsockname()[1]}/"
        provider.knobs.change_clients({"client_id": CLIENT["client_id"], "backchannel_logout_uri": url})
        party.sign_in(browser)
        assert location(browser.open(logout(client_id=party.client_id, returnTo=HOME))) == HOME
    provider.knobs.change_clients(CLIENT)

    assert f"back-channel logout of {party.client_id} failed" in provider.log.read_text()


def test_the_library_s_own_logout_asks_and_then_ends_the_session(
    party: RelyingParty, browser: Browser, listening: Receiver
) -> None:
    tokens = party.sign_in(browser)
    parameters = {"id_token_hint": tokens["id_token"], "post_logout_redirect_uri": HOME, "state": "s"}
    page = browser.open(f"/oidc/logout?{urlencode(parameters)}")
    assert "Do you want to sign out" in page.text
    assert is_signed_in(party, browser)

    page = browser.open(f"/oidc/logout?{urlencode(parameters)}")
    assert location(browser.submit(page, logout="yes")) == f"{HOME}?state=s"
    assert not is_signed_in(party, browser)
    assert party.verified(listening.logout_token())["sub"] == party.verified(tokens["id_token"])["sub"]


def test_the_library_s_own_logout_without_a_session_needs_no_script(party: RelyingParty, browser: Browser) -> None:
    page = browser.open(f"/oidc/logout?client_id={party.client_id}&post_logout_redirect_uri={quote(HOME)}")

    assert "<script" not in page.text
    assert form_of(page).fields["logout"] == "yes"
    assert location(browser.submit(page)) == HOME
