"""Back-channel logout: the provider ends sessions here, and nobody else does; users end their own."""

import json
import re
import secrets
import time
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from app import create_app
from app.auth.logout_tokens import FRESH_SECONDS
from app.server import await_
from app.settings import Settings
from scripts.certificates import CA
from tests.integration.browser import AppBrowser, heading_of, lines, until
from tests.integration.conftest import MakeApp, MakeBrowser
from tests.integration.identity.browser import location
from tests.servers.app import ServedApp, app
from tests.servers.identity import CLIENT, CONFIGURATION, IdentityProvider, identity
from tests.servers.redis import redis_server
from tests.unit.browsing import client_of

EVENT = "http://schemas.openid.net/event/backchannel-logout"
JANE = CONFIGURATION["users"][0]["user_id"]
KEYS = "/.well-known/jwks.json"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("backchannel")


@pytest.fixture(scope="module")
def provider(ca: CA, folder: Path) -> Iterator[IdentityProvider]:
    """A provider whose signing key the tests know."""
    with identity(ca, options=["--key-file", str(folder / "key.json")]) as provider:
        yield provider


@pytest.fixture(scope="module")
def served(provider: IdentityProvider, folder: Path) -> Iterator[ServedApp]:
    """The app with two workers, where the provider delivers to."""
    with redis_server(folder) as redis, app(folder / "app", provider, redis=redis, workers=2) as served:
        url = f"https://localhost:{served.server.port}/backchannel-logout"
        provider.knobs.change_clients({"client_id": CLIENT["client_id"], "backchannel_logout_uri": url})
        yield served


@pytest.fixture
def backend() -> str:
    return "redis"


@pytest.fixture
def browser(served: ServedApp, new_browser: MakeBrowser) -> AppBrowser:
    served.provider.knobs.reset()
    assert served.redis is not None
    served.redis.client.flushdb()
    return new_browser(served)


def sid_of(browser: AppBrowser) -> str:
    assert browser.user is not None
    sid: str = browser.user["sid"]
    return sid


class Signer:
    """Makes logout tokens as the provider does, or nearly so."""

    def __init__(self, provider: IdentityProvider, folder: Path) -> None:
        self.provider = provider
        self.key = json.loads((folder / "key.json").read_text())

    def token(
        self, *, header: dict[str, Any] | None = None, key: Any = None, algorithm: str = "RS256", **changes: Any
    ) -> str:
        now = int(time.time())
        claims = {
            "iss": self.provider.issuer,
            "aud": CLIENT["client_id"],
            "iat": now,
            "exp": now + 120,
            "jti": secrets.token_hex(8),
            "events": {EVENT: {}},
            **changes,
        }
        signing = key or (jwt.PyJWK.from_dict(self.key, algorithm="RS256").key if algorithm == "RS256" else None)
        headers = {"typ": "logout+jwt", "kid": self.key["kid"], **(header or {})}
        # PyJWT leaves out a `typ` that is empty, and writes one of its own where there is none.
        return jwt.encode(_without_none(claims), signing, algorithm, _without_none(headers))


def _without_none(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


@pytest.fixture
def signer(served: ServedApp, folder: Path) -> Signer:
    return Signer(served.provider, folder)


def deliver(browser: AppBrowser, *tokens: str, **options: Any) -> httpx.Response:
    """What the app answers to a delivery."""
    answer = browser.request("POST", "/backchannel-logout", **({"data": {"logout_token": list(tokens)}} | options))
    assert answer.headers["cache-control"] == "no-store"
    return answer


def test_the_provider_ends_the_session_here_too(browser: AppBrowser, served: ServedApp) -> None:
    browser.sign_in_as()
    assert served.provider.knobs.end_sessions("jane@example.com") >= 1
    assert browser.user is None
    assert location(browser.get("/profile")).startswith("/login")
    browser.sign_in_as()
    assert browser.user is not None, "and the next login is let in"


@pytest.mark.parametrize("by", ["sid", "sub", "both"])
def test_sid_or_sub_alone_is_enough(browser: AppBrowser, new_browser: MakeBrowser, signer: Signer, by: str) -> None:
    """The SDK wants both."""
    other = new_browser(browser.app)
    browser.sign_in_as()
    other.sign_in_as()
    named = {"sid": sid_of(browser), "sub": JANE}
    token = signer.token(**(named if by == "both" else {by: named[by]}))
    answer = deliver(browser, token)
    assert (answer.status_code, answer.text) == (200, "")
    assert browser.user is None
    # A session is the one that `sid` says; without one all of the user's are meant.
    assert (other.user is None) == (by == "sub")


def test_another_users_sessions_go_on(browser: AppBrowser, signer: Signer) -> None:
    browser.sign_in_as("john@example.com", "battery-staple")
    assert deliver(browser, signer.token(sub=JANE)).status_code == 200
    assert browser.user is not None


def test_a_token_works_once_in_the_fleet(browser: AppBrowser, signer: Signer) -> None:
    token = signer.token(sub=JANE)
    answers = []
    for _ in range(6):
        # A connection for each: either worker may get it.
        with httpx.Client(verify=browser.trust, base_url=f"https://localhost:{browser.app.server.port}") as http:
            answers.append(http.post("/backchannel-logout", data={"logout_token": token}).status_code)
    assert answers == [200, 400, 400, 400, 400, 400]


def test_a_token_is_remembered_for_as_long_as_it_would_pass_as_fresh(browser: AppBrowser, signer: Signer) -> None:
    assert deliver(browser, signer.token(sub=JANE)).status_code == 200
    assert browser.app.redis is not None
    [key] = browser.app.redis.client.keys("session:once:*")  # type: ignore[misc]
    # Its `iat` may be ahead by the leeway of 10 s, and is old 10 s later than it says.
    assert browser.app.redis.client.ttl(key) > FRESH_SECONDS + 2 * 10  # type: ignore[operator]


def wrong(now: int) -> dict[str, dict[str, Any]]:
    return {
        "no iss": {"iss": None},
        "another iss": {"iss": "https://evil.example/"},
        "no aud": {"aud": None},
        "another aud": {"aud": "another-client"},
        "no iat": {"iat": None},
        "an old iat": {"iat": now - 400},
        "a future iat": {"iat": now + 60},
        "an iat in words": {"iat": str(now)},
        "an iat that is no time": {"iat": [now]},
        "no exp": {"exp": None},
        "a past exp": {"exp": now - 60},
        "no jti": {"jti": None},
        "an empty jti": {"jti": ""},
        "a number as jti": {"jti": 7},
        "no events": {"events": None},
        "a list of events": {"events": [EVENT]},
        "another event": {"events": {"http://schemas.openid.net/event/other": {}}},
        "an event that is no object": {"events": {EVENT: "yes"}},
        "a nonce": {"nonce": "n"},
        "nobody": {"sub": None},
        "an empty sub": {"sub": ""},
        "a number as sid": {"sid": 1},
        "typ of an ID token": {"header": {"typ": "JWT"}},
        "no typ": {"header": {"typ": ""}},
        "another key": {"key": rsa.generate_private_key(public_exponent=65_537, key_size=2048)},
        "no key id": {"header": {"kid": None}},
        "an unknown key id": {"header": {"kid": "unknown"}},
        "no signature": {"algorithm": "none"},
        "a shared secret": {"algorithm": "HS256", "key": "the-public-key-taken-as-a-secret-of-32-bytes"},
    }


@pytest.mark.parametrize("what", wrong(0))
def test_a_token_that_is_not_right_ends_nothing(browser: AppBrowser, signer: Signer, what: str) -> None:
    browser.sign_in_as()
    answer = deliver(browser, signer.token(**({"sub": JANE} | wrong(int(time.time()))[what])))
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
    assert browser.user is not None


def test_an_id_token_is_no_logout_token(browser: AppBrowser) -> None:
    browser.sign_in_as()
    token = browser.get("/tests/session").json()["session"]["id_token"]
    browser.secrets.add(token)
    assert deliver(browser, token).status_code == 400
    assert browser.user is not None


@pytest.mark.parametrize(
    "options",
    [
        {"data": {}},
        {"data": {"logout_token": ["a", "b"]}},
        {"data": {"logout_token": "x" * 9000}},
        {"data": {"logout_token": "\x00"}},
        {"data": {"logout_token": "é.é.é"}},
        {"data": {"logout_token": f"{urlsafe_b64encode(b'[' * 3000).decode()}.e30.AA"}},
        {"json": {"logout_token": "a.b.c"}},
        {"content": b"logout_token=a.b.c", "headers": {"content-type": "text/plain"}},
        {"params": {"logout_token": "a.b.c"}, "data": {}},
    ],
)
def test_what_is_no_delivery_is_a_400(browser: AppBrowser, options: dict[str, Any]) -> None:
    assert deliver(browser, **options).status_code == 400


@pytest.mark.parametrize("how", ["twice", "in parts", "as JSON", "in the address", "too long"])
def test_a_good_token_that_comes_in_another_way_ends_nothing(browser: AppBrowser, signer: Signer, how: str) -> None:
    browser.sign_in_as()
    good = signer.token(sub=JANE)
    options: dict[str, dict[str, Any]] = {
        "twice": {"data": {"logout_token": [good, signer.token(sub=JANE)]}},
        "in parts": {"data": {}, "files": {"logout_token": (None, good)}},
        "as JSON": {"json": {"logout_token": good}},
        "in the address": {"params": {"logout_token": good}, "data": {}},
        "too long": {"data": {"logout_token": signer.token(sub=JANE, padding="x" * 8192)}},
    }
    answer = deliver(browser, **options[how])
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
    assert "form" in browser.line_of(answer, "back-channel logout refused")["reason"]
    assert browser.user is not None


@pytest.mark.parametrize("chunked", [False, True])
def test_a_form_of_very_many_fields_is_not_read(browser: AppBrowser, chunked: bool) -> None:
    """A form of half a megabyte can have 250,000 fields, and would keep everybody waiting for a second."""
    form = b"a&" * 10_000
    headers = {"content-type": "application/x-www-form-urlencoded"}
    assert deliver(browser, content=iter([form]) if chunked else form, headers=headers).status_code == 413


def test_a_flood_of_forged_tokens_is_one_fetch_of_the_keys_and_costs_no_login(
    browser: AppBrowser, served: ServedApp, signer: Signer
) -> None:
    browser.sign_in_as()
    before = served.provider.knobs.counters().get(KEYS, 0)
    for number in range(100):
        token = signer.token(sub=JANE, header={"kid": f"unknown-{number}"})
        assert deliver(browser, token).status_code == 400
    assert served.provider.knobs.counters().get(KEYS, 0) - before <= 1
    assert browser.sign_in_as().is_success
    served.provider.knobs.rotate_key(keep_old=True)
    browser.visit("/logout")
    assert browser.sign_in_as().is_success
    assert browser.user is not None


@pytest.mark.parametrize("by", ["sid", "sub"])
def test_a_login_that_is_under_way_does_not_survive(browser: AppBrowser, signer: Signer, by: str) -> None:
    browser.sign_in_as()
    sid = sid_of(browser)
    # Signed in at the provider already, so that the next login is of the same session there.
    callback = location(browser.open(location(browser.get("/login"))))
    assert deliver(browser, signer.token(**({"sid": sid} if by == "sid" else {"sub": JANE}))).status_code == 200
    answer = browser.visit(callback)
    browser.failed(answer, 400, "This sign-in is no longer valid", "expired")
    assert browser.user is None


@pytest.mark.parametrize("by", ["sid", "sub"])
def test_a_login_that_begins_later_is_let_in_unless_it_is_of_the_session_that_was_ended(
    browser: AppBrowser, signer: Signer, by: str
) -> None:
    """The provider's session goes on here, as it does nowhere else: what it ended is never to come back."""
    browser.sign_in_as()
    named = {"sid": sid_of(browser)} if by == "sid" else {"sub": JANE}
    assert deliver(browser, signer.token(**named)).status_code == 200
    answer = browser.visit(location(browser.open(location(browser.get("/login")))))
    if by == "sid":
        browser.failed(answer, 400, "This sign-in is no longer valid", "expired")
    assert (browser.user is None) == (by == "sid")


@pytest.mark.parametrize("kind", ["application/logout+jwt", "Logout+JWT"])
def test_a_token_may_call_its_kind_by_the_whole_name_and_in_any_case(
    browser: AppBrowser, signer: Signer, kind: str
) -> None:
    """A media type (RFC 7515, 4.1.9)."""
    assert deliver(browser, signer.token(sub=JANE, header={"typ": kind})).status_code == 200


def test_what_is_ended_is_written_to_the_log_without_names(browser: AppBrowser, signer: Signer) -> None:
    browser.sign_in_as()
    answer = deliver(browser, signer.token(sid=sid_of(browser)))
    assert browser.line_of(answer, "back-channel logout")["sessions"] == 1
    refused = deliver(browser, signer.token(sub=JANE, nonce="n"))
    assert "nonce" in browser.line_of(refused, "back-channel logout refused")["reason"]
    assert JANE not in browser.app.log


@pytest.mark.parametrize("backend", ["cookie"])
def test_sessions_in_cookies_are_out_of_reach_and_the_answer_says_so(
    make_app: MakeApp, new_browser: MakeBrowser, backend: str
) -> None:
    browser = new_browser(make_app())
    browser.sign_in_as()
    answer = deliver(browser, "a.b.c")
    assert (answer.status_code, answer.json()["error"]) == (501, "unsupported")
    assert browser.user is not None
    assert "Sign out everywhere" not in browser.get("/profile").text


def test_a_user_sees_where_they_are_signed_in_and_ends_one_session(
    browser: AppBrowser, new_browser: MakeBrowser
) -> None:
    other = new_browser(browser.app)
    browser.http.headers["user-agent"] = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
    other.http.headers["user-agent"] = "Mozilla/5.0 (Windows NT 10.0) Chrome/140.0.0.0 Safari/537.36 <b>x</b>"
    browser.sign_in_as()
    other.sign_in_as()
    page = browser.get("/profile").text
    rows = re.findall(r'<th scope="row">(\w+ on \w+)</th>', page)
    assert sorted(rows) == ["Chrome on Windows", "Firefox on Linux"]
    assert page.count("this session") == 1
    [name] = re.findall('name="name" value="([0-9a-f]+)"', page)
    here = {"origin": browser.app.origin}
    answer = browser.request("POST", "/profile/sessions", data={"name": name}, headers=here)
    assert (answer.status_code, location(answer)) == (303, "/profile")
    assert (browser.user is not None, other.user) == (True, None)


def test_a_user_signs_out_everywhere(browser: AppBrowser, new_browser: MakeBrowser) -> None:
    other = new_browser(browser.app)
    browser.sign_in_as()
    other.sign_in_as()
    answer = browser.request("POST", "/profile/sessions", headers={"origin": browser.app.origin})
    assert heading_of(browser.follow(answer)) == "Welcome!"
    assert (browser.user, other.user) == (None, None)
    assert browser.sign_in_as().is_success
    assert browser.user is not None


def test_one_user_cannot_end_anothers_session(browser: AppBrowser, new_browser: MakeBrowser) -> None:
    other = new_browser(browser.app)
    browser.sign_in_as()
    new_browser(browser.app).sign_in_as()
    [name] = re.findall('name="name" value="([0-9a-f]+)"', browser.get("/profile").text)
    other.sign_in_as("john@example.com", "battery-staple")
    other.request("POST", "/profile/sessions", data={"name": name}, headers={"origin": browser.app.origin})
    assert re.findall('name="name" value="([0-9a-f]+)"', browser.get("/profile").text) == [name]


@pytest.mark.parametrize(
    "headers",
    [{}, {"origin": "https://evil.example"}, {"sec-fetch-site": "same-site"}, {"sec-fetch-site": "cross-site"}],
)
def test_a_form_of_another_site_ends_nothing(browser: AppBrowser, headers: dict[str, str]) -> None:
    browser.sign_in_as()
    assert browser.request("POST", "/profile/sessions", headers=headers).status_code == 403
    assert browser.user is not None


@pytest.mark.parametrize("fault", ["failing", "slow"])
def test_a_token_that_could_not_be_verified_for_want_of_keys_counts_when_it_is_sent_again(
    make_app: MakeApp, new_browser: MakeBrowser, served: ServedApp, signer: Signer, fault: str
) -> None:
    browser = new_browser(make_app(served.provider, AUTH0_TIMEOUT_SECONDS="1"))
    knobs, token = served.provider.knobs, signer.token(sub=JANE)
    if fault == "failing":
        knobs.answer(KEYS, 503)
    else:
        knobs.delay(KEYS, 3)
    answer = deliver(browser, token)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
    assert "cannot be verified" in browser.line_of(answer, "back-channel logout refused")["reason"]
    knobs.reset()
    until(lambda: deliver(browser, token).status_code, lambda status: status == 200)


def test_a_token_whose_issuer_cannot_be_known_counts_when_it_is_sent_again(
    served: ServedApp, signer: Signer, variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keys are used for a day after they were fetched, and may have been fetched long after the metadata were."""
    provider = served.provider
    monkeypatch.setenv("SSL_CERT_FILE", str(provider.ca.path))
    assert served.redis is not None
    changes = {
        "AUTH0_DOMAIN": provider.domain,
        "AUTH0_CLIENT_ID": CLIENT["client_id"],
        "SESSION_BACKEND": "redis",
        "REDIS_URL": served.redis.url,
    }
    own = create_app(Settings.model_validate({name.lower(): value for name, value in (variables | changes).items()}))
    browser, auth0 = client_of(own), own.extensions["auth0"]
    await_(auth0._get_jwks_cached(provider.domain))
    metadata = auth0._metadata[provider.domain]
    metadata._good_until = metadata._stale_until = 0.0
    provider.knobs.answer("/.well-known/openid-configuration", 503)
    form = {"logout_token": signer.token(sub=JANE)}
    answer = browser.post("/backchannel-logout", data=form)
    assert (answer.status_code, answer.get_json()["error"]) == (400, "invalid_request")
    assert browser.post("/backchannel-logout", data=form).status_code == 200
    for close in (auth0.close, own.extensions["session_store"].close):
        await_(close())


def test_while_redis_is_away_a_delivery_fails_as_the_specification_says(
    make_app: MakeApp, new_browser: MakeBrowser, browser: AppBrowser, served: ServedApp, signer: Signer
) -> None:
    own = make_app(served.provider, REDIS_TIMEOUT_SECONDS="0.2")
    assert own.redis is not None
    own.redis.hang()
    answer = deliver(new_browser(own), signer.token(sub=JANE))
    assert (answer.status_code, answer.json()["error"]) == (400, "logout_failed")
    own.redis.resume()
    until(lambda: deliver(browser, signer.token(sub=JANE)).status_code, lambda status: status == 200)
    assert not [line for line in lines(own.log) if "exception" in line]
