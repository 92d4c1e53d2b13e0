"""Everybody can use every page: axe, keyboard, a phone, large text, light and dark.

Pictures of all of them are left in .local/screenshots.
"""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from scripts.certificates import CA
from tests.browser.application import App
from tests.browser.person import Person
from tests.browser.stops import STOPS, Surroundings
from tests.conftest import ROOT
from tests.servers.chromium import Chromium
from tests.servers.identity import IdentityProvider
from tests.servers.nginx import nginx
from tests.servers.ports import free_ports
from tests.servers.redis import RedisServer

PICTURES = ROOT / ".local" / "screenshots"
WIDTHS = (320, 1280)
SCHEMES = ("light", "dark")
# axe's rules for WCAG 2.2 AA and its good practice; the size of targets is not among them by default.
RULES: dict[str, Any] = {"rules": {"target-size": {"enabled": True}}}


@pytest.fixture(scope="module")
def without_app(ca: CA) -> Iterator[str]:
    """The origin of an nginx behind which nobody listens."""
    (port,) = free_ports(1)
    with nginx(ca.issue(), upstream=f"127.0.0.1:{port}", variables={"NGINX_SERVER_NAMES": "localhost"}) as server:
        yield server.origin


@pytest.fixture(scope="module")
def go(
    cookie_app: App, redis_app: App, redis: RedisServer, running_provider: IdentityProvider, without_app: str
) -> Callable[[Browser, str], Iterator[Page]]:
    """Goes to a stop, and back; nobody's browser may have complained on the way."""

    def go(browser: Browser, name: str) -> Iterator[Page]:
        running_provider.knobs.reset()
        with Person(browser, cookie_app) as person:
            with STOPS[name](Surroundings(person, redis_app, redis, running_provider, without_app)) as page:
                yield page
            assert person.complaints == []

    return go


@pytest.fixture(scope="module", params=STOPS)
def page(
    request: pytest.FixtureRequest, browser: Browser, go: Callable[[Browser, str], Iterator[Page]]
) -> Iterator[Page]:
    """Each stop in turn, for all of the tests of a page."""
    yield from go(browser, request.param)


@pytest.fixture(scope="module")
def large_text(chrome: Chromium) -> Iterator[Browser]:
    """A browser whose owner has set text to twice its size."""
    running = chrome.browser("--blink-settings=defaultFontSize=32,defaultFixedFontSize=26")
    yield running
    running.close()


def picture(page: Page, name: str) -> None:
    """Leave a picture of the page."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=PICTURES / f"{name}.png", full_page=True)


def found_by_axe(page: Page) -> list[str]:
    """Violations, and what axe could not decide."""
    results = Axe().run(page, options=RULES).response
    return [
        f"{rule['id']}: {node['html']} {node['any'][0]['message'] if node['any'] else ''}"
        for kind in ("violations", "incomplete")
        for rule in results[kind]
        for node in rule["nodes"]
    ]


def scrolls_sideways(page: Page) -> list[str]:
    """What is wider than the screen or than what it stands in; a field may hold more than it shows."""
    found: list[str] = page.evaluate(
        """() => [document.documentElement, ...document.querySelectorAll("body *:not(input)")]
            .filter(element => getComputedStyle(element).display !== "inline" && element.clientWidth > 0)
            .filter(element => element.scrollWidth > element.clientWidth + 1)
            .map(element => element.outerHTML.slice(0, 200))"""
    )
    return found


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scheme", SCHEMES)
def test_axe_finds_nothing_and_nothing_is_cut_off(
    page: Page, request: pytest.FixtureRequest, scheme: str, width: int
) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    picture(page, f"{request.node.callspec.params['page']}-{scheme}-{width}")

    assert scrolls_sideways(page) == []
    assert found_by_axe(page) == []


@pytest.mark.parametrize("name", STOPS)
def test_text_of_twice_the_size_is_all_there(
    large_text: Browser, go: Callable[[Browser, str], Iterator[Page]], name: str
) -> None:
    for page in go(large_text, name):
        size = page.get_by_role("heading", level=1).evaluate(
            "heading => parseFloat(getComputedStyle(heading).fontSize)"
        )
        assert size >= 50
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 800})
            picture(page, f"{name}-large-{width}")
            assert scrolls_sideways(page) == []
        assert found_by_axe(page) == []


def test_a_page_has_a_title_a_language_its_landmarks_and_one_first_heading(page: Page) -> None:
    assert page.title().partition(" – ")[0] not in ("", page.title())
    assert page.evaluate("document.documentElement.lang") == "en"
    expect(page.get_by_role("banner")).to_have_count(1)
    expect(page.get_by_role("main")).to_have_count(1)
    expect(page.get_by_role("heading", level=1)).to_have_count(1)
    outside = page.evaluate("[...document.body.children].map(element => element.localName)")
    assert set(outside) <= {"a", "header", "main"}


def test_each_control_is_reached_by_tab_in_the_order_of_the_page_and_shows_it(page: Page) -> None:
    first, controls = page.evaluate(
        """() => {
            const controls = [...document.querySelectorAll("a[href], button, input:not([type=hidden]), [tabindex]")];
            controls.forEach((element, index) => { element.dataset.number = index });
            return [Number(document.activeElement.dataset.number ?? -1), controls.length];
        }"""
    )
    assert controls > 0
    for number in range(max(first, 0), controls):
        # A form may have the focus in its first field from the beginning.
        if number != first:
            page.keyboard.press("Tab")
        focus = page.evaluate(
            """() => {
                const style = getComputedStyle(document.activeElement);
                const box = document.activeElement.getBoundingClientRect();
                return {
                    number: Number(document.activeElement.dataset.number),
                    outline: style.outlineStyle === "none" ? 0 : parseFloat(style.outlineWidth),
                    seen: box.left >= 0 && box.top >= 0 && box.right <= innerWidth && box.bottom <= innerHeight,
                };
            }"""
        )
        assert focus["number"] == number
        assert focus["outline"] >= 2
        assert focus["seen"]


@pytest.mark.parametrize("status", [400, 403, 404, 405, 413, 429, 500, 502, 503, 504])
def test_each_error_has_a_page_with_a_way_out_and_a_reference(app: App, person: Person, status: int) -> None:
    with person.page.expect_response(f"{app.origin}/test/error/{status}") as answer:
        page = person.open(f"/test/error/{status}")

    assert answer.value.status == status
    assert page.get_by_role("main").get_by_role("link").get_attribute("href") == "/"
    assert page.locator("code").inner_text() == answer.value.headers["x-request-id"]
    assert page.title() == f"{page.get_by_role('heading', level=1).inner_text()} – auth0-flask"


def test_the_page_that_one_is_on_is_marked_in_the_navigation(app: App, person: Person) -> None:
    person.sign_in()
    for name in ("Home", "Profile", "API call"):
        person.page.get_by_role("navigation").get_by_role("link", name=name).click()
        assert person.page.locator("[aria-current=page]").all_inner_texts() == [name]


def test_the_claims_are_a_table_on_a_phone_too(app: App, person: Person) -> None:
    person.page.set_viewport_size({"width": 320, "height": 800})
    person.sign_in("/profile")
    # The tree that a screen reader gets, in which a table whose parts are shown as blocks is none by itself.
    tree = person.context.new_cdp_session(person.page).send("Accessibility.getFullAXTree")["nodes"]
    named = {(node["role"]["value"], node.get("name", {}).get("value")) for node in tree if not node["ignored"]}

    assert {("table", "Claims"), ("rowheader", "email"), ("cell", "jane@example.com")} <= named
    assert [node["role"]["value"] for node in tree].count("row") > 5
