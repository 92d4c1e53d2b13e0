"""Auth0's organizations: who may sign in to one, and what the tokens say about it."""

import pytest

from tests.integration.identity.browser import Browser, form_of, location, query
from tests.integration.identity.protocol import RelyingParty
from tests.servers.identity import CONFIGURATION, IdentityProvider

ACME = CONFIGURATION["organizations"][0]
API = "https://api.example.com/"
OLGA = {"username": "olga@acme.example", "password": "anvil-delivery"}
JOHN = {"username": "john@example.com", "password": "battery-staple"}


@pytest.fixture
def party(provider: IdentityProvider) -> RelyingParty:
    return RelyingParty(provider)


@pytest.mark.parametrize("organization", [ACME["id"], "acme", "Acme"])
def test_the_sdk_signs_a_member_in(make_application, browser: Browser, organization: str) -> None:
    application = make_application(organization=organization)

    state = application.complete(browser.sign_in(application.login_url(), **OLGA))
    assert state["user"]["org_id"] == ACME["id"]
    assert state["user"]["org_name"] == "acme"


def test_the_page_names_the_organization(party: RelyingParty, browser: Browser) -> None:
    assert "as a member of <strong>Acme</strong>" in browser.open(party.authorize(organization="acme")).text


def test_every_token_of_the_sign_in_has_the_organization_and_those_of_others_have_not(
    party: RelyingParty, browser: Browser
) -> None:
    code = query(browser.sign_in(party.authorize(organization=ACME["id"], audience=API), **OLGA))["code"]
    tokens = party.exchange(code).json()
    refreshed = party.refresh(tokens["refresh_token"]).json()
    for answer in (tokens, refreshed):
        assert party.verified(answer["id_token"])["org_id"] == ACME["id"]
        assert party.verified(answer["access_token"], API)["org_id"] == ACME["id"]
        assert party.userinfo(answer["access_token"]).json()["org_id"] == ACME["id"]

    without = party.sign_in(browser)
    assert "org_id" not in party.verified(without["id_token"])
    assert "org_id" not in party.userinfo(without["access_token"]).json()


def test_somebody_else_is_refused_after_the_right_password(party: RelyingParty, browser: Browser) -> None:
    callback = query(browser.sign_in(party.authorize(organization="acme")))

    assert callback["error"] == "access_denied"
    jane = CONFIGURATION["users"][0]["user_id"]
    assert callback["error_description"] == f"user {jane} is not part of the {ACME['id']} organization"


def test_a_session_of_somebody_else_is_not_enough(party: RelyingParty, browser: Browser) -> None:
    party.sign_in(browser)

    assert (
        query(location(browser.open(party.authorize(organization="acme", prompt="none"))))["error"] == "login_required"
    )
    page = browser.open(party.authorize(organization="acme"))
    assert form_of(page).fields == {"username": "", "password": ""}
    assert "code" in query(location(browser.submit(page, **OLGA)))


def test_an_organization_that_is_not_there_is_an_error(party: RelyingParty, browser: Browser) -> None:
    callback = query(location(browser.open(party.authorize(organization="org_nowhere"))))

    assert callback["error"] == "invalid_request"
    assert "organization" in callback["error_description"]


def test_an_invitation_lets_the_invited_in_and_nobody_else(party: RelyingParty, browser: Browser) -> None:
    invited = {"organization": ACME["id"], "invitation": "invitation-for-john"}
    page = browser.open(party.authorize(**invited))
    assert form_of(page).fields["username"] == "john@example.com"
    jane = {"username": "jane@example.com", "password": "correct-horse"}
    assert query(location(browser.submit(page, **jane)))["error"] == "access_denied"

    code = query(browser.sign_in(party.authorize(**invited), **JOHN))["code"]
    assert party.verified(party.exchange(code).json()["id_token"])["org_id"] == ACME["id"]


@pytest.mark.parametrize(
    "parameters",
    [
        {"organization": "acme", "invitation": "guessed"},
        {"invitation": "invitation-for-john"},
        {"invitation": "toString"},
    ],
)
def test_an_invitation_that_is_not_there_is_an_error(
    party: RelyingParty, browser: Browser, parameters: dict[str, str]
) -> None:
    assert query(location(browser.open(party.authorize(**parameters))))["error"] == "invalid_request"
