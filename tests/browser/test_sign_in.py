"""Signing in and out in a real browser, with sessions in cookies and in Redis."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.browser.application import App
from tests.browser.person import Person
from tests.servers.identity import IdentityProvider

People = Callable[..., Person]


def test_a_person_signs_in_sees_their_profile_calls_the_api_and_signs_out(every_app: App, people: People) -> None:
    person = people(every_app)
    page = person.open()
    page.get_by_role("main").get_by_role("link", name="Login").click()
    person.fill_in()
    expect(page.get_by_role("heading", level=1)).to_have_text("Hello, Jane Doe!")
    assert person.path() == "/"

    page.get_by_role("navigation").get_by_role("link", name="Profile").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Jane Doe")
    expect(page.get_by_role("main")).to_contain_text("Email: jane@example.com")
    expect(page.get_by_role("row", name="https://example.com/roles").get_by_role("cell")).to_have_text(
        '["reader", "editor"]'
    )

    page.get_by_role("navigation").get_by_role("link", name="API call").click()
    expect(page.get_by_role("main")).to_contain_text("answered 200")
    expect(page.locator("pre")).to_contain_text('"email": "jane@example.com"')

    page.get_by_role("link", name="Logout").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Welcome!")
    assert person.path() == "/"
    # The cookie that a logout leaves goes with what the next page loads.
    page.wait_for_load_state("load")
    assert person.cookies() == {}
    person.open("/profile")
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")


def test_whoever_asks_for_a_page_comes_back_to_it_after_signing_in(every_app: App, people: People) -> None:
    person = people(every_app)
    person.open("/profile?tab=1&from=%2Fx")
    person.fill_in()

    expect(person.page.get_by_role("heading", level=1)).to_have_text("Jane Doe")
    assert person.path() == "/profile?tab=1&from=%2Fx"


def test_all_of_it_works_without_javascript(app: App, people: People) -> None:
    person = people(app, java_script_enabled=False)
    person.sign_in("/profile")
    expect(person.page.get_by_role("heading", level=1)).to_have_text("Jane Doe")
    person.page.get_by_role("link", name="API call").click()
    expect(person.page.get_by_role("main")).to_contain_text("answered 200")
    person.page.get_by_role("link", name="Logout").click()
    expect(person.page.get_by_role("heading", level=1)).to_have_text("Welcome!")


def test_two_tabs_that_sign_in_at_the_same_time_both_succeed(every_app: App, people: People) -> None:
    person = people(every_app)
    first, second = person.page, person.tab()
    person.open("/login?return_to=/profile", first)
    person.open("/login?return_to=/api-call", second)
    assert len([name for name in person.cookies() if name.startswith("__Host-login.")]) == 2

    person.fill_in(first)
    expect(first.get_by_role("heading", level=1)).to_have_text("Jane Doe")
    person.fill_in(second)
    expect(second.get_by_role("heading", level=1)).to_have_text("API call")
    first.reload()
    expect(first.get_by_role("heading", level=1)).to_have_text("Jane Doe")
    assert [name for name in person.cookies() if name.startswith("__Host-login.")] == []


def test_back_after_signing_in_ends_on_a_page_of_the_app_and_still_signed_in(every_app: App, people: People) -> None:
    person = people(every_app)
    page = person.open()
    page.get_by_role("main").get_by_role("link", name="Login").click()
    person.fill_in()
    expect(page.get_by_role("heading", level=1)).to_have_text("Hello, Jane Doe!")
    visited = [page.url]
    for _ in range(4):
        page.go_back()
        visited.append(page.url)
        if "/u/login/" not in page.url:
            break

    assert person.path() == "/"
    expect(page.get_by_role("heading", level=1)).to_have_text("Hello, Jane Doe!")
    assert not any("code=" in url for url in visited)


def test_the_callback_asked_for_again_ends_on_a_page_of_the_app(every_app: App, people: People) -> None:
    person = people(every_app)
    person.open("/login?return_to=/profile")
    with person.page.expect_request(re.compile("/callback")) as callback:
        person.fill_in()
    expect(person.page.get_by_role("heading", level=1)).to_have_text("Jane Doe")

    for _ in range(2):
        person.page.goto(callback.value.url)
        expect(person.page.get_by_role("heading", level=1)).to_have_text("Hello, Jane Doe!")
        person.page.reload()
        assert person.path() == "/"


def test_whoever_cancels_gets_a_page_that_says_so_and_may_sign_in_again(app: App, person: Person) -> None:
    page = person.open("/login?return_to=/profile")
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign-in was cancelled")
    assert person.cookies() == {}

    page.get_by_role("link", name="Sign in again").click()
    person.fill_in()
    expect(page.get_by_role("heading", level=1)).to_have_text(re.compile("Hello|Jane"))


def test_whoever_denies_consent_gets_the_same_page(app: App, person: Person, provider: IdentityProvider) -> None:
    client = {"client_id": f"app-{app.origin.rpartition(':')[2]}"}
    provider.knobs.change_clients(client | {"consent": True})
    try:
        page = person.open("/login")
        person.fill_in()
        page.get_by_role("button", name="Cancel").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Sign-in was cancelled")
        page.get_by_role("link", name="Sign in again").click()
        page.get_by_role("button", name="Allow").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Hello, Jane Doe!")
    finally:
        provider.knobs.change_clients(client | {"consent": False})


@pytest.mark.parametrize("how", ["deleted", "changed"])
def test_a_sign_in_that_is_no_longer_known_offers_to_start_again(app: App, person: Person, how: str) -> None:
    page = person.open("/login?return_to=/profile")
    (cookie,) = [cookie for name, cookie in person.cookies().items() if name.startswith("__Host-login.")]
    if how == "deleted":
        person.context.clear_cookies(name=cookie["name"])
    else:
        person.context.add_cookies([cookie | {"value": cookie["value"][:-8] + "AAAAAAAA"}])
    person.fill_in()
    expect(page.get_by_role("heading", level=1)).to_have_text("This sign-in is no longer valid")
    expect(page.get_by_role("main")).to_contain_text("Reference: ")

    page.get_by_role("link", name="Sign in again").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(re.compile("Hello, Jane Doe!"))


def test_a_form_whose_answer_leads_to_the_provider_is_sent(app: App, person: Person) -> None:
    page = person.open("/test/form")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_label("User name")).to_be_visible()
    person.fill_in()
    expect(page.get_by_role("heading", level=1)).to_have_text("Hello, Jane Doe!")


def test_a_person_signs_in_with_the_keyboard_alone(app: App, person: Person) -> None:
    page = person.open()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.get_by_role("main").get_by_role("link", name="Login")).to_be_focused()
    page.keyboard.press("Enter")

    expect(page.get_by_label("User name")).to_be_focused()
    page.keyboard.type("jane@example.com")
    page.keyboard.press("Tab")
    page.keyboard.type("correct-horse")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Hello, Jane Doe!")

    for name in ("Skip to the content", "Home", "Profile", "API call", "Logout"):
        page.keyboard.press("Tab")
        expect(page.get_by_role("link", name=name, exact=True).first).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Welcome!")
