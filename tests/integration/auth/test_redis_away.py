"""Redis gone or hung at each step of a sign-in: a page that says so, at once, and nothing that lasts."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.integration.browser import AppBrowser, heading_of, lines, until
from tests.integration.conftest import MakeApp, MakeBrowser
from tests.integration.identity.browser import location
from tests.servers.app import ServedApp, allow, app
from tests.servers.identity import IdentityProvider
from tests.servers.redis import RedisServer, redis_server

AWAY = "Not available"
HELLO = "Hello, Jane Doe!"


@pytest.fixture(scope="module")
def own_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(scope="module")
def own_app(
    running_provider: IdentityProvider, own_redis: RedisServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServedApp]:
    folder = tmp_path_factory.mktemp("app")
    with app(folder, running_provider, redis=own_redis, REDIS_TIMEOUT_SECONDS="0.5") as served:
        yield served


@pytest.fixture
def browser(own_app: ServedApp, new_browser: MakeBrowser) -> AppBrowser:
    own_app.provider.knobs.reset()
    return new_browser(own_app)


@pytest.fixture
def stranger(own_app: ServedApp, new_browser: MakeBrowser) -> AppBrowser:
    """A browser without a session."""
    return new_browser(own_app)


@pytest.fixture(params=["hung", "refusing"])
def away(request: pytest.FixtureRequest, own_app: ServedApp, own_redis: RedisServer) -> Iterator[str]:
    """How Redis is away. It is there again after the test."""
    kind: str = request.param
    yield kind
    bring_back(own_app, own_redis)


def take_away(redis: RedisServer, how: str) -> None:
    """Let Redis be away from now on."""
    if how == "hung":
        redis.hang()
    else:
        # It answers, and takes no writes (OOM), as a full or a read-only Redis does.
        redis.client.config_set("maxmemory-policy", "noeviction")
        redis.client.config_set("maxmemory", "1")


def bring_back(app: ServedApp, redis: RedisServer) -> None:
    """Let Redis be there again, and the app know it."""
    redis.resume()
    redis.client.config_set("maxmemory", "0")
    browser = AppBrowser(app)
    until(lambda: browser.get("/healthz/ready").status_code, lambda status: status == 200)
    browser.http.close()


def unavailable(browser: AppBrowser, path: str) -> None:
    """A visit to *path* is a 503 page, soon, that says when to come back."""
    start = time.monotonic()
    answer = browser.get(path)
    browser.failed(answer, 503, AWAY)
    assert answer.headers["retry-after"] == "5"
    # Not redis-py's default of minutes; the time limit of half a second, with much room for a busy machine.
    assert time.monotonic() - start < 10


@pytest.mark.parametrize("away", ["hung"], indirect=True)
def test_each_page_of_a_signed_in_person_is_a_503_until_redis_is_back(
    browser: AppBrowser, own_redis: RedisServer, away: str
) -> None:
    browser.sign_in_as()
    take_away(own_redis, away)
    for path in ("/", "/profile", "/api-call", "/guarded/page", "/logout", "/tests/user-from-a-plain-view"):
        unavailable(browser, path)
    assert "set-cookie" not in browser.get("/profile").headers, "the session is not given up"
    bring_back(browser.app, own_redis)
    assert heading_of(browser.get("/")) == HELLO
    assert heading_of(browser.get("/profile")) == "Jane Doe"


@pytest.mark.parametrize("away", ["hung", "refusing"], indirect=True)
def test_a_login_that_cannot_be_stored_is_a_503_and_the_person_is_not_half_signed_in(
    browser: AppBrowser, own_redis: RedisServer, away: str
) -> None:
    callback = browser.callback()
    take_away(own_redis, away)
    unavailable(browser, callback)
    assert "__Host-session" not in browser.cookies
    bring_back(browser.app, own_redis)
    assert browser.user is None
    assert heading_of(browser.sign_in_as()) == HELLO


@pytest.mark.parametrize("away", ["hung"], indirect=True)
def test_a_second_login_of_who_is_signed_in_is_a_503_too(
    browser: AppBrowser, own_redis: RedisServer, away: str
) -> None:
    browser.sign_in_as()
    callback = browser.callback()
    take_away(own_redis, away)
    unavailable(browser, callback)
    bring_back(browser.app, own_redis)
    assert browser.user is not None


@pytest.mark.parametrize("away", ["refusing"], indirect=True)
def test_a_redis_that_takes_no_writes_still_knows_who_is_signed_in(
    browser: AppBrowser, own_redis: RedisServer, away: str
) -> None:
    browser.sign_in_as()
    take_away(own_redis, away)
    assert heading_of(browser.get("/profile")) == "Jane Doe"
    answer = browser.request("POST", "/tests/keep/more")
    browser.failed(answer, 503, AWAY)


@pytest.mark.parametrize("away", ["hung"], indirect=True)
def test_who_has_no_session_notices_nothing(
    browser: AppBrowser, stranger: AppBrowser, own_redis: RedisServer, away: str
) -> None:
    # The provider's metadata is read once, at the first login.
    browser.get("/login")
    take_away(own_redis, away)
    assert heading_of(stranger.get("/")) == "Welcome!"
    assert location(stranger.get("/login")).startswith(stranger.app.provider.issuer)
    assert location(stranger.get("/profile")).startswith("/login")
    assert stranger.get("/static/style.css").status_code == 200
    assert stranger.get("/no-such-page").status_code == 404
    assert location(stranger.get("/logout")).startswith(stranger.app.provider.issuer)


@pytest.mark.parametrize("away", ["hung"], indirect=True)
def test_the_process_is_live_but_not_ready(stranger: AppBrowser, own_redis: RedisServer, away: str) -> None:
    assert stranger.get("/healthz/ready").json() == {"status": "ready"}
    take_away(own_redis, away)
    answer = stranger.get("/healthz/ready")
    assert (answer.status_code, answer.json()) == (503, {"status": "the session store does not answer"})
    assert stranger.get("/healthz/live").status_code == 200
    bring_back(stranger.app, own_redis)
    assert stranger.get("/healthz/ready").status_code == 200


@pytest.mark.parametrize("away", ["hung"], indirect=True)
def test_the_log_says_what_is_wrong_once_for_a_request(browser: AppBrowser, own_redis: RedisServer, away: str) -> None:
    callback = browser.callback()
    take_away(own_redis, away)
    answer = browser.get(callback)
    assert browser.line_of(answer)["status"] == 503
    assert [line for line in lines(browser.app.log) if "the session store does not answer" in line["message"]]


@pytest.mark.parametrize("away", ["hung"], indirect=True)
def test_many_requests_wait_for_a_hung_redis_together_and_not_one_after_the_other(
    browser: AppBrowser, own_redis: RedisServer, away: str
) -> None:
    browser.sign_in_as()
    take_away(own_redis, away)
    start = time.monotonic()
    assert browser.get("/profile").status_code == 503
    one = time.monotonic() - start
    with ThreadPoolExecutor(16) as pool:
        statuses = list(pool.map(lambda _: browser.get("/profile").status_code, range(16)))
    assert set(statuses) == {503}
    # One after the other they would take sixteen times as long.
    assert time.monotonic() - start - one < 8 * one


def test_redis_that_is_gone_is_a_503_and_once_it_is_back_all_is_well(
    browser: AppBrowser, stranger: AppBrowser, own_redis: RedisServer
) -> None:
    browser.sign_in_as()
    own_redis.stop()
    try:
        unavailable(browser, "/profile")
        assert heading_of(stranger.get("/")) == "Welcome!"
        assert stranger.get("/healthz/ready").status_code == 503
    finally:
        own_redis.start()
        allow(own_redis)
    bring_back(browser.app, own_redis)
    assert browser.user is None, "this Redis keeps nothing on disk"
    assert heading_of(browser.sign_in_as()) == HELLO


def test_redis_that_is_emptied_signs_everybody_out_and_no_more(browser: AppBrowser, own_redis: RedisServer) -> None:
    browser.sign_in_as()
    own_redis.client.flushall()
    assert browser.user is None
    assert heading_of(browser.sign_in_as()) == HELLO


@pytest.mark.parametrize("backend", ["redis"])
def test_a_renewed_token_that_redis_does_not_take_is_brought_by_the_next_request(
    make_app: MakeApp, new_browser: MakeBrowser
) -> None:
    """The provider has answered: who came with the refresh token before would have it end them all."""
    app = make_app(AUTH0_SCOPE="openid profile email offline_access")
    assert app.redis is not None
    knobs = app.provider.knobs
    browser = new_browser(app)
    # Less than AUTH0_TOKEN_MARGIN_SECONDS, so that each of these is renewed when it is asked for.
    knobs.access_token_lifetime(1)
    browser.sign_in_as()
    before = knobs.counters()["/oauth/token"]
    knobs.delay("/oauth/token", 2)
    with ThreadPoolExecutor(1) as pool:
        renewal = pool.submit(browser.get, "/tests/token")
        until(lambda: knobs.counters()["/oauth/token"], lambda calls: calls == before + 1)
        take_away(app.redis, "refusing")
        browser.failed(renewal.result(60), 503, AWAY)
    bring_back(app, app.redis)
    knobs.delay("/oauth/token", 0)
    knobs.access_token_lifetime(3600)
    renewed = browser.get("/tests/token")
    assert renewed.status_code == 200, renewed.text
    again = browser.get("/tests/token").json()["token"]
    browser.secrets |= {renewed.json()["token"], again}
    assert again == renewed.json()["token"]
    state = browser.get("/tests/session").json()["session"]
    browser.secrets |= {state["refresh_token"], state["id_token"]}
    assert again in [tokens["access_token"] for tokens in state["token_sets"]], "Redis has it now"
