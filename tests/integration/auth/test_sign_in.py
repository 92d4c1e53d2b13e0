"""The way in and out: every route, for every kind of user, with both kinds of session."""

import html
import re
from urllib.parse import quote, urlsplit

import httpx
import pytest

from tests.integration.browser import AppBrowser, heading_of, lines
from tests.integration.conftest import MakeApp, MakeBrowser
from tests.integration.identity.browser import location, query
from tests.servers.app import CALLBACK, ORIGIN, ServedApp
from tests.servers.identity import CLIENT, CONFIGURATION

USERS = {user["username"]: user for user in CONFIGURATION["users"]}
JANE = USERS["jane@example.com"]


def test_a_person_signs_in_sees_the_profile_calls_an_api_and_signs_out(browser: AppBrowser) -> None:
    anonymous = browser.get("/")
    assert heading_of(anonymous) == "Welcome!"
    assert 'href="/login"' in anonymous.text

    home = browser.sign_in_as()
    assert home.url == f"{ORIGIN}/"
    assert "Hello, Jane Doe!" in home.text

    profile = browser.get("/profile")
    assert heading_of(profile) == "Jane Doe"
    assert "Email: jane@example.com" in profile.text
    assert f'src="{browser.app.provider.issuer}picture/jane.svg"' in profile.text
    assert JANE["user_id"] in html.unescape(profile.text)
    assert "https://example.com/roles" in profile.text
    assert '["reader", "editor"]' in html.unescape(profile.text)

    answer = browser.get("/api-call")
    assert "answered <strong>200</strong>" in answer.text
    assert JANE["user_id"] in html.unescape(answer.text)

    left = browser.visit("/logout")
    assert left.url.copy_with(raw_path=b"/") == f"{ORIGIN}/"
    assert heading_of(left) == "Welcome!"
    assert location(browser.get("/profile")).startswith("/login")


def test_who_is_not_signed_in_comes_back_to_the_page_that_was_asked_for(browser: AppBrowser) -> None:
    guarded = browser.get("/guarded/page?tab=2&x=%C3%A4")
    assert guarded.status_code == 303
    end = browser.visit(browser.callback(location(guarded)))
    assert (end.url.raw_path, end.text) == (b"/guarded/page?tab=2&x=%C3%A4", "for who is signed in")


@pytest.mark.parametrize("path", ["/profile", "/api-call", "/guarded/page", "/guarded/plain"])
def test_a_guarded_page_shows_a_stranger_nothing(browser: AppBrowser, path: str) -> None:
    answer = browser.get(path)
    assert (answer.status_code, location(answer)) == (303, f"/login?return_to={quote(path)}")
    assert "signed in" not in answer.text
    head = browser.request("HEAD", path)
    assert (head.status_code, head.headers["location"]) == (303, answer.headers["location"])


def test_a_form_that_a_stranger_sends_is_not_taken_and_not_repeated_after_login(browser: AppBrowser) -> None:
    answer = browser.request("POST", "/guarded/form", data={"a": "b"})
    assert (answer.status_code, location(answer)) == (303, "/login")
    browser.sign_in_as()
    assert browser.request("POST", "/guarded/form", data={"a": "b"}).text == "taken"


@pytest.mark.parametrize(
    "return_to",
    [
        "//evil.example",
        "///evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "/\t/evil.example",
        "/\n/evil.example",
        "\t//evil.example",
        "javascript:alert(1)",
        "https://evil.example/",
        "https:evil.example",
        "evil.example",
        "",
        "/\r\nSet-Cookie: planted=1",
        "/\x00",
        "/" + "a" * 2048,
    ],
)
def test_login_leads_to_no_address_that_a_stranger_chose(browser: AppBrowser, return_to: str) -> None:
    answer = browser.get(browser.callback(f"/login?return_to={quote(return_to, safe='')}"))
    assert location(answer) == "/"
    assert "planted" not in str(answer.headers)


@pytest.mark.parametrize(
    ("state", "leads_to"),
    [
        ("", "/"),
        ("?cart=1", "/"),
        ("?return_to=/profile?x=1", "/profile?x=1"),
        ("?return_to=//evil.example/", "/"),
        ("?return_to=https://evil.example/", "/"),
    ],
)
def test_a_login_that_a_page_begins_with_a_state_of_its_own_leads_into_the_app(
    browser: AppBrowser, state: str, leads_to: str
) -> None:
    assert location(browser.get(browser.callback(f"/tests/own-login{state}"))) == leads_to


def test_only_allowed_parameters_of_a_login_link_reach_the_provider(browser: AppBrowser) -> None:
    allowed = {"screen_hint": "signup", "login_hint": "a@b.example", "connection": "c", "ui_locales": "de fr"}
    ignored = {"prompt": "none", "max_age": "0", "acr_values": "x", "foo": "bar"}
    attempts = {"scope": "openid admin", "redirect_uri": "https://evil.example/", "response_type": "token"}
    attempts |= {"state": "mine", "client_id": "mine", "audience": "mine", "nonce": "mine", "response_mode": "fragment"}
    attempts |= {"code_challenge": "mine", "code_challenge_method": "plain", "request": "mine", "request_uri": "mine"}
    sent = query(location(browser.get("/login", params=allowed | ignored | attempts)))

    assert {name: sent.get(name) for name in allowed} == allowed
    assert set(sent) - set(allowed) == {
        *("client_id", "code_challenge", "code_challenge_method", "nonce", "redirect_uri", "response_type", "scope"),
        "state",
    }
    assert sent["redirect_uri"] == CALLBACK
    assert sent["scope"] == "openid profile email"
    assert sent["code_challenge_method"] == "S256"
    assert "mine" not in sent.values()


def test_a_parameter_of_a_login_link_that_is_blank_or_huge_is_left_out(browser: AppBrowser) -> None:
    link = {"organization": "  ", "invitation": "", "connection": " ", "login_hint": "a" * 513}
    kept = {"screen_hint": "a\r\nb", "ui_locales": "a" * 512}
    answer = browser.get("/login", params=link | kept)
    assert "connection=" not in location(answer)
    sent = query(location(answer))
    assert not set(sent) & set(link)
    assert sent.items() >= kept.items()


def test_a_member_signs_in_to_an_organization(browser: AppBrowser) -> None:
    browser.sign_in_as("olga@acme.example", "anvil-delivery", login="/login?organization=org_aCmE0000000001")
    assert browser.user is not None
    assert browser.user["org_id"] == "org_aCmE0000000001"


def test_an_invited_person_signs_in_to_an_organization(browser: AppBrowser) -> None:
    link = "/login?organization=org_aCmE0000000001&invitation=invitation-for-john"
    browser.sign_in_as("john@example.com", "battery-staple", login=link)
    assert browser.user is not None
    assert browser.user["org_id"] == "org_aCmE0000000001"


@pytest.mark.parametrize("username", ["jane@example.com", "john@example.com", "søren@example.com", "long@example.com"])
def test_every_name_is_shown_as_it_is(browser: AppBrowser, username: str) -> None:
    user = USERS[username]
    home = browser.sign_in_as(username, user["password"])
    profile = browser.get("/profile")
    assert f"Hello, {user['name']}!" in html.unescape(home.text)
    assert heading_of(profile) == user["name"]
    assert browser.user is not None
    assert browser.user["name"] == user["name"]
    assert ("Picture of" in profile.text) == ("picture" in user)


def test_markup_in_a_claim_is_text(browser: AppBrowser) -> None:
    browser.sign_in_as("søren@example.com", USERS["søren@example.com"]["password"])
    for path in ("/", "/profile", "/api-call"):
        page = browser.get(path).text
        assert "<b>" not in page
        assert "&lt;b&gt;" in page or path == "/api-call"


def test_without_profile_and_email_the_pages_show_what_there_is(make_app: MakeApp, new_browser: MakeBrowser) -> None:
    browser = new_browser(make_app(AUTH0_SCOPE="openid"))
    home = browser.sign_in_as()
    assert f"Hello, {JANE['user_id']}!" in html.unescape(home.text)
    assert "Email" not in browser.get("/profile").text


def test_the_scope_and_the_audience_of_the_settings_are_asked_for(make_app: MakeApp, new_browser: MakeBrowser) -> None:
    audience = CONFIGURATION["apis"][0]["audience"]
    app = make_app(AUTH0_SCOPE="openid email read:messages", AUTH0_AUDIENCE=audience)
    browser = new_browser(app)
    sent = query(location(browser.get("/login")))
    assert (sent["scope"], sent["audience"]) == ("openid email read:messages", audience)
    browser.sign_in_as()
    token = browser.get("/tests/token").json()["token"]
    browser.secrets.add(token)
    assert token.count(".") == 2
    assert "answered <strong>200</strong>" in browser.get("/api-call").text


def test_logout_ends_the_session_here_and_at_the_provider_and_clears_the_site(browser: AppBrowser) -> None:
    browser.sign_in_as()
    answer = browser.get("/logout")
    url = urlsplit(location(answer))
    assert f"{url.scheme}://{url.netloc}/" == browser.app.provider.issuer
    assert url.path == "/v2/logout"
    assert query(location(answer)) == {"client_id": CLIENT["client_id"], "returnTo": ORIGIN}
    assert answer.headers["clear-site-data"] == '"cache", "storage"'
    assert set(browser.cookies) == {"__Host-signed-out"}
    assert browser.user is None
    # What the next page loads first says it again (app/web/forget.py).
    style = browser.get("/static/style.css", headers={"Sec-Fetch-Mode": "no-cors"})
    assert style.headers["clear-site-data"] == '"cache"'
    assert browser.cookies == {}
    # Once: what is kept from then on stays.
    style = browser.get("/static/style.css", headers={"Sec-Fetch-Mode": "no-cors"})
    assert "clear-site-data" not in style.headers

    browser.follow(answer)
    page = browser.open(location(browser.get("/login")))
    assert page.is_success, "the provider asks for the password again"
    assert 'name="password"' in page.text


def test_logout_of_somebody_who_is_not_signed_in_is_no_error_and_ends_nothing(browser: AppBrowser) -> None:
    answer = browser.get("/logout")
    assert heading_of(browser.follow(answer)) == "Welcome!"
    browser.line_of(answer)
    ended = {line["request_id"] for line in lines(browser.app.log, "session_expired")}
    assert answer.headers["x-request-id"] not in ended


def test_the_provider_alone_knows_the_password_and_the_browser_alone_the_session(browser: AppBrowser) -> None:
    browser.sign_in_as()
    assert set(browser.cookies) <= {f"__Host-session{part}" for part in ("", ".1", ".2", ".used")}
    for value in browser.cookies.values():
        assert re.fullmatch(r"[\w-]+", value)


def test_one_request_is_one_line_with_neither_query_nor_user(browser: AppBrowser) -> None:
    browser.sign_in_as()
    answer = browser.get("/guarded/page?marked-query=1")
    line = browser.line_of(answer)
    assert {name: line[name] for name in ("level", "method", "path", "status", "client")} == {
        "level": "info",
        "method": "GET",
        "path": "/guarded/page",
        "status": 200,
        "client": "127.0.0.1",
    }
    assert "marked-query" not in browser.app.log
    assert not [claim for claim in (JANE["email"], JANE["name"], JANE["user_id"]) if claim in browser.app.log]


def test_both_workers_share_a_session_and_a_login(served: ServedApp, new_browser: MakeBrowser) -> None:
    browser = new_browser(served)
    browser.sign_in_as()
    # A connection a request: either worker accepts it.
    names = set()
    for _ in range(12):
        with_cookies = {"cookie": "; ".join(f"{name}={value}" for name, value in browser.cookies.items())}
        answer = httpx.get(
            f"https://localhost:{served.server.port}/tests/user", headers=with_cookies, verify=browser.trust
        )
        names.add(answer.json()["user"]["name"])
    assert names == {"Jane Doe"}
