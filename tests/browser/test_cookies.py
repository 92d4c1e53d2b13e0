"""What the browser keeps: attributes of cookies, sessions that are large, outlive the browser, are planted."""

from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import BrowserContext, expect

from tests.browser.application import App
from tests.browser.person import Person
from tests.servers.chromium import Chromium

People = Callable[..., Person]
SESSION = "__Host-session"


def test_every_cookie_is_secure_host_only_and_out_of_scripts_reach_and_there_is_no_other(
    each_app: App, people: People
) -> None:
    person = people(each_app)
    person.open()
    assert person.cookies() == {}

    person.open("/login")
    (transaction,) = person.cookies().values()
    assert transaction["name"].startswith("__Host-login.")
    person.fill_in()
    expect(person.page.get_by_role("heading", level=1)).to_have_text("Hello, Jane Doe!")
    assert set(person.cookies()) <= {SESSION, f"{SESSION}.used"}
    session = person.cookies()[SESSION]

    for cookie in (transaction, *person.cookies().values()):
        assert {name: cookie[name] for name in ("domain", "path", "secure", "httpOnly", "sameSite")} == {
            # Without a dot before it: for this host alone.
            "domain": "localhost",
            "path": "/",
            "secure": True,
            "httpOnly": True,
            "sameSite": "Lax",
        }
    assert person.page.evaluate("document.cookie") == ""
    assert 0 < transaction["expires"] - session["expires"] + 86_400 < 700


def test_a_session_too_large_for_one_cookie_survives_grows_and_shrinks(app: App, person: Person) -> None:
    person.sign_in()
    page = person.page

    def keep(size: int) -> str:
        person.open(f"/test/keep?size={size}")
        return page.inner_text("body")

    for size, parts in ((100, 1), (3_000, 2), (8_000, 4), (5_000, 3), (0, 1)):
        kept = keep(size)
        assert kept.startswith(f"{size} ")
        assert set(person.cookies()) == {SESSION, *(f"{SESSION}.{part}" for part in (*range(1, parts), "used"))}
        person.open("/test/keep")
        assert page.inner_text("body") == kept
        person.open("/profile")
        expect(page.get_by_role("heading", level=1)).to_have_text("Jane Doe")

    keep(8_000)
    page.goto(app.origin)
    page.get_by_role("link", name="Logout").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Welcome!")
    assert person.cookies() == {}


def test_a_session_beyond_what_browsers_carry_is_an_error_page_and_the_session_before_stays(
    app: App, person: Person
) -> None:
    person.sign_in()
    before = person.cookies()
    person.open("/test/keep?size=100000")
    expect(person.page.get_by_role("heading", level=1)).to_have_text("Something went wrong")
    person.open("/profile")
    expect(person.page.get_by_role("heading", level=1)).to_have_text("Jane Doe")

    assert person.cookies() == before


def test_a_session_outlives_the_browser_that_it_began_in(
    each_app: App, people: People, chrome: Chromium, tmp_path: Path
) -> None:
    before = people(each_app, chrome.profile(tmp_path))
    before.sign_in("/profile")
    session = before.cookies()[SESSION]
    before.context.close()

    after = people(each_app, chrome.profile(tmp_path))
    assert after.cookies()[SESSION]["value"] == session["value"]
    after.open("/profile")
    expect(after.page.get_by_role("heading", level=1)).to_have_text("Jane Doe")
    # The same one: they were not signed in again by the provider, which knows them too.
    assert after.cookies()[SESSION]["value"] == session["value"]


def test_a_session_planted_before_the_sign_in_is_not_the_session_after_it(each_app: App, people: People) -> None:
    attacker, victim = people(each_app), people(each_app)
    attacker.open("/test/keep?size=64")
    planted = attacker.cookies()[SESSION]
    victim.carry_session_of(attacker)
    victim.open("/test/keep")
    # It is a session all the same: the victim is in the attacker's, and signs in.
    assert victim.page.inner_text("body").startswith("64 ")
    victim.sign_in("/profile")

    assert victim.cookies()[SESSION]["value"] != planted["value"]
    attacker.open("/profile")
    expect(attacker.page.get_by_role("heading", level=1)).to_have_text("Sign in")
    assert attacker.cookies()[SESSION]["value"] == planted["value"]


def test_a_session_of_the_attacker_gives_way_to_the_victims_with_all_that_was_in_it(
    each_app: App, people: People
) -> None:
    attacker, victim = people(each_app), people(each_app)
    attacker.sign_in("/profile", username="john@example.com", password="battery-staple")
    attacker.open("/test/keep?size=64")
    victim.carry_session_of(attacker)
    victim.sign_in("/profile")

    expect(victim.page.get_by_role("heading", level=1)).to_have_text("Jane Doe")
    victim.open("/test/keep")
    assert victim.page.inner_text("body").startswith("0 ")


def test_a_copy_of_the_session_in_redis_is_worth_nothing_after_the_logout(redis_app: App, people: People) -> None:
    person, thief = people(redis_app), people(redis_app)
    person.sign_in("/profile")
    stolen = person.cookies()[SESSION]
    person.page.get_by_role("link", name="Logout").click()
    expect(person.page.get_by_role("heading", level=1)).to_have_text("Welcome!")

    thief.context.add_cookies([stolen])
    thief.open("/profile")
    expect(thief.page.get_by_role("heading", level=1)).to_have_text("Sign in")


def test_signing_in_with_a_cookie_that_was_cut_begins_a_session_anew(each_app: App, people: People) -> None:
    person = people(each_app)
    person.sign_in("/profile")
    context: BrowserContext = person.context
    session = person.cookies()[SESSION]
    context.add_cookies([session | {"value": session["value"][:20]}])
    person.open("/profile")
    # The provider knows them still.
    expect(person.page.get_by_role("heading", level=1)).to_have_text("Jane Doe")
    assert person.cookies()[SESSION]["value"] != session["value"]
