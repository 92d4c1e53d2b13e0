"""After the logout nothing of the person is to be seen: not with Back, which Chromium answers from memory."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass

import pytest
from playwright.sync_api import Browser, CDPSession, Error, Page, expect

from tests.browser.application import App
from tests.browser.person import Person
from tests.servers.chromium import Chromium

People = Callable[..., Person]


@pytest.fixture(scope="module")
def remembering(chrome: Chromium) -> Iterator[Browser]:
    """A browser as people have it: Playwright would turn the back/forward cache off."""
    running = chrome.browser(without=["--disable-back-forward-cache"])
    yield running
    running.close()


# Unknown from when the page is left until it shows again.
_REMEMBER = """
    addEventListener("pagehide", () => { window.fromMemory = undefined });
    addEventListener("pageshow", event => { window.fromMemory = event.persisted });
"""

_SHOWN = "[window.fromMemory, document.body ? document.body.innerText : '']"


@dataclass(frozen=True)
class Shown:
    """What is to be seen."""

    text: str
    from_memory: bool


class History:
    """Back, by the browser's own history: Playwright does not notice a page that comes from memory."""

    def __init__(self, page: Page) -> None:
        page.add_init_script(_REMEMBER)
        self._session: CDPSession = page.context.new_cdp_session(page)

    def back(self, steps: int = 1) -> Shown:
        """Go back, and wait until something shows."""
        history = self._session.send("Page.getNavigationHistory")
        wanted = history["currentIndex"] - steps
        self._session.send("Page.navigateToHistoryEntry", {"entryId": history["entries"][wanted]["id"]})
        while True:
            # While one page gives way to another there is none to ask.
            with suppress(Error):
                arrived = self._session.send("Page.getNavigationHistory")["currentIndex"] == wanted
                found = self._session.send("Runtime.evaluate", {"expression": _SHOWN, "returnByValue": True})
                from_memory, text = found["result"]["value"]
                if arrived and from_memory is not None:
                    return Shown(text, from_memory)


def test_the_browser_does_keep_pages_in_memory(each_app: App, people: People, remembering: Browser) -> None:
    person = people(each_app, remembering)
    history = History(person.page)
    person.sign_in("/profile")
    person.open("/test/keep")

    shown = history.back()
    assert shown.from_memory
    assert "Jane Doe" in shown.text


@pytest.mark.parametrize("landing", ["/profile", "/"])
def test_back_after_the_logout_shows_nothing_of_the_person(
    every_app: App, people: People, remembering: Browser, landing: str
) -> None:
    person = people(every_app, remembering)
    history = History(person.page)
    # Straight from the sign-in: then Chromium does not count the logout's cookie as a change.
    person.sign_in(landing)
    person.page.get_by_role("link", name="Logout").click()
    expect(person.page.get_by_role("heading", level=1)).to_have_text("Welcome!")

    shown = history.back()
    assert not shown.from_memory
    assert "Jane" not in shown.text


def test_back_by_two_pages_after_the_logout_shows_nothing_of_the_person(
    each_app: App, people: People, remembering: Browser
) -> None:
    person = people(each_app, remembering)
    history = History(person.page)
    person.sign_in("/profile")
    person.open("/api-call")
    person.page.get_by_role("link", name="Logout").click()
    expect(person.page.get_by_role("heading", level=1)).to_have_text("Welcome!")

    shown = history.back(2)
    assert not shown.from_memory
    assert "Jane" not in shown.text


def test_a_page_in_another_tab_is_not_brought_back_either(each_app: App, people: People, remembering: Browser) -> None:
    person = people(each_app, remembering)
    person.sign_in("/profile")
    other = person.tab()
    history = History(other)
    person.open("/profile", other)
    person.open("/nowhere", other)
    person.page.get_by_role("link", name="Logout").click()
    expect(person.page.get_by_role("heading", level=1)).to_have_text("Welcome!")

    shown = history.back()
    assert not shown.from_memory
    assert "Jane" not in shown.text


def test_nothing_is_left_of_cookies_and_of_what_scripts_may_keep(app: App, person: Person) -> None:
    person.sign_in("/profile")
    person.page.evaluate("localStorage.setItem('draft', 'personal')")
    person.page.get_by_role("link", name="Logout").click()
    expect(person.page.get_by_role("heading", level=1)).to_have_text("Welcome!")

    assert person.page.evaluate("localStorage.length") == 0
    assert person.cookies() == {}
