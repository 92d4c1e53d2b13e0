"""Each way that a sign-in fails has its page, its status, its line in the log, and a reference that both have."""

from collections.abc import Iterator

import pytest

from scripts.certificates import CA
from tests.integration.browser import AppBrowser, heading_of, until
from tests.integration.conftest import MakeApp, MakeBrowser
from tests.integration.identity.browser import location, query
from tests.servers.identity import CONFIGURATION, IdentityProvider, identity

EXPIRED = "This sign-in is no longer valid"
COMPLETED = "This sign-in was completed already"
CANCELLED = "Sign-in was cancelled"
IMPOSSIBLE = "Signing in is not possible right now"
SLOW = "Signing in takes too long"
ASKING = CONFIGURATION["clients"][1]


@pytest.fixture
def own_provider(ca: CA) -> Iterator[IdentityProvider]:
    """A provider of the test's own, to break."""
    with identity(ca) as provider:
        yield provider


def test_a_person_who_presses_cancel_is_told_so(browser: AppBrowser) -> None:
    line = browser.failed(browser.deny(), 403, CANCELLED, "denied")
    assert (line["step"], line["code"]) == ("callback", "access_denied")
    assert browser.user is None
    assert browser.cookies == {}
    assert "Hello, Jane Doe!" in browser.sign_in_as().text


def test_a_person_who_declines_consent_is_told_so(make_app: MakeApp, new_browser: MakeBrowser) -> None:
    client = {"AUTH0_CLIENT_ID": ASKING["client_id"], "AUTH0_CLIENT_SECRET": ASKING["client_secret"]}
    browser = new_browser(make_app(**client))
    page = browser.open(location(browser.get("/login")))
    consent = browser.submit(page, username="jane@example.com", password="correct-horse")
    browser.failed(browser.follow(browser.submit(consent, action="cancel")), 403, CANCELLED, "denied")


def test_a_blocked_user_is_told_so(browser: AppBrowser) -> None:
    page = browser.visit(browser.callback("/login", "blocked@example.com", "locked-door"))
    assert browser.failed(page, 403, CANCELLED, "denied")["code"] == "unauthorized"


def test_who_is_no_member_of_the_organization_is_told_so(browser: AppBrowser) -> None:
    page = browser.visit(browser.callback("/login?organization=org_aCmE0000000001"))
    browser.failed(page, 403, CANCELLED, "denied")
    assert browser.user is None


@pytest.mark.parametrize(
    "path",
    [
        "/callback",
        "/callback?code=abc",
        "/callback?state=",
        "/callback?code=abc&state=unknown",
        "/callback?error=access_denied&state=unknown",
        "/callback?code=abc&state=" + "s" * 60_000,
        "/callback?code=abc&state=%00%ff%0d%0a",
        "/callback?code=abc&state=%F0%9F%92%A9",
        "/callback?code=" + "c" * 60_000 + "&state=a",
        "/callback?state[]=a&state=b",
    ],
)
def test_a_callback_that_belongs_to_no_login_offers_to_begin_again(browser: AppBrowser, path: str) -> None:
    browser.failed(browser.get(path), 400, EXPIRED, "expired")


def test_a_callback_without_a_code_ends_its_login(browser: AppBrowser) -> None:
    state = query(location(browser.get("/login")))["state"]
    browser.failed(browser.get("/callback", params={"state": state}), 400, EXPIRED, "expired")
    assert browser.cookies == {}


@pytest.mark.parametrize("name", ["state", "code"])
@pytest.mark.parametrize("order", ["true first", "true last"])
def test_a_parameter_that_stands_twice_is_refused(browser: AppBrowser, name: str, order: str) -> None:
    callback = browser.callback()
    true, other = f"{name}={query(callback)[name]}", f"{name}=other-one"
    both = f"{true}&{other}" if order == "true first" else f"{other}&{true}"
    browser.failed(browser.get(callback.replace(true, both)), 400, EXPIRED, "expired")
    assert browser.user is None


def test_an_error_that_stands_twice_is_refused_as_well(browser: AppBrowser) -> None:
    state = query(location(browser.get("/login")))["state"]
    answer = browser.get(f"/callback?state={state}&error=access_denied&error=server_error")
    browser.failed(answer, 400, EXPIRED, "expired")


def test_the_callback_of_anothers_login_is_refused(browser: AppBrowser, other_browser: AppBrowser) -> None:
    """Found by `state` alone, a transaction would sign the victim in as the attacker (login CSRF, RFC 6749, 10.12)."""
    attackers = other_browser.callback()
    browser.secrets |= other_browser.secrets
    browser.failed(browser.get(attackers), 400, EXPIRED, "expired")
    assert browser.user is None

    browser.get("/login")
    browser.failed(browser.get(attackers), 400, EXPIRED, "expired")
    assert browser.user is None
    assert "Hello, Jane Doe!" in other_browser.visit(attackers).text


def test_a_code_works_once_even_with_its_transaction_put_back(browser: AppBrowser, other_browser: AppBrowser) -> None:
    callback = browser.callback()
    [(name, value)] = browser.cookies.items()
    browser.visit(callback)
    assert browser.user is not None

    other_browser.set_cookie(name, value)
    line = other_browser.failed(other_browser.get(callback), 400, COMPLETED, "code_used")
    assert line["code"] == "invalid_grant"
    assert other_browser.user is None


def test_a_code_of_another_login_is_refused(browser: AppBrowser) -> None:
    first, second = browser.callback(), browser.callback()
    mixed = first.replace(query(first)["state"], query(second)["state"])
    browser.failed(browser.get(mixed), 400, COMPLETED, "code_used")


def test_back_and_reload_after_signing_in_end_on_the_apps_page(browser: AppBrowser) -> None:
    callback = browser.callback("/login?return_to=/profile")
    assert heading_of(browser.visit(callback)) == "Jane Doe"
    for _ in range(2):
        page = browser.visit(callback)
        assert (page.status_code, heading_of(page)) == (200, "Hello, Jane Doe!")
    assert browser.user is not None
    browser.visit("/logout")
    browser.failed(browser.visit(callback), 400, EXPIRED, "expired")


def test_a_provider_that_fails_at_the_exchange_is_a_502(browser: AppBrowser) -> None:
    callback = browser.callback()
    browser.app.provider.knobs.answer("/oauth/token", 500)
    browser.failed(browser.get(callback), 502, IMPOSSIBLE, "provider_down")
    assert browser.user is None
    assert "Hello, Jane Doe!" in browser.sign_in_as().text


def test_a_provider_that_is_slow_is_a_504_after_the_time_limit(make_app: MakeApp, new_browser: MakeBrowser) -> None:
    browser = new_browser(make_app(AUTH0_TIMEOUT_SECONDS="1"))
    callback = browser.callback()
    browser.app.provider.knobs.delay("/oauth/token", 5)
    line = browser.failed(browser.get(callback), 504, SLOW, "provider_slow")
    assert line["code"] == "ReadTimeout"


@pytest.mark.parametrize("status", [500, 503])
def test_metadata_that_cannot_be_had_is_a_502_at_login_and_the_next_login_works(
    make_app: MakeApp, new_browser: MakeBrowser, status: int
) -> None:
    browser = new_browser(make_app())
    browser.app.provider.knobs.answer("/.well-known/openid-configuration", status)
    assert browser.failed(browser.get("/login"), 502, IMPOSSIBLE, "provider_down")["step"] == "login"
    assert "Hello, Jane Doe!" in browser.sign_in_as().text


def test_keys_that_cannot_be_had_are_a_502_and_the_next_login_works(
    make_app: MakeApp, new_browser: MakeBrowser
) -> None:
    browser = new_browser(make_app())
    browser.app.provider.knobs.answer("/.well-known/jwks.json", 500)
    browser.failed(browser.visit(browser.callback()), 502, IMPOSSIBLE, "provider_down")
    assert "Hello, Jane Doe!" in browser.sign_in_as().text


def test_a_provider_that_is_gone_is_a_502_and_pages_without_login_work(
    make_app: MakeApp, new_browser: MakeBrowser, own_provider: IdentityProvider
) -> None:
    browser, stranger = new_browser(app := make_app(own_provider)), new_browser(make_app(own_provider))
    callback, later = browser.callback(), browser.callback()
    browser.visit(later)
    own_provider.stop()
    browser.failed(browser.get(callback), 502, IMPOSSIBLE, "provider_down")
    stranger.failed(stranger.get("/login"), 502, IMPOSSIBLE, "provider_down")
    assert heading_of(stranger.get("/")) == "Welcome!"
    assert heading_of(browser.get("/profile")) == "Jane Doe"
    assert browser.get("/healthz/ready").status_code == 200, "readiness does not depend on Auth0"
    browser.failed(browser.get("/api-call"), 502, "Not available")
    assert location(browser.get("/logout")).startswith(app.provider.issuer)
    assert browser.user is None


def test_a_token_from_the_future_is_the_operators_matter(browser: AppBrowser) -> None:
    callback = browser.callback()
    browser.app.provider.knobs.clock(30)
    browser.failed(browser.get(callback), 500, IMPOSSIBLE, "clock_skew")
    assert browser.user is None


def test_a_wrong_client_secret_is_the_operators_matter_and_nothing_of_it_is_told(
    make_app: MakeApp, new_browser: MakeBrowser
) -> None:
    secret = "marked-wrong-client-secret"
    browser = new_browser(make_app(AUTH0_CLIENT_SECRET=secret))
    browser.secrets.add(secret)
    page = browser.visit(browser.callback())
    line = browser.failed(page, 500, IMPOSSIBLE, "misconfigured")
    assert line["code"] == "invalid_client"
    assert "client" not in page.text.lower()
    assert "exception" not in line


def test_a_callback_url_that_auth0_does_not_know_stays_at_the_provider(
    make_app: MakeApp, new_browser: MakeBrowser
) -> None:
    browser = new_browser(make_app(AUTH0_REDIRECT_URI="https://localhost:8444/callback"))
    page = browser.open(location(browser.http.get("https://localhost:8443/login")))
    assert (page.status_code, "redirect_uri" in page.text) == (400, True)


def test_a_key_that_nobody_knows_is_a_502_and_not_a_bug(
    make_app: MakeApp, new_browser: MakeBrowser, own_provider: IdentityProvider
) -> None:
    browser = new_browser(make_app(own_provider))
    browser.sign_in_as()
    browser.visit("/logout")
    own_provider.knobs.rotate_key(keep_old=False)
    own_provider.knobs.answer("/.well-known/jwks.json", 503)
    page = browser.visit(browser.callback())
    line = browser.failed(page, 502, IMPOSSIBLE, "unknown_key")
    assert "exception" not in line
    assert browser.user is None
    assert "Hello, Jane Doe!" in until(browser.sign_in_as, lambda page: page.is_success).text
