"""The SDK's real client signs in at the provider; so does everybody else, with a password only."""

import time
from collections.abc import Callable

import httpx
import pytest
from auth0_server_python.error import ApiError
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from tests.integration.identity.browser import Browser, form_of, location, query
from tests.integration.identity.conftest import Application
from tests.integration.identity.protocol import CALLBACK, RelyingParty
from tests.servers.identity import CONFIGURATION, IdentityProvider

JANE = CONFIGURATION["users"][0]
PASSWORDS = {user["username"]: user["password"] for user in CONFIGURATION["users"]}
ASKING = CONFIGURATION["clients"][1]


@pytest.fixture
def party(provider: IdentityProvider) -> RelyingParty:
    return RelyingParty(provider)


def test_the_sdk_signs_a_person_in_with_the_claims_of_auth0(application: Application, browser: Browser) -> None:
    state = application.complete(browser.sign_in(application.login_url()))

    user = state["user"]
    assert {name: user[name] for name in ("sub", "name", "given_name", "family_name", "nickname", "email")} == {
        "sub": JANE["user_id"],
        "name": "Jane Doe",
        "given_name": "Jane",
        "family_name": "Doe",
        "nickname": "jane",
        "email": "jane@example.com",
    }
    assert user["email_verified"] is True
    assert user["updated_at"] == JANE["updated_at"]
    assert user["https://example.com/roles"] == ["reader", "editor"]
    assert user["org_id"] is None
    assert user["sid"] == state["internal"]["sid"]
    assert user["iss"] == f"https://{state['domain']}/"
    assert user["aud"] == "local-client"


def test_the_token_response_says_which_scope_was_granted_offline_access_included(
    application: Application, browser: Browser
) -> None:
    state = application.complete(browser.sign_in(application.login_url()))

    assert state["token_sets"][0]["scope"].split() == ["openid", "profile", "email", "offline_access"]
    assert state["refresh_token"]


def test_without_offline_access_there_is_no_refresh_token(party: RelyingParty, browser: Browser) -> None:
    tokens = party.sign_in(browser, scope="openid profile")

    assert "refresh_token" not in tokens
    assert tokens["scope"] == "openid profile"
    claims = party.verified(tokens["id_token"])
    assert "email" not in claims
    assert claims["name"] == "Jane Doe"


def test_the_sdk_signs_in_by_a_pushed_authorization_request(
    make_application: Callable[..., Application], browser: Browser
) -> None:
    application = make_application(pushed_authorization_requests=True)

    url = application.login_url()
    state = application.complete(browser.sign_in(url))

    assert set(query(url)) == {"request_uri", "response_type", "client_id"}
    assert state["token_sets"][0]["scope"].split() == ["openid", "profile", "email", "offline_access"]
    assert state["refresh_token"]


def test_the_sdk_signs_in_and_refreshes_with_a_key_instead_of_a_secret(
    provider: IdentityProvider, make_application: Callable[..., Application], browser: Browser
) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    public = RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
    client = {"client_id": "key-client", "name": "Key", "redirect_uris": [CALLBACK], "jwks": {"keys": [public]}}
    provider.knobs.change_clients(client)
    options = {"client_id": "key-client", "client_secret": None}
    application = make_application(client_assertion_signing_key=pem.decode(), **options)

    state = application.complete(browser.sign_in(application.login_url()))
    before = state["token_sets"][0]["access_token"]
    application.expire_access_token()

    assert application.access_token() != before
    stranger = RelyingParty(provider, "key-client", "guessed")
    assert stranger.token({"grant_type": "refresh_token", "refresh_token": "x"}).json()["error"] == "invalid_client"


@pytest.mark.parametrize("username", ["john@example.com", "søren@example.com", "long@example.com"])
def test_every_other_user_signs_in_too(party: RelyingParty, browser: Browser, username: str) -> None:
    callback = browser.sign_in(party.authorize(), username, PASSWORDS[username])

    claims = party.verified(party.exchange(query(callback)["code"]).json()["id_token"])
    user = next(user for user in CONFIGURATION["users"] if user["username"] == username)
    assert claims["name"] == user["name"]
    assert claims["email"] == username
    assert ("picture" in claims) == ("picture" in user)


def test_the_users_have_a_name_of_200_characters_and_one_beyond_ascii_among_them() -> None:
    names = [user["name"] for user in CONFIGURATION["users"]]

    assert 200 in map(len, names)
    assert any(not name.isascii() and "<" in name for name in names)


def test_a_user_name_is_accepted_in_any_case_and_composition(party: RelyingParty, browser: Browser) -> None:
    decomposed = "SØREN@example.com "
    assert "code" in query(browser.sign_in(party.authorize(), decomposed, PASSWORDS["søren@example.com"]))


def test_a_blocked_user_gets_an_error_only_after_the_right_password(party: RelyingParty, browser: Browser) -> None:
    page = browser.open(party.authorize())
    wrong = browser.submit(page, username="blocked@example.com", password="wrong")
    assert "Wrong user name or password." in wrong.text

    callback = query(location(browser.submit(wrong, username="blocked@example.com", password="locked-door")))
    assert (callback["error"], callback["error_description"]) == ("unauthorized", "user is blocked")
    assert callback["state"] == "the-state"
    assert "code" not in callback


@pytest.mark.parametrize("username", ["jane@example.com", "nobody@example.com", ""])
@pytest.mark.parametrize("password", ["wrong", "", "correct-horse ", "Correct-Horse"])
def test_a_wrong_password_shows_the_same_page_with_one_message(
    party: RelyingParty, browser: Browser, username: str, password: str
) -> None:
    page = browser.submit(browser.open(party.authorize()), username=username, password=password)

    assert page.status_code == 400
    assert form_of(page).fields == {"username": username, "password": ""}
    assert page.text.count("Wrong user name or password.") == 1


def test_after_ten_failures_in_a_minute_a_user_has_to_wait_and_nobody_else(
    party: RelyingParty, browser: Browser, provider: IdentityProvider
) -> None:
    provider.knobs.clock(120)  # past the failures of other tests
    page = browser.open(party.authorize())
    for _ in range(10):
        page = browser.submit(page, username="long@example.com", password="wrong")
        assert page.status_code == 400
    refused = browser.submit(page, username="long@example.com", password=PASSWORDS["long@example.com"])

    assert refused.status_code == 429
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert refused.text.count("Too many attempts") == 1
    provider.knobs.clock(240)
    callback = browser.submit(refused, username="long@example.com", password=PASSWORDS["long@example.com"])
    assert "code" in query(location(callback))


def test_cancel_on_the_sign_in_form_is_access_denied(application: Application, browser: Browser) -> None:
    page = browser.open(application.login_url())
    callback = location(browser.submit(page, action="cancel"))

    assert form_of(page).buttons == ["continue", "cancel"]
    assert query(callback)["error"] == "access_denied"
    with pytest.raises(ApiError) as denied:
        application.complete(callback)
    assert denied.value.code == "access_denied"


def test_a_form_that_was_sent_cannot_be_sent_again(party: RelyingParty, browser: Browser) -> None:
    page = browser.open(party.authorize())
    location(browser.submit(page, username="jane@example.com", password="correct-horse"))
    again = browser.submit(page, username="jane@example.com", password="correct-horse")

    assert again.status_code == 400
    assert "expired or was already used" in again.text


def test_a_form_of_one_browser_is_of_no_use_in_another(
    party: RelyingParty, browser: Browser, provider: IdentityProvider
) -> None:
    page = browser.open(party.authorize())
    with Browser(provider.issuer, str(provider.ca.path)) as other:
        stolen = other.submit(page, username="jane@example.com", password="correct-horse")

    assert stolen.status_code == 400
    assert not stolen.has_redirect_location


def test_the_second_application_of_a_session_needs_no_password(
    application: Application, make_application: Callable[..., Application], browser: Browser
) -> None:
    first = application.complete(browser.sign_in(application.login_url()))
    other = make_application()
    second = other.complete(location(browser.open(other.login_url())))

    assert second["user"]["sub"] == first["user"]["sub"]
    assert second["user"]["sid"] == first["user"]["sid"]


@pytest.mark.parametrize("parameters", [{"prompt": "login"}, {"max_age": "0"}])
def test_a_client_may_ask_for_the_password_again(
    party: RelyingParty, browser: Browser, parameters: dict[str, str]
) -> None:
    first = party.verified(party.sign_in(browser)["id_token"])
    page = browser.open(party.authorize(**parameters))

    assert form_of(page).buttons == ["continue", "cancel"]
    callback = query(location(browser.submit(page, username="jane@example.com", password="correct-horse")))
    assert party.verified(party.exchange(callback["code"]).json()["id_token"])["sid"] == first["sid"]


def test_max_age_puts_the_time_of_the_sign_in_into_the_id_token(party: RelyingParty, browser: Browser) -> None:
    before = int(time.time())
    tokens = party.sign_in(browser, max_age="600", acr_values="urn:any", ui_locales="fr de")

    assert before <= party.verified(tokens["id_token"])["auth_time"] <= time.time()


def test_a_session_older_than_max_age_is_not_enough(
    party: RelyingParty, browser: Browser, provider: IdentityProvider
) -> None:
    party.sign_in(browser)
    assert "code" in query(location(browser.open(party.authorize(max_age="60"))))
    provider.knobs.clock(100)

    assert form_of(browser.open(party.authorize(max_age="60"))).fields == {"username": "", "password": ""}


def test_prompt_none_never_shows_a_form(party: RelyingParty, browser: Browser) -> None:
    assert query(location(browser.open(party.authorize(prompt="none"))))["error"] == "login_required"
    party.sign_in(browser)
    assert "code" in query(location(browser.open(party.authorize(prompt="none"))))


def test_login_hint_fills_in_the_user_name_and_screen_hint_says_there_is_no_sign_up(
    party: RelyingParty, browser: Browser
) -> None:
    page = browser.open(party.authorize(login_hint='x"><script>@example.com', screen_hint="signup"))

    assert form_of(page).fields["username"] == 'x"><script>@example.com'
    assert "<script" not in page.text
    assert "Accounts cannot be made here" in page.text


def test_another_user_in_the_same_browser_takes_the_place_of_the_first(party: RelyingParty, browser: Browser) -> None:
    first = party.verified(party.sign_in(browser)["id_token"])
    page = browser.open(party.authorize(prompt="login"))
    callback = location(browser.submit(page, username="john@example.com", password="battery-staple"))
    second = party.verified(party.exchange(query(callback)["code"]).json()["id_token"])

    assert second["name"] == "John Roe"
    assert second["sid"] != first["sid"]


def test_a_nonce_comes_back_in_the_id_token(party: RelyingParty, browser: Browser) -> None:
    assert party.verified(party.sign_in(browser, nonce="n-0S6")["id_token"])["nonce"] == "n-0S6"
    assert "nonce" not in party.verified(party.sign_in(browser)["id_token"])


def test_a_connection_that_is_not_there_is_an_error(party: RelyingParty, browser: Browser) -> None:
    known = browser.open(party.authorize(connection="Username-Password-Authentication"))
    unknown = query(location(browser.open(party.authorize(connection="github"))))

    assert form_of(known).forms == 1
    assert unknown["error"] == "invalid_request"
    assert unknown["error_description"] == "the connection was not found"


def test_a_first_party_client_is_granted_what_it_asks_for_without_a_page(party: RelyingParty, browser: Browser) -> None:
    page = browser.open(party.authorize())

    assert "code" in query(location(browser.submit(page, username="jane@example.com", password="correct-horse")))
    assert "Allow access" in browser.open(party.authorize(prompt="consent")).text


def asking(provider: IdentityProvider) -> RelyingParty:
    return RelyingParty(provider, ASKING["client_id"], ASKING["client_secret"])


def sign_in_and_be_asked(party: RelyingParty, browser: Browser, **parameters: str) -> httpx.Response:
    page = browser.open(party.authorize(**parameters))
    consent = browser.submit(page, username="jane@example.com", password="correct-horse")
    assert "Allow access" in consent.text
    assert "Jane Doe" in consent.text
    return consent


def test_a_client_that_asks_for_consent_gets_it_once_a_session(provider: IdentityProvider, browser: Browser) -> None:
    party = asking(provider)
    consent = sign_in_and_be_asked(party, browser)
    for permission in ("knowing who you are", "your e-mail address", "access while you are away"):
        assert permission in consent.text
    tokens = party.exchange(query(location(browser.submit(consent)))["code"]).json()

    assert tokens["scope"].split() == ["openid", "profile", "email", "offline_access"]
    assert party.verified(tokens["id_token"])["sid"], "although the client has no address for back-channel logout"
    again = party.exchange(query(location(browser.open(party.authorize())))["code"]).json()
    assert again["scope"] == tokens["scope"]
    assert party.refresh(tokens["refresh_token"]).is_success


def test_consent_is_asked_for_what_was_not_yet_given(provider: IdentityProvider, browser: Browser) -> None:
    party = asking(provider)
    browser.submit(sign_in_and_be_asked(party, browser, scope="openid"))
    more = browser.open(party.authorize(scope="openid email read:messages", audience="https://api.example.com/"))

    assert "your e-mail address" in more.text
    assert "read:messages" in more.text
    tokens = party.exchange(query(location(browser.submit(more)))["code"]).json()
    assert set(tokens["scope"].split()) == {"openid", "email", "read:messages"}


def test_cancel_on_the_consent_form_is_access_denied(provider: IdentityProvider, browser: Browser) -> None:
    consent = sign_in_and_be_asked(asking(provider), browser)

    assert query(location(browser.submit(consent, action="cancel")))["error"] == "access_denied"
    assert form_of(consent).buttons == ["continue", "cancel"]
