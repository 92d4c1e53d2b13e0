"""The provider's pages in a real browser, which alone knows whether their policy lets a form lead back to the app."""

from collections.abc import Iterator
from urllib.parse import quote, urljoin

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from scripts.certificates import CA
from tests.integration.identity.protocol import RelyingParty
from tests.integration.identity.receiver import receiver
from tests.servers.chromium import chromium
from tests.servers.identity import CONFIGURATION, IdentityProvider

FIRST_PARTY, ASKING = CONFIGURATION["clients"]


# Until the end of this module only: Playwright's loop would be in the way of the SDK's.
@pytest.fixture(scope="module")
def browser_of_a_person(ca: CA, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with chromium(tmp_path_factory.mktemp("chromium"), ca) as chrome:
        browser = chrome.browser()
        yield browser
        browser.close()


@pytest.fixture(params=["light", "dark"])
def page(browser_of_a_person: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A page on which nothing is blocked by a policy, in both colour schemes."""
    context = browser_of_a_person.new_context(color_scheme=request.param)
    page = context.new_page()
    messages: list[str] = []
    page.on("console", lambda message: messages.append(message.text))
    yield page
    context.close()
    assert not [message for message in messages if "Content Security Policy" in message]


@pytest.fixture
def callback(provider: IdentityProvider) -> Iterator[str]:
    """An address of an application that answers."""
    with receiver(provider.ca) as application:
        url = urljoin(application.url, "/callback")
        changes = {"redirect_uris": [url], "allowed_logout_urls": [url]}
        provider.knobs.change_clients(
            *({"client_id": client["client_id"]} | changes for client in (FIRST_PARTY, ASKING))
        )
        yield url
    provider.knobs.change_clients(FIRST_PARTY, ASKING)


@pytest.fixture
def party(provider: IdentityProvider) -> RelyingParty:
    return RelyingParty(provider, ASKING["client_id"], ASKING["client_secret"])


def open_page(page: Page, party: RelyingParty, path: str) -> None:
    page.goto(urljoin(party.provider.issuer, path))


def assert_accessible(page: Page) -> None:
    violations = Axe().run(page).response["violations"]
    assert not violations, violations


def sign_in_by_keyboard(page: Page, username: str = "olga@acme.example", password: str = "anvil-delivery") -> None:
    # The cursor is there by itself, though not at the very moment at which the page is.
    expect(page.get_by_label("User name")).to_be_focused()
    page.keyboard.type(username)
    page.keyboard.press("Tab")
    page.keyboard.type(password)
    page.keyboard.press("Enter")


def test_a_person_signs_in_by_keyboard_and_allows_access(page: Page, party: RelyingParty, callback: str) -> None:
    open_page(page, party, party.authorize(redirect_uri=callback, organization="acme", screen_hint="signup"))
    assert_accessible(page)
    sign_in_by_keyboard(page, password="wrong")
    page.get_by_role("alert").wait_for()
    assert_accessible(page)
    expect(page.get_by_label("User name")).to_have_value("olga@acme.example")
    expect(page.get_by_label("Password")).to_be_focused()
    page.keyboard.type("anvil-delivery")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Allow access").wait_for()
    assert_accessible(page)
    page.get_by_role("button", name="Allow").click()

    page.wait_for_url(f"{callback}?code=*")


def test_a_person_cancels_at_either_form(page: Page, party: RelyingParty, callback: str) -> None:
    open_page(page, party, party.authorize(redirect_uri=callback))
    page.get_by_role("button", name="Cancel").click()
    page.wait_for_url(f"{callback}?error=access_denied*")

    open_page(page, party, party.authorize(redirect_uri=callback))
    sign_in_by_keyboard(page)
    page.get_by_role("heading", name="Allow access").wait_for()
    page.get_by_role("button", name="Cancel").click()
    page.wait_for_url(f"{callback}?error=access_denied*")


def test_a_person_signs_out_by_the_librarys_forms(page: Page, party: RelyingParty, callback: str) -> None:
    first_party = RelyingParty(party.provider)
    open_page(page, first_party, first_party.authorize(redirect_uri=callback))
    sign_in_by_keyboard(page)
    page.wait_for_url(f"{callback}?code=*")
    path = f"/oidc/logout?client_id={first_party.client_id}&post_logout_redirect_uri={quote(callback)}"
    open_page(page, party, path)
    assert_accessible(page)
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url(callback)

    # Nobody is signed in any more; the library's form is sent on by hand.
    open_page(page, party, path)
    assert_accessible(page)
    page.get_by_role("button", name="Continue").click()
    page.wait_for_url(callback)


def test_the_answer_may_be_posted_to_the_app(page: Page, callback: str, provider: IdentityProvider) -> None:
    party = RelyingParty(provider)
    open_page(page, party, party.authorize(redirect_uri=callback, response_mode="form_post"))
    sign_in_by_keyboard(page)
    page.get_by_role("button", name="Continue").click()

    page.wait_for_url(callback)


@pytest.mark.parametrize("path", ["/nowhere", "/v2/logout", "/v2/logout?client_id=nobody", "/u/login/gone"])
def test_the_other_pages_are_accessible_and_fit_a_phone(page: Page, party: RelyingParty, path: str) -> None:
    page.set_viewport_size({"width": 320, "height": 640})
    open_page(page, party, path)

    assert_accessible(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 320


def test_the_longest_name_fits_a_phone(page: Page, party: RelyingParty, callback: str) -> None:
    page.set_viewport_size({"width": 320, "height": 640})
    open_page(page, party, party.authorize(redirect_uri=callback))
    sign_in_by_keyboard(page, "long@example.com", "not-so-short")
    page.get_by_role("heading", name="Allow access").wait_for()

    assert page.evaluate("document.documentElement.scrollWidth") <= 320


def test_the_picture_is_shown_by_a_page_of_another_origin(page: Page, party: RelyingParty, callback: str) -> None:
    page.goto(callback)
    width = page.evaluate(
        """async (address) => {
            const image = new Image();
            image.src = address;
            await image.decode();
            return image.naturalWidth;
        }""",
        urljoin(party.provider.issuer, "/picture/jane.svg"),
    )

    assert width == 96
