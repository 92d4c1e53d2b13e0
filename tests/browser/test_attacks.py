"""What a hostile page can do to somebody who is signed in, from another site and from another port of the host."""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Request, expect

from tests.browser.application import App
from tests.browser.person import Person
from tests.browser.site import Site
from tests.integration.identity.browser import Browser as Visitor
from tests.servers.identity import IdentityProvider

People = Callable[..., Person]
SESSION = "__Host-session"
# Another site; and the same one as far as SameSite goes, since a site has no port.
FROM = pytest.mark.parametrize("host", ["evil.example.test", "localhost"])


@pytest.fixture
def victim(app: App, people: People) -> Iterator[Person]:
    """Somebody who is signed in. Hostile pages make their browser complain, which is as it should be."""
    person = people(app)
    person.sign_in("/profile")
    yield person
    person.complaints.clear()


@FROM
@pytest.mark.parametrize("path", ["/", "/profile", "/login", "/nowhere", "/callback?code=x&state=y"])
def test_no_page_shows_in_a_frame(victim: Person, elsewhere: Site, host: str, path: str) -> None:
    page = victim.visit(elsewhere, host, f'<iframe src="{victim.app.origin}{path}"></iframe>')
    (frame,) = page.main_frame.child_frames

    frame.wait_for_url("chrome-error://chromewebdata/", timeout=10_000)


def test_no_page_shows_in_a_frame_of_the_app_itself(app: App, victim: Person) -> None:
    page = victim.open()
    with page.expect_console_message(lambda message: "frame-ancestors" in message.text or "X-Frame" in message.text):
        page.evaluate("document.body.append(Object.assign(document.createElement('iframe'), {src: '/profile'}))")


@FROM
def test_who_opens_the_app_in_a_window_has_no_hold_of_it(victim: Person, elsewhere: Site, host: str) -> None:
    page = victim.visit(elsewhere, host, "<button>open</button>")
    with page.expect_popup() as opened:
        page.evaluate("url => { window.held = window.open(url, 'named') }", f"{victim.app.origin}/profile")
    opened.value.wait_for_load_state()
    expect(opened.value.get_by_role("heading", level=1)).to_have_text("Jane Doe")

    # As if the window had been closed: no location to change, no message to send, no frames to count.
    assert page.evaluate("window.held.closed") is True
    assert opened.value.evaluate("[window.opener, window.name]") == [None, ""]


@FROM
def test_nothing_of_a_page_can_be_read_from_elsewhere(victim: Person, elsewhere: Site, host: str) -> None:
    page = victim.visit(elsewhere, host, "")
    outcomes = page.evaluate(
        """async url => {
            const load = (name, attribute) => new Promise(done => {
                const element = document.createElement(name);
                element.onload = () => done("loaded");
                element.onerror = () => done("stopped");
                if (name === "link") element.rel = "stylesheet";
                element[attribute] = url;
                document.body.append(element);
            });
            const get = options => fetch(url, {credentials: "include", ...options})
                .then(answer => answer.text()).then(text => text.includes("Jane") ? "read" : "empty", () => "stopped");
            return {
                cors: await get({}),
                nocors: await get({mode: "no-cors"}),
                image: await load("img", "src"),
                script: await load("script", "src"),
                style: await load("link", "href"),
            };
        }""",
        f"{victim.app.origin}/profile",
    )
    assert outcomes == dict.fromkeys(("cors", "nocors", "image", "script", "style"), "stopped")


def test_a_picture_that_is_the_logout_ends_no_session_from_another_site(victim: Person, elsewhere: Site) -> None:
    logout = f"{victim.app.origin}/logout"
    page = victim.visit(
        elsewhere,
        "evil.example.test",
        f'<link rel="prefetch" href="{logout}"><img src="{logout}"><iframe src="{logout}"></iframe>'
        f'<form method="post" action="{logout}"></form>',
    )
    page.wait_for_load_state("networkidle")

    assert victim.is_signed_in()
    with page.expect_navigation():
        page.evaluate("document.forms[0].submit()")
    assert victim.is_signed_in()


@pytest.mark.parametrize("element", ["img", "link", "iframe"])
def test_a_picture_that_is_the_logout_ends_no_session_from_the_apps_own_pages_either(
    victim: Person, elsewhere: Site, element: str
) -> None:
    # In a text that somebody wrote there, or by a script that fetches links in advance; or on another port.
    for page in (victim.visit(elsewhere, "localhost", ""), victim.open("/")):
        page.evaluate(
            """([name, url]) => new Promise(done => {
                const element = document.createElement(name);
                element.onload = element.onerror = done;
                element.rel = "prefetch";
                element.src = element.href = url;
                document.body.append(element);
            })""",
            [element, f"{victim.app.origin}/logout"],
        )
        assert victim.is_signed_in()


def test_a_logout_that_the_browser_fetches_in_advance_ends_no_session(victim: Person) -> None:
    # So it does with an address that is being typed, too; it says so in the header Sec-Purpose.
    victim.open("/test/speculation")
    victim.app.server.wait_for('"path":"/logout"')

    assert victim.is_signed_in()


def test_a_link_to_the_logout_on_another_site_does_sign_out(victim: Person, elsewhere: Site) -> None:
    # It is a visit, as the guide has it; what it costs is another sign-in.
    page = victim.visit(elsewhere, "evil.example.test", f'<a href="{victim.app.origin}/logout">Go</a>')
    page.get_by_role("link", name="Go").click()

    expect(page.get_by_role("heading", level=1)).to_have_text("Welcome!")
    assert not victim.is_signed_in()


def test_a_callback_that_the_attacker_began_signs_nobody_in(
    app: App, people: People, elsewhere: Site, provider: IdentityProvider
) -> None:
    with provider.client() as http, Visitor(provider.issuer, str(provider.ca.path)) as attacker:
        begun = http.get(f"{app.origin}/login").headers["location"]
        callback = attacker.sign_in(begun, "john@example.com", "battery-staple")
    assert callback.startswith(f"{app.origin}/callback?code=")

    victim = people(app)
    page = victim.visit(elsewhere, "evil.example.test", f'<a href="{callback}">A present</a>')
    page.get_by_role("link", name="A present").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("This sign-in is no longer valid")
    assert victim.cookies() == {}
    victim.open()
    expect(victim.page.get_by_role("heading", level=1)).to_have_text("Welcome!")


@FROM
def test_logins_that_others_begin_do_not_push_out_the_one_in_progress(
    app: App, people: People, elsewhere: Site, host: str
) -> None:
    victim = people(app)
    victim.open("/login?return_to=/profile")
    page = victim.visit(elsewhere, host, "")
    page.evaluate(
        """async url => {
            for (let n = 0; n < 8; n++) {
                await new Promise(done => {
                    const image = new Image();
                    image.onload = image.onerror = done;
                    image.src = url + n;
                });
            }
        }""",
        f"{app.origin}/login?n=",
    )
    victim.complaints.clear()

    victim.fill_in()
    expect(victim.page.get_by_role("heading", level=1)).to_have_text("Jane Doe")


def test_neither_code_nor_address_leaves_the_app_in_a_referrer(
    app: App, people: People, elsewhere: Site, provider: IdentityProvider
) -> None:
    person = people(app)
    requests: list[Request] = []

    def keep(request: Request) -> None:
        requests.append(request)

    person.context.on("request", keep)
    person.open("/test/form?secret=1")
    person.page.get_by_role("button", name="Sign in").click()
    person.context.clear_cookies(name=next(iter(person.cookies())))
    person.fill_in()
    # The error page stands at the callback's address, code and all.
    expect(person.page.get_by_role("heading", level=1)).to_have_text("This sign-in is no longer valid")
    assert "code=" in person.page.url
    person.page.get_by_role("link", name="Sign in again").click()
    expect(person.page.get_by_role("heading", level=1)).to_have_text("Hello, Jane Doe!")
    person.open(f"/test/picture?secret=2&src={elsewhere.at('evil.example.test')}/picture.svg")
    person.page.get_by_role("img").last.evaluate("image => image.decode()")
    person.page.evaluate("url => { location.href = url }", elsewhere.at("evil.example.test") + "/picture.svg?visit")
    person.page.wait_for_url("**/picture.svg?visit")

    outside = [request.all_headers().get("referer") for request in requests if not request.url.startswith(app.origin)]
    assert len(outside) > 6
    assert not [referer for referer in outside if referer and app.origin in referer]
    assert [headers.get("Referer") for path, headers in elsewhere.requests if "picture.svg" in path] == [None, None]
