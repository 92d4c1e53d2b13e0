"""Every page is plain, accessible HTML that says what it is, and nothing on it runs or comes from elsewhere."""

import html
import re
from collections.abc import Callable
from html.parser import HTMLParser
from urllib.parse import quote

import httpx
import pytest

from tests.integration.identity.browser import Browser
from tests.integration.identity.protocol import CALLBACK, RelyingParty
from tests.servers.identity import CONFIGURATION, IdentityProvider

NOTE = "For demonstrations only."
HOME = quote("https://localhost:8443/")
ASKING = CONFIGURATION["clients"][1]
Open = Callable[[RelyingParty, Browser], httpx.Response]


def sign_in(party: RelyingParty, browser: Browser) -> httpx.Response:
    return browser.open(party.authorize())


def sign_in_with_everything(party: RelyingParty, browser: Browser) -> httpx.Response:
    return browser.open(party.authorize(organization="acme", screen_hint="signup", login_hint="<b>&\"'"))


def wrong_password(party: RelyingParty, browser: Browser) -> httpx.Response:
    return browser.submit(sign_in(party, browser), username="<i>", password="wrong")


def consent(party: RelyingParty, browser: Browser) -> httpx.Response:
    asking = RelyingParty(party.provider, ASKING["client_id"], ASKING["client_secret"])
    page = browser.open(asking.authorize())
    return browser.submit(page, username="søren@example.com", password="smørrebrød")


def expired(party: RelyingParty, browser: Browser) -> httpx.Response:
    return browser.open("/u/login/long-gone")


def wrong_request(party: RelyingParty, browser: Browser) -> httpx.Response:
    return browser.open(party.authorize(redirect_uri='https://evil.example/"><script>'))


def unknown_client(party: RelyingParty, browser: Browser) -> httpx.Response:
    return browser.open(party.authorize(client_id="<script>alert(1)</script>"))


def nowhere(party: RelyingParty, browser: Browser) -> httpx.Response:
    return browser.open("/<script>")


def signed_out(party: RelyingParty, browser: Browser) -> httpx.Response:
    return browser.open("/v2/logout")


def refused_logout(party: RelyingParty, browser: Browser) -> httpx.Response:
    return browser.open("/v2/logout?client_id=local-client&returnTo=https://evil.example/")


def sign_out(party: RelyingParty, browser: Browser) -> httpx.Response:
    party.sign_in(browser)
    return browser.open(f"/oidc/logout?client_id=local-client&post_logout_redirect_uri={HOME}")


def library_form(party: RelyingParty, browser: Browser) -> httpx.Response:
    return browser.open(f"/oidc/logout?client_id=local-client&post_logout_redirect_uri={HOME}")


def form_post(party: RelyingParty, browser: Browser) -> httpx.Response:
    party.sign_in(browser)
    return browser.open(party.authorize(response_mode="form_post", state="\"'><script>"))


def signed_out_by_the_library(party: RelyingParty, browser: Browser) -> httpx.Response:
    return browser.open("/oidc/logout/success")


PAGES: dict[Open, int] = {
    sign_in: 200,
    sign_in_with_everything: 200,
    wrong_password: 400,
    consent: 200,
    expired: 400,
    wrong_request: 400,
    unknown_client: 400,
    nowhere: 404,
    signed_out: 200,
    refused_logout: 400,
    sign_out: 200,
    library_form: 200,
    form_post: 200,
    signed_out_by_the_library: 200,
}


class Outline(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def of(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.tags if tag == name]


@pytest.fixture(params=PAGES, ids=lambda page: page.__name__)
def page(request: pytest.FixtureRequest, provider: IdentityProvider, browser: Browser) -> httpx.Response:
    response: httpx.Response = request.param(RelyingParty(provider), browser)
    assert response.status_code == PAGES[request.param]
    return response


def test_it_says_that_it_is_for_demonstrations_and_must_not_be_exposed(page: httpx.Response) -> None:
    assert NOTE in page.text
    assert "Never expose it to a network." in page.text


def test_it_has_a_language_a_title_a_viewport_and_one_heading(page: httpx.Response) -> None:
    outline = Outline(page.text)

    assert page.text.startswith("<!doctype html>")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert [attributes["lang"] for attributes in outline.of("html")] == ["en"]
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in outline.of("meta")
    heading = re.findall(r"<h1>(.+?)</h1>", page.text)
    assert len(heading) == 1
    assert re.findall(r"<title>(.+?)</title>", page.text) == [f"{heading[0]} – local identity provider"]
    assert len(outline.of("main")) == 1


def test_every_field_has_a_label_and_every_button_a_text(page: httpx.Response) -> None:
    outline = Outline(page.text)
    labels = [attributes["for"] for attributes in outline.of("label")]
    fields = [attributes for attributes in outline.of("input") if attributes.get("type") != "hidden"]

    assert [attributes["id"] for attributes in fields] == labels
    described = {attributes["aria-describedby"] for attributes in fields if "aria-describedby" in attributes}
    identifiers = [attributes["id"] for _, attributes in outline.tags if "id" in attributes]
    assert described <= set(identifiers)
    assert len(identifiers) == len(set(identifiers))
    assert all(text.strip() for text in re.findall(r"<button[^>]*>(.*?)</button>", page.text, re.DOTALL))


def test_nothing_runs_on_it_and_nothing_comes_from_elsewhere(page: httpx.Response) -> None:
    outline = Outline(page.text)

    assert not [
        tag for tag, _ in outline.tags if tag in {"script", "style", "iframe", "object", "base", "img", "b", "i"}
    ]
    assert not [
        name for _, attributes in outline.tags for name in attributes if name.startswith("on") or name == "style"
    ]
    assert {attributes["href"] for attributes in outline.of("link")} == {"/public/icon.svg", "/public/style.css"}


def test_its_headers_allow_what_it_needs_and_no_more(page: httpx.Response) -> None:
    policy = dict(part.strip().split(" ", 1) for part in page.headers["content-security-policy"].split(";"))
    targets = policy.pop("form-action")

    assert policy == {
        "default-src": "'none'",
        "style-src": "'self'",
        "img-src": "'self'",
        "base-uri": "'none'",
        "frame-ancestors": "'none'",
    }
    own = f"{page.url.scheme}://{page.url.netloc.decode()}"
    assert set(targets.split()) <= {"'self'", own, "https://localhost:8443"}
    assert page.headers["cache-control"] == "no-store"
    assert page.headers["x-content-type-options"] == "nosniff"
    assert page.headers["x-frame-options"] == "DENY"
    assert page.headers["referrer-policy"] == "no-referrer"
    # It would hold for every port of localhost.
    assert "strict-transport-security" not in page.headers
    assert "x-powered-by" not in page.headers
    assert "server" not in page.headers


def test_the_forms_may_redirect_to_the_client_and_nowhere_else(provider: IdentityProvider, browser: Browser) -> None:
    party = RelyingParty(provider)
    address = "https://127.0.0.1:1234/callback"
    provider.knobs.change_clients({"client_id": "local-client", "redirect_uris": [CALLBACK, address]})
    page = browser.open(party.authorize(redirect_uri=address))
    provider.knobs.change_clients(CONFIGURATION["clients"][0])

    assert "form-action 'self' https://127.0.0.1:1234;" in page.headers["content-security-policy"]


def test_text_of_others_is_shown_as_text(provider: IdentityProvider, browser: Browser) -> None:
    party = RelyingParty(provider)
    user = next(user for user in CONFIGURATION["users"] if user["username"] == "søren@example.com")

    assert "&lt;i&gt;" in wrong_password(party, browser).text
    page = consent(party, browser)
    assert user["name"] in html.unescape(page.text)
    assert user["name"] not in page.text


def test_the_fields_tell_browsers_what_they_are(provider: IdentityProvider, browser: Browser) -> None:
    fields = Outline(sign_in(RelyingParty(provider), browser).text).of("input")

    assert [(field["name"], field["type"], field["autocomplete"]) for field in fields] == [
        ("username", "text", "username"),
        ("password", "password", "current-password"),
    ]
    assert "autofocus" in fields[0]


def test_a_wrong_password_is_announced_and_never_echoed(provider: IdentityProvider, browser: Browser) -> None:
    page = browser.submit(sign_in(RelyingParty(provider), browser), username="jane@example.com", password="Secret-1")

    assert 'role="alert">Wrong user name or password.' in page.text
    assert "Secret-1" not in page.text
    assert all(field["aria-invalid"] == "true" for field in Outline(page.text).of("input"))


def test_programs_get_errors_as_json(provider: IdentityProvider) -> None:
    with provider.client(headers={"accept": "application/json"}) as http:
        assert http.get("/nowhere").json()["error"] == "not_found"
        assert http.post("/oauth/token").json()["error"] == "invalid_request"
        assert http.put("/authorize").status_code in {404, 405}


def test_the_files_of_the_pages_are_served(provider: IdentityProvider) -> None:
    with provider.client() as http:
        style, icon = http.get("/public/style.css"), http.get("/public/icon.svg")
        for path in (
            "/public/",
            "/public/../server.mjs",
            "/public/%2e%2e/identity.json",
            "/identity.json",
            "/lib/pages.mjs",
        ):
            assert http.get(path).status_code == 404

    assert style.headers["content-type"] == "text/css; charset=utf-8"
    assert "prefers-color-scheme: dark" in style.text
    assert ":focus-visible" in style.text
    assert icon.headers["content-type"] == "image/svg+xml"


def test_a_picture_is_an_image_that_the_app_may_show(provider: IdentityProvider) -> None:
    with provider.client() as http:
        picture = http.get("/picture/jane.svg")
        assert http.get("/picture/long.svg").status_code == 404
        assert http.get("/picture/%zz.svg").status_code == 404
        assert http.get("/picture/nobody.svg").status_code == 404

    assert picture.headers["content-type"] == "image/svg+xml"
    assert picture.headers["cross-origin-resource-policy"] == "cross-origin"
    assert picture.headers["content-security-policy"] == "default-src 'none'; sandbox"
    assert ">JD</text>" in picture.text


def test_health_is_a_get_that_keeps_nothing(provider: IdentityProvider) -> None:
    with provider.client() as http:
        answer = http.get("/healthz")
        assert http.head("/healthz").status_code == 200

    assert answer.json() == {"status": "ok"}
    assert not answer.cookies
