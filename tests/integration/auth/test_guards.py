"""What a page may ask of a sign-in: how recent, how strong, with which scopes, claims and organization; and hooks."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from app.auth import MULTI_FACTOR
from tests.integration.browser import AppBrowser, heading_of, lines, until
from tests.integration.conftest import MakeApp, MakeBrowser, with_each_backend
from tests.integration.identity.browser import location, query
from tests.servers.app import ServedApp
from tests.servers.identity import CLIENT, IdentityProvider
from tests.servers.redis import RedisServer

JSON = {"accept": "application/json"}
OLGA = ("olga@acme.example", "anvil-delivery")


def through_the_provider(browser: AppBrowser, answer: httpx.Response, **person: str) -> httpx.Response:
    """The page at which a redirect to the provider ends, the form filled in where there is one."""
    return browser.visit(browser.sign_in(location(answer), **person))


def noted(browser: AppBrowser, answer: httpx.Response, message: str) -> dict[str, Any]:
    """The one line with *message* that the log has of the request."""
    return browser.line_of(answer, message)


def test_an_old_sign_in_is_renewed_and_the_person_comes_back(browser: AppBrowser) -> None:
    knobs = browser.app.provider.knobs
    knobs.clock(-1000)
    # Asked for, so that the ID token says when it was.
    assert heading_of(through_the_provider(browser, browser.get("/tests/recent"))) == "This sign-in is not enough"
    knobs.clock(0)
    browser.http.cookies.clear()
    assert browser.sign_in_as().is_success

    answer = browser.get("/tests/recent?page=2")
    assert query(location(answer))["max_age"] == "300"
    end = through_the_provider(browser, answer)
    assert (end.url.raw_path, end.text) == (b"/tests/recent?page=2", "for who proved it lately")
    assert browser.get("/tests/recent").text == "for who proved it lately"


@pytest.mark.parametrize("page", ["/%5Cevil.example/what%3F?a=%2Fb&c", "/tests/recent?a=\\b%20%C3%A9+"])
def test_coming_back_is_to_the_page_as_it_was_asked_for_and_never_to_another_host(
    browser: AppBrowser, page: str
) -> None:
    callback = browser.sign_in(location(browser.get(page)))
    assert location(browser.get(callback)) == page.replace("\\", "%5C")


def test_a_form_that_needs_a_recent_sign_in_is_not_taken_and_not_sent_to_the_provider(browser: AppBrowser) -> None:
    browser.sign_in_as()
    answer = browser.request("POST", "/tests/recent", data={"a": "b"})
    assert (answer.status_code, query(location(answer))["max_age"]) == (303, "300")
    assert through_the_provider(browser, answer).url.path == "/"


def test_a_stronger_sign_in_is_asked_for_and_leads_back(browser: AppBrowser) -> None:
    browser.sign_in_as()
    answer = browser.get("/tests/strong")
    assert query(location(answer))["acr_values"] == MULTI_FACTOR
    page = browser.open(location(answer))
    assert 'name="password"' in page.text, "the provider asks again"
    end = browser.visit(location(browser.submit(page, username="jane@example.com", password="correct-horse")))
    assert (end.url.path, end.text) == ("/tests/strong", "for who proved it twice")


def test_a_stranger_signs_in_strongly_at_once(browser: AppBrowser) -> None:
    assert through_the_provider(browser, browser.get("/tests/strong")).text == "for who proved it twice"


def test_scopes_that_are_missing_are_asked_for(browser: AppBrowser) -> None:
    browser.sign_in_as()
    answer = browser.get("/tests/scoped/offline_access")
    assert query(location(answer))["scope"].split()[-1] == "offline_access"
    assert through_the_provider(browser, answer).text == "for who may offline_access"


def test_a_provider_that_grants_what_was_asked_for_without_a_word_is_not_asked_again(browser: AppBrowser) -> None:
    """It need not say so (RFC 6749, 5.1)."""
    browser.app.provider.knobs.echo_scope(False)
    browser.sign_in_as()
    answer = browser.get("/tests/scoped/offline_access")
    callback = browser.sign_in(location(answer))
    assert location(browser.get(callback)) == "/tests/scoped/offline_access"
    assert browser.get("/tests/scoped/offline_access").text == "for who may offline_access"


def test_scopes_that_the_provider_does_not_grant_end_in_a_page_and_not_in_a_loop(browser: AppBrowser) -> None:
    browser.sign_in_as()
    answer = browser.get("/tests/scoped/delete:everything")
    page = through_the_provider(browser, answer)
    browser.failed(page, 403, "This sign-in is not enough", "too_weak")
    assert browser.user is not None, "the session that there was goes on"


def test_who_lacks_a_claim_is_told_nothing_and_the_log_what(browser: AppBrowser) -> None:
    browser.sign_in_as()
    assert browser.get("/tests/editors").text == "for editors"
    browser.visit("/logout")
    browser.sign_in_as("john@example.com", "battery-staple")
    answer = browser.get("/tests/editors")
    browser.failed(answer, 403, "No access")
    assert "roles" not in answer.text
    assert "editor" not in answer.text
    assert noted(browser, answer, "access refused")["missing"] == ["claim https://example.com/roles"]


def test_a_stranger_signs_in_to_the_organization_that_a_page_is_for(browser: AppBrowser) -> None:
    answer = browser.get("/tests/acme")
    assert query(location(answer))["organization"] == "acme"
    username, password = OLGA
    assert through_the_provider(browser, answer, username=username, password=password).text == "for Acme"


def test_who_is_signed_in_to_no_or_another_organization_gets_a_403(browser: AppBrowser) -> None:
    browser.sign_in_as()
    answer = browser.get("/tests/acme")
    browser.failed(answer, 403, "No access")
    assert "acme" not in answer.text.lower()
    assert noted(browser, answer, "access refused")["missing"] == ["organization"]


@pytest.mark.parametrize(
    ("path", "challenge"),
    [
        ("/guarded/page", ""),
        ("/tests/strong", f', error="insufficient_user_authentication", acr_values="{MULTI_FACTOR}"'),
        ("/tests/recent", ', error="insufficient_user_authentication", max_age="300"'),
    ],
)
def test_a_program_gets_a_401_with_a_problem_document_and_no_redirect(
    browser: AppBrowser, path: str, challenge: str
) -> None:
    answer = browser.get(path, headers=JSON)
    assert (answer.status_code, answer.headers["content-type"]) == (401, "application/problem+json")
    expected = f'Cookie realm="{browser.app.origin}", form-action="/login"{challenge}'
    assert answer.headers["www-authenticate"] == expected
    problem = answer.json()
    assert {name: problem[name] for name in ("type", "status", "login")} == {
        "type": "about:blank",
        "status": 401,
        "login": "/login",
    }
    assert problem["reference"] == answer.headers["x-request-id"]
    assert browser.cookies == {}
    browser.sign_in_as()
    assert browser.get(path, headers=JSON).status_code == (200 if path == "/guarded/page" else 401)


def test_a_program_that_lacks_a_claim_gets_a_403_that_says_nothing(browser: AppBrowser) -> None:
    browser.sign_in_as("john@example.com", "battery-staple")
    answer = browser.get("/tests/editors", headers=JSON)
    assert (answer.status_code, set(answer.json())) == (403, {"type", "title", "status", "reference"})
    assert "editor" not in answer.text


@pytest.mark.parametrize(
    ("headers", "program"),
    [
        ({"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}, False),
        ({"accept": "*/*"}, False),
        ({"accept": "application/json, text/html;q=0.5"}, True),
        ({"accept": "application/problem+json"}, True),
        ({"accept": "*/*", "sec-fetch-dest": "empty", "sec-fetch-mode": "cors"}, True),
        ({"accept": "*/*", "x-requested-with": "XMLHttpRequest"}, True),
    ],
)
def test_who_is_a_program(browser: AppBrowser, headers: dict[str, str], program: bool) -> None:
    assert browser.get("/guarded/page", headers=headers).status_code == (401 if program else 303)


@pytest.mark.parametrize("headers", [{"sec-fetch-dest": "image"}, {"sec-purpose": "prefetch"}])
def test_a_picture_in_a_text_begins_no_stronger_sign_in(browser: AppBrowser, headers: dict[str, str]) -> None:
    assert browser.get("/tests/strong", headers=headers).status_code == 403
    assert browser.cookies == {}


@pytest.mark.parametrize("headers", [{"sec-fetch-dest": "image"}, {"sec-purpose": "prefetch"}])
def test_a_picture_in_a_text_signs_nobody_in_or_out(browser: AppBrowser, headers: dict[str, str]) -> None:
    callback = browser.callback()
    assert browser.get(callback, headers=headers).status_code == 403
    browser.visit(callback)
    for path in ("/login", "/logout"):
        assert browser.get(path, headers=headers).status_code == 403
    assert browser.user is not None


@pytest.mark.parametrize("site", [None, "none", "same-origin", "same-site", "cross-site"])
def test_a_link_to_the_logout_signs_out_wherever_it_stands(browser: AppBrowser, site: str | None) -> None:
    """A question in between, left unanswered, would leave a session that its owner takes for ended (SECURITY.md)."""
    browser.sign_in_as()
    sent = {} if site is None else {"sec-fetch-site": site, "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
    assert location(browser.get("/logout", headers=sent)).startswith(f"{browser.app.provider.issuer}v2/logout?")
    assert browser.user is None


def test_a_hook_adds_to_the_session_of_a_login(browser: AppBrowser) -> None:
    browser.sign_in_as()
    assert browser.get("/tests/greeting").json() == {"greeting": "Good day, jane"}
    # Not lost with what another user had.
    browser.sign_in_as("john@example.com", "battery-staple", login="/login?prompt=login")
    browser.visit("/logout")
    browser.sign_in_as("john@example.com", "battery-staple")
    assert browser.get("/tests/greeting").json() == {"greeting": "Good day, john"}


def test_a_hook_refuses_a_login_and_nothing_is_stored(browser: AppBrowser) -> None:
    browser.http.cookies.set("refuse", "1", domain="localhost.local", path="/")
    answer = browser.sign_in_as()
    assert (answer.status_code, heading_of(answer)) == (403, "You cannot sign in here")
    assert "characters" not in answer.text
    assert noted(browser, answer, "login refused")["reason"].startswith("the test wants")
    assert browser.user is None
    assert browser.cookies == {}


def test_a_hook_is_told_of_a_logout_and_cannot_stop_it(browser: AppBrowser) -> None:
    browser.sign_in_as()
    answer = browser.get("/logout")
    assert noted(browser, answer, "logout noted")["known"] is True
    browser.sign_in_as()
    browser.http.cookies.set("break-logout", "1", domain="localhost.local", path="/")
    answer = browser.get("/logout")
    assert location(answer).startswith(browser.app.provider.issuer)
    assert noted(browser, answer, "a hook of the logout failed")["level"] == "error"
    assert browser.user is None


VISIT = {"sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}


@pytest.fixture(scope="module")
def silent_apps(
    running_provider: IdentityProvider, session_redis: RedisServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, ServedApp]]:
    with with_each_backend(running_provider, session_redis, tmp_path_factory, AUTH0_SILENT_LOGIN="true") as running:
        yield running


@pytest.fixture
def silent(silent_apps: dict[str, ServedApp], backend: str) -> Iterator[ServedApp]:
    silent = silent_apps[backend]
    silent.provider.knobs.reset()
    yield silent
    silent.provider.knobs.reset()


def test_who_is_known_to_the_provider_is_signed_in_at_the_first_visit(
    silent: ServedApp, new_browser: MakeBrowser
) -> None:
    browser = new_browser(silent)
    browser.sign_in_as()
    # Another session of the browser's; the provider's is kept.
    for name in browser.cookies:
        browser.delete_cookie(name)
    answer = browser.get("/tests/user?x=1", headers=VISIT)
    assert query(location(answer))["prompt"] == "none"
    assert location(browser.open(location(answer))).startswith(f"{silent.origin}/callback?code=")
    assert browser.follow(answer).url.raw_path == b"/tests/user?x=1"
    assert browser.user is not None


def test_who_is_unknown_is_asked_about_once_and_sees_the_page(silent: ServedApp, new_browser: MakeBrowser) -> None:
    browser, before = new_browser(silent), len(lines(silent.log))
    answer = browser.get("/?x=1", headers=VISIT)
    page = browser.follow(answer)
    assert (page.status_code, page.url.raw_path, heading_of(page)) == (200, b"/?x=1", "Welcome!")
    assert browser.get("/", headers=VISIT).status_code == 200
    assert browser.cookies == {"__Host-asked": "1"}
    assert not [line for line in lines(silent.log)[before:] if line["message"].startswith("login failed")]


def test_only_a_visit_of_a_page_asks_silently_and_a_provider_that_is_down_stops_no_page(
    make_app: MakeApp, new_browser: MakeBrowser
) -> None:
    # Of its own, which has not asked the provider for anything yet.
    silent = make_app(AUTH0_SILENT_LOGIN="true")
    browser = new_browser(silent)
    assert browser.get("/").status_code == 200
    assert browser.get("/static/style.css", headers=VISIT).status_code == 200
    assert browser.get("/nothing", headers=VISIT).status_code == 404
    assert browser.request("POST", "/tests/keep/x", headers=VISIT).status_code == 200
    for other in ({"sec-fetch-dest": "iframe"}, {"sec-purpose": "prefetch;prerender"}):
        assert browser.get("/", headers=VISIT | other).status_code == 200, "asked by no person"
    assert "__Host-asked" not in browser.cookies
    silent.provider.knobs.answer("/.well-known/openid-configuration", 503)
    assert browser.get("/", headers=VISIT).status_code == 200
    assert query(location(browser.get("/", headers=VISIT)))["client_id"] == CLIENT["client_id"]
    # A callback that was sent to the provider once more would never complete its login.
    other = new_browser(silent)
    assert "prompt" not in query(location(other.get("/login", headers=VISIT)))
    assert other.get("/callback", headers=VISIT).status_code == 400


@pytest.mark.parametrize("what", ["the provider", "a hook"])
def test_a_silent_sign_in_that_fails_shows_the_page_that_was_asked_for(
    silent: ServedApp, new_browser: MakeBrowser, what: str
) -> None:
    """Nobody has asked to be signed in, so an outage, or an account that is not let in, is no page of theirs."""
    browser, before = new_browser(silent), len(lines(silent.log))
    browser.sign_in_as()
    for name in browser.cookies:
        browser.delete_cookie(name)
    if what == "the provider":
        silent.provider.knobs.answer("/oauth/token", 503)
    else:
        browser.http.cookies.set("refuse", "1", domain="localhost.local", path="/")
    page = browser.follow(browser.get("/?x=1", headers=VISIT))
    assert (page.status_code, page.url.raw_path, heading_of(page)) == (200, b"/?x=1", "Welcome!")
    assert browser.cookies == {"__Host-asked": "1"}
    failed = [line for line in lines(silent.log)[before:] if line["message"] == "login failed: provider_down"]
    assert len(failed) == (what == "the provider")
    # Who asks for it is told what is wrong.
    if what == "a hook":
        assert browser.visit("/login").status_code == 403


def begun_silently(browser: AppBrowser) -> str:
    """The callback of a silent sign-in of Jane, who is signed in at the provider alone; not visited yet."""
    browser.sign_in_as()
    for name in browser.cookies:
        browser.delete_cookie(name)
    return location(browser.open(location(browser.get("/tests/user?x=1", headers=VISIT))))


def callback_of_john(browser: AppBrowser) -> str:
    """That of a sign-in which somebody else has asked for in the same browser; not visited yet."""
    browser.delete_cookie("__Host-identity-session")
    return browser.callback("/login", "john@example.com", "battery-staple")


@pytest.mark.parametrize("backend", ["redis"])
def test_a_silent_sign_in_that_another_tab_overtakes_shows_its_page_and_takes_no_session(
    silent: ServedApp, new_browser: MakeBrowser
) -> None:
    browser, before = new_browser(silent), len(lines(silent.log))
    callback = begun_silently(browser)
    asked = callback_of_john(browser)
    # Something that both find, and that only one can take the place of.
    browser.request("POST", "/tests/keep/something")
    knobs = silent.provider.knobs
    knobs.reset()
    knobs.delay("/oauth/token", 4)
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(browser.get, callback)
        until(lambda: knobs.counters().get("/oauth/token", 0), bool)
        knobs.delay("/oauth/token", 0)
        assert location(browser.get(asked)) == "/"
        assert not slow.done()
        answer = slow.result()
    assert_johns(browser, answer, before)


def test_a_silent_sign_in_that_comes_after_one_that_was_asked_for_takes_no_session(
    silent: ServedApp, new_browser: MakeBrowser
) -> None:
    """Nobody has asked to be Jane, and John has asked to be John."""
    browser, before = new_browser(silent), len(lines(silent.log))
    callback = begun_silently(browser)
    browser.visit(callback_of_john(browser))
    silent.provider.knobs.reset()
    assert_johns(browser, browser.get(callback), before)
    assert "/oauth/token" not in silent.provider.knobs.counters(), "and no tokens that nobody uses"


def test_who_is_signed_in_may_be_signed_in_anew_silently(make_app: MakeApp, new_browser: MakeBrowser) -> None:
    """As a page does that wants newer claims."""
    browser = new_browser(make_app(AUTH0_LOGIN_PARAMETERS="prompt"))
    browser.sign_in_as()
    before = browser.cookies["__Host-session"]
    browser.visit("/login?prompt=none")
    assert browser.user is not None
    assert browser.cookies["__Host-session"] != before


def assert_johns(browser: AppBrowser, answer: httpx.Response, before: int) -> None:
    """The silent tab shows its page, the session is John's, and since line *before* of the log no login has failed."""
    assert location(answer) == "/tests/user?x=1"
    assert browser.user is not None
    assert browser.user["name"] == "John Roe"
    assert not [line for line in lines(browser.app.log)[before:] if line["message"].startswith("login failed")]


@pytest.mark.parametrize("backend", ["redis"])
def test_where_redis_is_away_nobody_is_asked_silently_and_pages_without_a_session_go_on(
    make_app: MakeApp, new_browser: MakeBrowser
) -> None:
    silent = make_app(AUTH0_SILENT_LOGIN="true")
    browser = new_browser(silent)
    browser.sign_in_as()
    assert silent.redis is not None
    silent.redis.stop()
    assert browser.get("/tests/worker", headers=VISIT).status_code == 200
    assert browser.get("/", headers=VISIT).status_code == 503
