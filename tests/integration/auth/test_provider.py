"""How the app gets on with its provider: keys that rotate, outages, clocks, and each way to authenticate to it."""

import base64
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from app.auth.discovery import RETRY_SECONDS
from scripts.certificates import CA, authority
from tests.integration.browser import AppBrowser, lines, until
from tests.integration.conftest import MakeApp, MakeBrowser
from tests.integration.identity.browser import location, query
from tests.servers.app import CALLBACK
from tests.servers.identity import CLIENT, IdentityProvider, identity
from tests.servers.proxy import Proxy, http_proxy

METADATA, KEYS = "/.well-known/openid-configuration", "/.well-known/jwks.json"
OFFLINE = "openid profile email offline_access"
HELLO = "Hello, Jane Doe!"


@pytest.fixture
def backend() -> str:
    """It makes no difference here."""
    return "cookie"


@pytest.fixture(scope="module")
def changing_provider(ca: CA) -> Iterator[IdentityProvider]:
    """A provider of these tests' own, whose keys change: no app outlives its test."""
    with identity(ca) as provider:
        yield provider


@pytest.fixture
def provider(changing_provider: IdentityProvider) -> IdentityProvider:
    """It, without what a test before made go wrong."""
    changing_provider.knobs.reset()
    return changing_provider


def fetches(provider: IdentityProvider) -> tuple[int, int]:
    """How often its metadata and its keys were asked for."""
    counters = provider.knobs.counters()
    return counters.get(METADATA, 0), counters.get(KEYS, 0)


def test_twenty_cold_logins_at_once_fetch_metadata_and_keys_once(
    make_app: MakeApp, new_browser: MakeBrowser, provider: IdentityProvider
) -> None:
    """The SDK fetches them once for each login that finds none: twenty times."""
    app = make_app(provider)
    browsers = [new_browser(app) for _ in range(20)]
    # Slow enough that all are there before the answer is.
    provider.knobs.delay(METADATA, 1)
    provider.knobs.delay(KEYS, 1)
    with ThreadPoolExecutor(len(browsers)) as pool:
        callbacks = list(pool.map(AppBrowser.callback, browsers))
        pages = list(pool.map(AppBrowser.visit, browsers, callbacks))
    assert all(HELLO in page.text for page in pages)
    assert fetches(provider) == (1, 1)


def test_a_rotation_of_the_keys_costs_no_login_and_one_fetch(
    make_app: MakeApp, new_browser: MakeBrowser, provider: IdentityProvider
) -> None:
    app = make_app(provider)
    browsers = [new_browser(app) for _ in range(8)]
    assert HELLO in browsers[0].sign_in_as().text
    provider.knobs.rotate_key(keep_old=False)
    with ThreadPoolExecutor(len(browsers)) as pool:
        pages = list(pool.map(AppBrowser.sign_in_as, browsers))
    assert all(HELLO in page.text for page in pages)
    assert fetches(provider)[1] == 2


def test_metadata_and_keys_stay_in_use_while_they_cannot_be_had(
    make_app: MakeApp, new_browser: MakeBrowser, provider: IdentityProvider
) -> None:
    app = make_app(provider, AUTH0_KEYS_SECONDS="1")
    new_browser(app).sign_in_as()
    provider.knobs.answer(METADATA, 503, times=1000)
    provider.knobs.answer(KEYS, 503, times=1000)
    before = fetches(provider)
    warned = "the provider's keys cannot be fetched: the last one stays in use"

    def sign_in() -> bool:
        assert HELLO in new_browser(app).sign_in_as().text
        return any(line["message"] == warned for line in lines(app.log))

    start = time.monotonic()
    until(sign_in, bool)
    for _ in range(3):
        sign_in()
    tried = [now - then for now, then in zip(fetches(provider), before, strict=True)]
    # Asked once and then not again for a while: nobody waits for a provider that is known to be down.
    assert all(1 <= times <= 1 + (time.monotonic() - start) // RETRY_SECONDS for times in tried)


def test_keys_are_read_again_when_their_time_is_over(
    make_app: MakeApp, new_browser: MakeBrowser, provider: IdentityProvider
) -> None:
    app = make_app(provider, AUTH0_KEYS_SECONDS="1")
    new_browser(app).sign_in_as()
    before = fetches(provider)

    def both_again() -> bool:
        new_browser(app).sign_in_as()
        return all(now > then for now, then in zip(fetches(provider), before, strict=True))

    until(both_again, bool)


def test_clocks_may_differ_by_the_leeway(
    make_app: MakeApp, new_browser: MakeBrowser, provider: IdentityProvider
) -> None:
    """The SDK refuses an `iat` that is two seconds ahead."""
    browser = new_browser(make_app(provider, AUTH0_CLOCK_LEEWAY_SECONDS="120"))
    provider.knobs.clock(60)
    assert HELLO in browser.sign_in_as().text
    provider.knobs.clock(180)
    page = browser.visit(browser.callback())
    browser.failed(page, 500, "Signing in is not possible right now", "clock_skew")


def test_an_id_token_that_answers_another_request_is_refused(
    make_app: MakeApp, new_browser: MakeBrowser, provider: IdentityProvider
) -> None:
    """The SDK neither sends nor checks a nonce (OpenID Connect Core 3.1.3.7, 11)."""
    browser = new_browser(make_app(provider))
    nonces = set()
    for nonce in ("another-login", ""):
        sent = location(browser.get("/login"))
        nonces.add(query(sent)["nonce"])
        parameters = query(sent) | {"nonce": nonce}
        callback = browser.sign_in(f"{urlsplit(sent)._replace(query='').geturl()}?{urlencode(parameters)}")
        browser.failed(browser.visit(callback), 500, "Signing in is not possible right now", "untrusted_token")
        assert browser.user is None
    assert len(nonces) == 2
    assert all(len(nonce) >= 22 for nonce in nonces)


def test_pushed_parameters_do_not_pass_through_the_browser(
    make_app: MakeApp, new_browser: MakeBrowser, provider: IdentityProvider
) -> None:
    browser = new_browser(make_app(provider, AUTH0_PUSHED_AUTHORIZATION_REQUESTS="true", AUTH0_SCOPE=OFFLINE))
    sent = query(location(browser.get("/login?login_hint=jane@example.com&return_to=/profile")))
    assert set(sent) == {"client_id", "request_uri", "response_type"}
    assert browser.sign_in_as(login="/login?return_to=/profile").url.path == "/profile"
    assert browser.user is not None
    assert len(browser.user["nonce"]) >= 22
    assert provider.knobs.counters()["/oauth/par"] == 2
    assert browser.get("/tests/session").json()["session"]["refresh_token"]


def test_parameters_that_cannot_be_pushed_are_a_502(
    make_app: MakeApp, new_browser: MakeBrowser, provider: IdentityProvider
) -> None:
    browser = new_browser(make_app(provider, AUTH0_PUSHED_AUTHORIZATION_REQUESTS="true"))
    provider.knobs.answer("/oauth/par", 503)
    browser.failed(browser.get("/login"), 502, "Signing in is not possible right now", "provider_down")
    assert HELLO in browser.sign_in_as().text


def test_a_client_may_sign_its_calls_in_place_of_a_secret(
    make_app: MakeApp, new_browser: MakeBrowser, ca: CA, tmp_path: Path
) -> None:
    key = rsa.generate_private_key(public_exponent=65_537, key_size=2048)
    public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key()))
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (tmp_path / "key.pem").write_bytes(pem)
    client = {
        "client_id": "signs",
        "name": "Signs",
        "redirect_uris": [CALLBACK],
        "jwks": {"keys": [{**public, "kid": "first", "use": "sig", "alg": "RS256"}]},
    }
    with identity(ca, clients=[client]) as provider:
        app = make_app(
            provider,
            AUTH0_CLIENT_ID="signs",
            AUTH0_CLIENT_SECRET="",
            AUTH0_CLIENT_ASSERTION_KEY_FILE=str(tmp_path / "key.pem"),
            AUTH0_PUSHED_AUTHORIZATION_REQUESTS="true",
            AUTH0_SCOPE=OFFLINE,
        )
        browser = new_browser(app)
        provider.knobs.access_token_lifetime(1)
        assert HELLO in browser.sign_in_as().text
        first = token(browser)
        until(lambda: token(browser), lambda found: found != first)
        assert provider.knobs.counters()["/oauth/token refresh_token"] >= 1
    assert CLIENT["client_secret"] not in app.log


def test_a_client_may_show_a_certificate_in_place_of_a_secret(
    make_app: MakeApp, new_browser: MakeBrowser, ca: CA, tmp_path: Path
) -> None:
    certificate, key = ca.issue(stem="client")
    client = {
        "client_id": "shows",
        "name": "Shows",
        "redirect_uris": [CALLBACK],
        "tls_client_auth_san_dns": "localhost",
    }
    with identity(ca, clients=[client]) as provider:
        settings = {"AUTH0_CLIENT_ID": "shows", "AUTH0_CLIENT_SECRET": "", "AUTH0_SCOPE": OFFLINE}
        shown = {"AUTH0_CLIENT_CERTIFICATE": str(certificate), "AUTH0_CLIENT_CERTIFICATE_KEY": str(key)}
        pushed = {"AUTH0_PUSHED_AUTHORIZATION_REQUESTS": "true"}
        browser = new_browser(make_app(provider, **settings, **shown, **pushed))
        provider.knobs.access_token_lifetime(1)
        assert HELLO in browser.sign_in_as().text
        first = token(browser)
        until(lambda: token(browser), lambda found: found != first)
        browser.get("/logout")
        until(lambda: provider.knobs.counters().get("/oauth/revoke", 0), lambda calls: calls == 1)

        stranger = authority(tmp_path / "another").issue()
        wrong = dict(zip(shown, map(str, stranger), strict=True))
        browser = new_browser(make_app(provider, **settings, **wrong))
        page = browser.visit(browser.callback())
        assert (
            browser.failed(page, 500, "Signing in is not possible right now", "misconfigured")["code"]
            == "invalid_client"
        )


def token(browser: AppBrowser) -> str:
    found: str = browser.get("/tests/token").json()["token"]
    browser.secrets.add(found)
    return found


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    with http_proxy() as proxy:
        yield proxy


def test_all_calls_go_through_the_proxy(
    make_app: MakeApp, new_browser: MakeBrowser, provider: IdentityProvider, proxy: Proxy
) -> None:
    url = proxy.url.replace("//", "//user:marked-proxy-password@")
    browser = new_browser(make_app(provider, AUTH0_PROXY_URL=url, AUTH0_PUSHED_AUTHORIZATION_REQUESTS="true"))
    browser.secrets.add("marked-proxy-password")
    assert HELLO in browser.sign_in_as().text
    # Metadata, pushed parameters, code, keys.
    assert len(proxy.targets) == 4
    assert "answered <strong>200</strong>" in browser.get("/api-call").text
    assert proxy.targets == [provider.domain] * 5
    expected = "basic " + base64.b64encode(b"user:marked-proxy-password").decode().lower()
    assert {credentials.lower() for credentials in proxy.credentials} == {expected}


def test_a_proxy_that_is_gone_is_a_502(make_app: MakeApp, new_browser: MakeBrowser, provider: IdentityProvider) -> None:
    with http_proxy() as proxy:
        url = proxy.url
    browser = new_browser(make_app(provider, AUTH0_PROXY_URL=url))
    browser.failed(browser.get("/login"), 502, "Signing in is not possible right now", "provider_down")


def test_a_logout_may_end_the_session_behind_the_provider_too(
    make_app: MakeApp, new_browser: MakeBrowser, provider: IdentityProvider
) -> None:
    app = make_app(provider, AUTH0_LOGOUT_FEDERATED="true")
    browser = new_browser(app)
    browser.sign_in_as()
    url = location(browser.get("/logout"))
    assert query(url) == {"client_id": CLIENT["client_id"], "returnTo": app.origin, "federated": "true"}
    assert browser.user is None
