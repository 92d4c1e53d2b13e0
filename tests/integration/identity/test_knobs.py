"""Each knob of the provider does what its line in deploy/identity/README.md says."""

import re
import ssl
import time
from collections.abc import Callable

import httpx
import jwt
import pytest
from auth0_server_python.error import AccessTokenError, ApiError

from tests.integration.identity.browser import Browser, query
from tests.integration.identity.conftest import Application
from tests.integration.identity.protocol import CALLBACK, RelyingParty
from tests.servers.identity import CLIENT, FOLDER, IdentityProvider, Knobs, identity


@pytest.fixture
def knobs(provider: IdentityProvider) -> Knobs:
    return provider.knobs


@pytest.fixture
def party(provider: IdentityProvider) -> RelyingParty:
    return RelyingParty(provider)


def test_counters_count_the_calls_of_each_route_and_of_each_grant(
    application: Application, browser: Browser, knobs: Knobs
) -> None:
    application.complete(browser.sign_in(application.login_url()))
    for _ in range(2):
        application.expire_access_token()
        application.access_token()

    counters = knobs.counters()
    assert counters["/oauth/token"] == 3
    assert counters["/oauth/token authorization_code"] == 1
    assert counters["/oauth/token refresh_token"] == 2
    assert counters["/.well-known/openid-configuration"] == 1
    knobs.reset()
    assert knobs.counters() == {}


def test_delay_holds_a_route_back_and_no_other(party: RelyingParty, provider: IdentityProvider, knobs: Knobs) -> None:
    knobs.delay("/oauth/token", 1.0)
    start = time.monotonic()
    party.refresh("unknown")
    slow = time.monotonic() - start
    with provider.client() as http:
        http.get("/healthz")

    assert slow >= 1.0
    assert time.monotonic() - start - slow < 1.0
    knobs.delay("/oauth/token", 0)
    start = time.monotonic()
    party.refresh("unknown")
    assert time.monotonic() - start < 1.0


def test_a_delay_beyond_its_timeout_is_what_the_sdk_times_out_on(
    application: Application, browser: Browser, knobs: Knobs
) -> None:
    callback = browser.sign_in(application.login_url())
    knobs.delay("/oauth/token", 7)
    application.sdk._oauth.timeout = 0.5

    with pytest.raises(httpx.ReadTimeout):
        application.complete(callback)


@pytest.mark.parametrize("status", [429, 500, 503])
def test_answer_gives_a_status_that_many_times(
    application: Application, browser: Browser, knobs: Knobs, status: int
) -> None:
    callback = browser.sign_in(application.login_url())
    knobs.answer("/oauth/token", status, times=2)
    for _ in range(2):
        with pytest.raises((httpx.HTTPStatusError, ApiError)):
            application.complete(callback)

    assert application.complete(callback)["user"]["email"] == "jane@example.com"


def test_answer_works_for_metadata_and_keys_too(application: Application, browser: Browser, knobs: Knobs) -> None:
    knobs.answer("/.well-known/openid-configuration", 503)
    with pytest.raises(ApiError):
        application.login_url()
    callback = browser.sign_in(application.login_url())
    knobs.answer("/.well-known/jwks.json", 500)

    with pytest.raises(ApiError):
        application.complete(callback)


def test_rotate_key_signs_with_a_new_key_and_may_keep_the_old(
    party: RelyingParty, browser: Browser, knobs: Knobs
) -> None:
    first = party.sign_in(browser)["id_token"]
    knobs.rotate_key(keep_old=True)
    second = party.sign_in(browser)["id_token"]
    for token in (first, second):
        party.verified(token)
    knobs.rotate_key(keep_old=False)
    third = party.sign_in(browser)["id_token"]

    party.verified(third)
    for token in (first, second):
        with pytest.raises(KeyError):
            party.verified(token)
    assert len({jwt.get_unverified_header(token)["kid"] for token in (first, second, third)}) == 3


def test_sessions_and_refresh_tokens_outlive_a_rotation(party: RelyingParty, browser: Browser, knobs: Knobs) -> None:
    tokens = party.sign_in(browser)
    knobs.rotate_key(keep_old=False)

    party.verified(party.refresh(tokens["refresh_token"]).json()["id_token"])
    assert "code" in query(browser.sign_in(party.authorize(prompt="none")))


def test_a_dropped_key_is_what_a_client_with_cached_keys_stumbles_over(
    application: Application, browser: Browser, knobs: Knobs
) -> None:
    application.complete(browser.sign_in(application.login_url()))
    knobs.rotate_key(keep_old=False)

    with pytest.raises(ApiError) as failure:
        application.complete(browser.sign_in(application.login_url()))
    assert failure.value.code == "jwks_key_not_found"


@pytest.mark.parametrize("seconds", [300, -300])
def test_clock_moves_the_times_in_tokens(party: RelyingParty, browser: Browser, knobs: Knobs, seconds: int) -> None:
    knobs.clock(seconds)
    before = int(time.time())
    token = party.sign_in(browser)["id_token"]

    claims = jwt.decode(token, options={"verify_signature": False})
    assert before <= claims["iat"] - seconds <= time.time()
    assert claims["exp"] - claims["iat"] == 36000


@pytest.mark.parametrize(("seconds", "words"), [(300, "not yet valid"), (-36300, "expired")])
def test_the_sdk_refuses_tokens_of_a_clock_that_is_wrong(
    application: Application, browser: Browser, knobs: Knobs, seconds: int, words: str
) -> None:
    callback = browser.sign_in(application.login_url())
    # Only now: cookies of a clock ten hours back are expired before a browser has them.
    knobs.clock(min(seconds, 30))

    with pytest.raises(ApiError, match=words):
        application.complete(callback)


def test_scope_may_be_left_out_of_the_token_response(party: RelyingParty, browser: Browser, knobs: Knobs) -> None:
    knobs.echo_scope(False)
    tokens = party.sign_in(browser)

    assert "scope" not in tokens
    assert "scope" not in party.refresh(tokens["refresh_token"]).json()


def test_access_tokens_may_be_short_lived(party: RelyingParty, browser: Browser, knobs: Knobs) -> None:
    knobs.access_token_lifetime(5)
    opaque = party.sign_in(browser)
    api = party.sign_in(browser, audience="https://api.example.com/")
    assert opaque["expires_in"] == api["expires_in"] == 5
    assert party.userinfo(opaque["access_token"]).is_success
    assert party.userinfo(api["access_token"]).is_success
    knobs.clock(10)

    assert party.userinfo(opaque["access_token"]).status_code == 401
    assert party.userinfo(api["access_token"]).status_code == 401


def test_a_refresh_may_be_refused_and_the_token_stays_good(
    application: Application, browser: Browser, knobs: Knobs
) -> None:
    application.complete(browser.sign_in(application.login_url()))
    application.expire_access_token()
    knobs.refuse_refresh()
    with pytest.raises(AccessTokenError, match="grant request is invalid"):
        application.access_token()

    assert application.access_token()


def test_clients_may_be_changed_and_added_while_it_runs(
    make_application: Callable[..., Application], browser: Browser, knobs: Knobs
) -> None:
    address = "https://localhost:1/callback"
    knobs.change_clients({"client_id": CLIENT["client_id"], "redirect_uris": [CALLBACK, address]})
    application = make_application(redirect_uri=address)

    assert application.complete(browser.sign_in(application.login_url()))["user"]["email"] == "jane@example.com"
    knobs.change_clients(CLIENT)
    assert "redirect_uri" in browser.open(application.login_url()).text


def test_the_sessions_of_a_user_may_be_ended(
    party: RelyingParty, browser: Browser, provider: IdentityProvider, knobs: Knobs
) -> None:
    party.sign_in(browser)

    assert knobs.end_sessions("JANE@example.com") >= 1
    assert knobs.end_sessions("jane@example.com") == 0
    assert knobs.end_sessions("nobody@example.com") == 0
    assert query(browser.sign_in(party.authorize(prompt="none")))["error"] == "login_required"


@pytest.mark.parametrize(
    ("method", "path", "body", "words"),
    [
        ("PUT", "/delay", b'{"route": "oauth/token", "seconds": 1}', "route is"),
        ("PUT", "/delay", b'{"route": "/oauth/token", "seconds": -1}', "seconds is"),
        ("PUT", "/answer", b'{"route": "/oauth/token", "status": 200}', "status is"),
        ("PUT", "/answer", b'{"route": "/oauth/token", "status": 500, "times": 0}', "times is"),
        ("PUT", "/clock", b'{"seconds": "soon"}', "seconds is"),
        ("PUT", "/scope", b"{}", "echo is"),
        ("PUT", "/access-token", b"null", "seconds is"),
        ("POST", "/rotate-key", b"", "keep_old is"),
        ("POST", "/end-sessions", b"{}", "username is"),
        ("PUT", "/clients", b'{"clients": [{"client_id": "x"}]}', "redirect_uris is missing"),
        ("PUT", "/clients", b'{"clients": [null]}', "client_id is missing"),
        ("PUT", "/clock", b"{", "not JSON"),
        ("GET", "/sign-in", b"", "no such knob"),
    ],
)
def test_a_wrong_turn_is_answered_with_a_sentence(
    knobs: Knobs, method: str, path: str, body: bytes, words: str
) -> None:
    response = knobs._http.request(method, path, content=body, headers={"content-type": "application/json"})

    assert response.status_code in {400, 404}
    assert words in response.json()["error"]


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded"])
def test_a_page_in_a_browser_cannot_turn_a_knob(knobs: Knobs, content_type: str) -> None:
    answer = knobs._http.post("/reset", content="{}", headers={"content-type": content_type})

    assert answer.status_code == 415


def test_the_knobs_may_be_on_a_port_of_loopback(provider: IdentityProvider) -> None:
    with identity(provider.ca, knob_port=0) as other:
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+", other.knobs.address)
        assert other.knobs.counters() == {}


def test_nothing_of_the_knobs_is_on_the_public_port(provider: IdentityProvider) -> None:
    with provider.client() as http:
        for line in table_of_knobs():
            method, path = line.split()
            assert http.request(method, path, json={}).status_code == 404
    with identity(provider.ca, knobs=False) as plain:
        trust = ssl.create_default_context(cafile=str(plain.ca.path))
        with httpx.Client(verify=trust, base_url=plain.issuer) as http:
            assert http.get("/healthz").json() == {"status": "ok"}
            assert http.get("/counters").status_code == 404


def test_every_knob_is_in_the_readme(knobs: Knobs) -> None:
    known = knobs._http.get("/").json()["error"].removeprefix("There is no such knob: use ").removesuffix(".")

    assert set(table_of_knobs()) == set(known.split(", "))


def table_of_knobs() -> list[str]:
    rows = re.findall(r"^\| `([A-Z]+ /[\w-]+)`", (FOLDER / "README.md").read_text(), re.MULTILINE)
    assert rows
    return rows
