"""Access tokens: kept, renewed with a refresh token, and what a page shows when there is none to be had."""

import re
from collections.abc import Iterator

import httpx
import jwt
import pytest

from app.sessions.keyring import KeyRing
from tests.integration.browser import AppBrowser, lines, until
from tests.integration.conftest import MakeApp, MakeBrowser
from tests.integration.identity.browser import location, query
from tests.integration.identity.protocol import RelyingParty
from tests.servers.app import SECRET, ServedApp
from tests.servers.identity import CLIENT, CONFIGURATION

OFFLINE = "openid profile email offline_access"
ENDED = "Please sign in again"


@pytest.fixture
def app(offline_apps: dict[str, ServedApp], backend: str) -> Iterator[ServedApp]:
    app = offline_apps[backend]
    app.provider.knobs.reset()
    yield app
    app.provider.knobs.reset()


@pytest.fixture
def browser(app: ServedApp, new_browser: MakeBrowser) -> AppBrowser:
    return new_browser(app)


def token(browser: AppBrowser) -> str:
    """The access token that a page gets."""
    answer = browser.get("/tests/token")
    assert answer.status_code == 200, answer.text
    found: str = answer.json()["token"]
    browser.secrets.add(found)
    return found


def ends(browser: AppBrowser) -> str:
    """When the profile page says that the session ends."""
    found = re.search('<time datetime="([^"]+)"', browser.get("/profile").text)
    assert found
    return found[1]


def test_a_token_that_is_good_is_served_from_the_session(browser: AppBrowser, app: ServedApp) -> None:
    browser.sign_in_as()
    before = app.provider.knobs.counters().get("/oauth/token", 0)
    assert token(browser) == token(browser)
    assert app.provider.knobs.counters().get("/oauth/token", 0) == before


def test_an_expired_token_is_renewed_and_the_person_stays_signed_in(browser: AppBrowser, app: ServedApp) -> None:
    """A refresh without an audience makes the SDK write `audience=None`, which its `get_user` then refuses to read."""
    app.provider.knobs.access_token_lifetime(1)
    browser.sign_in_as()
    session = browser.cookies["__Host-session"]
    end = ends(browser)
    first = token(browser)
    app.provider.knobs.access_token_lifetime(3600)
    second = until(lambda: token(browser), lambda found: found != first)
    assert token(browser) == second
    assert browser.user is not None
    assert browser.user["name"] == "Jane Doe"
    state = browser.get("/tests/session").json()["session"]
    browser.secrets |= {state["refresh_token"], state["id_token"]}
    assert [token_set["audience"] for token_set in state["token_sets"]] == ["default"]
    assert "answered <strong>200</strong>" in browser.get("/api-call").text
    # Neither a session of its own nor a longer life: only a login begins one.
    assert ends(browser) == end
    if app.backend == "redis":
        assert browser.cookies["__Host-session"] == session


def test_a_refreshed_session_can_be_refreshed_again(browser: AppBrowser, app: ServedApp) -> None:
    """The refresh token rotates: if the new one were not stored the second refresh would be refused."""
    app.provider.knobs.access_token_lifetime(1)
    browser.sign_in_as()
    first = token(browser)
    second = until(lambda: token(browser), lambda found: found != first)
    until(lambda: token(browser), lambda found: found not in (first, second))
    assert browser.user is not None


def test_without_a_refresh_token_an_expired_token_is_a_page_that_offers_to_sign_in(
    served: ServedApp, new_browser: MakeBrowser
) -> None:
    browser = new_browser(served)
    served.provider.knobs.access_token_lifetime(1)
    browser.sign_in_as()
    page = until_not_ok(browser, "/api-call?x=1")
    browser.failed(page, 403, ENDED)
    assert 'href="/login?return_to=/api-call?x%3D1"' in page.text
    assert browser.line_of(page, "an API could not be called: access_ended")["code"] == "missing_refresh_token"

    served.provider.knobs.access_token_lifetime(3600)
    after = browser.visit(browser.callback("/login?return_to=/api-call"))
    assert "answered <strong>200</strong>" in after.text


def test_a_refused_refresh_is_a_page_that_offers_to_sign_in_and_no_loop(browser: AppBrowser, app: ServedApp) -> None:
    before = len(lines(app.log))
    app.provider.knobs.access_token_lifetime(1)
    browser.sign_in_as()
    app.provider.knobs.refuse_refresh(1)
    page = until_not_ok(browser, "/api-call")
    browser.failed(page, 403, ENDED)
    assert browser.line_of(page, "an API could not be called: access_ended")["level"] == "warning"
    assert browser.user is not None, "it is the token that has ended, not the session"
    # Whose it was, and that they have signed in before, is to be seen; who it was is not.
    new = lines(app.log)[before:]
    [refused] = [line for line in new if line.get("event") == "authn_token_reuse"]
    [signed_in] = [line for line in new if line.get("event") == "authn_login_success"]
    assert (refused["level"], refused["code"]) == ("warning", "invalid_grant")
    assert refused["user"] == signed_in["user"]
    assert refused["user"] == KeyRing([SECRET]).pseudonyms(browser.user["sub"])[0]


def test_a_refresh_token_that_was_refused_is_not_tried_again(browser: AppBrowser, app: ServedApp) -> None:
    app.provider.knobs.access_token_lifetime(1)
    browser.sign_in_as()
    app.provider.knobs.refuse_refresh(1)
    answer = browser.get("/tests/token", headers={"accept": "application/json"})
    assert (answer.status_code, answer.headers["content-type"]) == (401, "application/problem+json")
    before = refreshes(app)
    assert before == 1
    if app.backend == "redis":
        browser.failed(until_not_ok(browser, "/api-call"), 403, ENDED)
        assert refreshes(app) == before
    else:
        # In cookies another answer may have brought the next one: that this one was refused says nothing of it.
        assert token(browser)
        assert refreshes(app) == before + 1


def test_a_refusal_that_is_not_of_the_refresh_token_leaves_it(browser: AppBrowser, app: ServedApp) -> None:
    """A client secret that is wrong for a minute must not end everybody's access to their APIs."""
    knobs = app.provider.knobs
    knobs.access_token_lifetime(1)
    browser.sign_in_as()
    knobs.change_clients({"client_id": CLIENT["client_id"], "client_secret": "another-client-secret-of-this-test"})
    try:
        page = until_not_ok(browser, "/tests/token")
    finally:
        knobs.change_clients(CLIENT)
    line = browser.line_of(page, "an API could not be called: misconfigured")
    assert (page.status_code, line["code"], line["level"]) == (500, "invalid_client", "error")
    before = refreshes(app)
    assert token(browser)
    assert refreshes(app) == before + 1


def test_a_provider_that_is_down_serves_the_token_while_it_is_good_and_then_a_503(
    browser: AppBrowser, app: ServedApp
) -> None:
    app.provider.knobs.access_token_lifetime(8)
    browser.sign_in_as()
    state = browser.get("/tests/session").json()["session"]
    first = state["token_sets"][0]["access_token"]
    browser.secrets |= {first, state["refresh_token"], state["id_token"]}
    app.provider.knobs.answer("/oauth/token", 503, times=1000)
    for _ in range(5):
        assert browser.get("/tests/token").json()["token"] == first
    assert app.provider.knobs.counters()["/oauth/token"] == 2, "the sign-in, and one attempt: nobody waits for a second"
    page = until_not_ok(browser, "/tests/token")
    browser.failed(page, 503, "Not available")
    assert page.headers["retry-after"] == "5"
    problem = browser.get("/tests/token", headers={"accept": "application/json"})
    assert (problem.status_code, problem.headers["retry-after"]) == (503, "5")
    assert problem.json()["status"] == 503
    app.provider.knobs.reset()
    assert token(browser) != first
    assert browser.user is not None


def test_a_token_that_ends_soon_is_renewed_before_it_does(browser: AppBrowser, app: ServedApp) -> None:
    app.provider.knobs.access_token_lifetime(59)
    browser.sign_in_as()
    app.provider.knobs.access_token_lifetime(3600)
    assert token(browser) == token(browser)
    assert refreshes(app) == 1


@pytest.mark.parametrize("everywhere", [False, True])
def test_a_refresh_token_is_revoked_at_logout(browser: AppBrowser, app: ServedApp, everywhere: bool) -> None:
    browser.sign_in_as()
    state = browser.get("/tests/session").json()["session"]
    browser.secrets |= {state["refresh_token"], state["id_token"]}
    if everywhere:
        browser.follow(browser.request("POST", "/profile/sessions", headers={"origin": app.origin}))
    else:
        browser.get("/logout")
    until(lambda: app.provider.knobs.counters().get("/oauth/revoke", 0), lambda calls: calls == 1)
    answer = RelyingParty(app.provider).refresh(state["refresh_token"])
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")


def test_a_logout_waits_for_no_revocation_and_may_do_without(make_app: MakeApp, new_browser: MakeBrowser) -> None:
    app = make_app(AUTH0_SCOPE=OFFLINE)
    browser = new_browser(app)
    browser.sign_in_as()
    app.provider.knobs.answer("/oauth/revoke", 503)
    assert browser.get("/logout").status_code == 302
    until(lambda: "a refresh token could not be revoked" in app.log, bool)

    keeps = make_app(AUTH0_SCOPE=OFFLINE, AUTH0_REVOKE_AT_LOGOUT="false")
    browser = new_browser(keeps)
    browser.sign_in_as()
    browser.get("/logout")
    browser.sign_in_as()
    assert app.provider.knobs.counters()["/oauth/revoke"] == 1


def test_a_refresh_token_gives_tokens_for_several_apis(make_app: MakeApp, new_browser: MakeBrowser) -> None:
    """Auth0's multi-resource refresh tokens."""
    api, billing = (api["audience"] for api in CONFIGURATION["apis"])
    app = make_app(AUTH0_SCOPE=OFFLINE, AUTH0_AUDIENCE=api)
    browser = new_browser(app)
    browser.sign_in_as()

    def token_for(audience: str) -> str:
        found: str = browser.get("/tests/shared-token", params={"audience": audience}).json()["token"]
        browser.secrets.add(found)
        assert audience in jwt.decode(found, options={"verify_signature": False})["aud"]
        return found

    first, second = token_for(api), token_for(billing)
    assert (token_for(api), token_for(billing)) == (first, second)
    assert refreshes(app) == 1
    answer = browser.get("/tests/shared-token", params={"audience": "https://other.example.com/"})
    browser.failed(answer, 403, ENDED)
    assert token_for(billing) == second, "and the refresh token is as good as before"


def refreshes(app: ServedApp) -> int:
    """How many refreshes the provider was asked for."""
    return app.provider.knobs.counters().get("/oauth/token refresh_token", 0)


def test_an_api_that_is_slow_is_a_504(make_app: MakeApp, new_browser: MakeBrowser) -> None:
    browser = new_browser(make_app(AUTH0_TIMEOUT_SECONDS="1"))
    browser.sign_in_as()
    browser.app.provider.knobs.delay("/userinfo", 5)
    browser.failed(browser.get("/api-call"), 504, "This took too long")


@pytest.mark.parametrize("status", [401, 500])
def test_an_api_that_refuses_is_shown_as_it_answered(served: ServedApp, new_browser: MakeBrowser, status: int) -> None:
    browser = new_browser(served)
    browser.sign_in_as()
    served.provider.knobs.answer("/userinfo", status)
    assert f"answered <strong>{status}</strong>" in browser.get("/api-call").text


@pytest.mark.parametrize("scope", ["openid profile email", OFFLINE])
def test_a_provider_that_does_not_say_what_it_granted_granted_what_was_asked_for(
    served: ServedApp, offline_apps: dict[str, ServedApp], new_browser: MakeBrowser, scope: str
) -> None:
    """The SDK takes no scope for no right at all: it renews the token at each call, or has none (RFC 6749, 5.1)."""
    browser = new_browser(offline_apps[served.backend] if scope == OFFLINE else served)
    assert query(location(browser.get("/login")))["scope"] == scope
    browser.app.provider.knobs.echo_scope(False)
    browser.sign_in_as()
    before = browser.app.provider.knobs.counters()["/oauth/token"]
    assert "answered <strong>200</strong>" in browser.get("/api-call").text
    assert token(browser) == token(browser)
    assert browser.app.provider.knobs.counters()["/oauth/token"] == before


def test_a_token_asked_for_without_a_session_sends_to_login(browser: AppBrowser) -> None:
    assert location(browser.get("/tests/token")).startswith("/login")


def until_not_ok(browser: AppBrowser, path: str) -> httpx.Response:
    """What a page answers once the token that is in the session has expired."""
    return until(lambda: browser.get(path), lambda page: page.status_code != 200)
