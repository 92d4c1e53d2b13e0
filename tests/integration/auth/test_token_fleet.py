"""One refresh at a time in the whole fleet: a rotating refresh token works once, and its second use ends its family."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import httpx
import pytest

from app.auth.tokens import LEASE_SECONDS
from tests.integration.browser import AppBrowser, until
from tests.integration.conftest import MakeApp, MakeBrowser
from tests.servers.app import ServedApp, app
from tests.servers.identity import IdentityProvider
from tests.servers.redis import redis_server

OFFLINE = "openid profile email offline_access"
REFRESHES = "/oauth/token refresh_token"


@pytest.fixture
def backend() -> str:
    return "redis"


@pytest.fixture(scope="module")
def running_fleet(running_provider: IdentityProvider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedApp]:
    """Three workers and a Redis of their own."""
    folder = tmp_path_factory.mktemp("fleet")
    with (
        redis_server(folder) as redis,
        app(folder, running_provider, redis=redis, workers=3, AUTH0_SCOPE=OFFLINE) as it,
    ):
        yield it


@pytest.fixture
def fleet(running_fleet: ServedApp) -> Iterator[ServedApp]:
    """All three, whatever a test before has done to one."""
    until(lambda: len(running_fleet.server.workers), lambda count: count == 3)
    running_fleet.provider.knobs.reset()
    yield running_fleet
    running_fleet.provider.knobs.reset()


@pytest.fixture
def browser(fleet: ServedApp, new_browser: MakeBrowser) -> AppBrowser:
    """Signed in, with a token that is to be renewed."""
    return signed_in(new_browser(fleet))


def signed_in(browser: AppBrowser) -> AppBrowser:
    knobs = browser.app.provider.knobs
    knobs.access_token_lifetime(1)
    browser.sign_in_as()
    knobs.access_token_lifetime(3600)
    return browser


@contextmanager
def connection(browser: AppBrowser) -> Iterator[httpx.Client]:
    """A connection with the browser's cookies: all that is sent over it goes to the same worker."""
    cookies = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    url = f"https://localhost:{browser.app.server.port}"
    with httpx.Client(base_url=url, headers={"cookie": cookies}, verify=browser.trust, timeout=60) as http:
        yield http


def worker_of(http: httpx.Client) -> int:
    worker: int = http.get("/tests/worker").json()["worker"]
    return worker


def tokens(browser: AppBrowser, count: int) -> list[tuple[str, int]]:
    """What so many requests at once get, each over a connection of its own: the token, and the worker."""
    ready = threading.Barrier(count)

    def ask(_number: int) -> tuple[str, int]:
        with connection(browser) as http:
            worker_of(http)
            ready.wait(60)
            answer = http.get("/tests/token")
            assert answer.status_code == 200, answer.text
            return answer.json()["token"], answer.json()["worker"]

    with ThreadPoolExecutor(count) as pool:
        found = list(pool.map(ask, range(count)))
    browser.secrets |= {token for token, _worker in found}
    return found


def refreshes(app: ServedApp) -> int:
    return app.provider.knobs.counters().get(REFRESHES, 0)


def test_fifty_requests_over_three_workers_make_one_call_and_all_get_the_token(
    fleet: ServedApp, browser: AppBrowser
) -> None:
    fleet.provider.knobs.delay("/oauth/token", 1)
    found = tokens(browser, 50)
    assert len({token for token, _worker in found}) == 1
    assert len({worker for _token, worker in found}) >= 2
    assert refreshes(fleet) == 1
    fleet.provider.knobs.delay("/oauth/token", 0)
    tokens(browser, 5)
    assert refreshes(fleet) == 1


def test_a_holder_that_is_slower_than_the_lease_keeps_it(fleet: ServedApp, browser: AppBrowser) -> None:
    fleet.provider.knobs.delay("/oauth/token", LEASE_SECONDS + 3)
    assert len({token for token, _worker in tokens(browser, 6)}) == 1
    assert refreshes(fleet) == 1


def test_a_holder_that_dies_is_replaced_within_the_lease(fleet: ServedApp, browser: AppBrowser) -> None:
    knobs = fleet.provider.knobs
    before = knobs.counters()["/oauth/token"]
    # What it asks for is never answered, nor worked on.
    knobs.delay("/oauth/token", 3600)
    with connection(browser) as http, ThreadPoolExecutor(1) as pool:
        holder = worker_of(http)
        lost = pool.submit(http.get, "/tests/token")
        until(lambda: knobs.counters()["/oauth/token"], lambda calls: calls == before + 1)
        os.kill(holder, signal.SIGKILL)
        assert isinstance(lost.exception(60), httpx.HTTPError)
    knobs.delay("/oauth/token", 0)
    start = time.monotonic()
    [(_token, worker)] = tokens(browser, 1)
    assert worker != holder
    # And what a busy machine takes for the rest.
    assert time.monotonic() - start < LEASE_SECONDS + 10
    assert refreshes(fleet) == 1


@pytest.mark.parametrize("backend", ["redis", "cookie"])
def test_a_renewal_outlives_the_request_that_began_it(
    make_app: MakeApp, new_browser: MakeBrowser, backend: str
) -> None:
    """The refresh token has been used up by then: without the next one the person would have to sign in again."""
    app = make_app(AUTH0_SCOPE=OFFLINE, SERVER_REQUEST_TIMEOUT_SECONDS="1")
    browser = signed_in(new_browser(app))
    app.provider.knobs.delay("/oauth/token", 3)
    assert browser.get("/tests/token").status_code == 504
    answer = until(lambda: browser.get("/tests/token"), lambda answer: answer.status_code != 504)
    assert answer.status_code == 200, answer.text
    browser.secrets.add(answer.json()["token"])
    assert refreshes(app) == 1


@pytest.mark.parametrize("how", ["by its user", "from outside"])
def test_a_session_that_ends_during_a_renewal_stays_ended_and_leaves_no_refresh_token(
    fleet: ServedApp, browser: AppBrowser, how: str
) -> None:
    knobs = fleet.provider.knobs
    before = knobs.counters()["/oauth/token"]
    knobs.delay("/oauth/token", 2)
    with connection(browser) as http, ThreadPoolExecutor(1) as pool:
        renewal = pool.submit(http.get, "/tests/token")
        until(lambda: knobs.counters()["/oauth/token"], lambda calls: calls == before + 1)
        if how == "by its user":
            with connection(browser) as other:
                assert other.get("/logout").status_code == 302
        else:
            assert fleet.redis is not None
            fleet.redis.client.flushdb()
        answer = renewal.result(60)
        assert (answer.status_code, "Please sign in again" in answer.text) == (403, True)
    # The old one by the logout, and its family with it; the new one by whoever could not store it any more.
    until(lambda: knobs.counters().get("/oauth/revoke", 0), lambda calls: calls == 1)
    with connection(browser) as http:
        assert http.get("/tests/user").json() == {"user": None}


@pytest.mark.parametrize("backend", ["cookie"])
def test_requests_of_one_worker_share_a_renewal_in_cookies_too(
    make_app: MakeApp, new_browser: MakeBrowser, backend: str
) -> None:
    app = make_app(AUTH0_SCOPE=OFFLINE)
    browser = signed_in(new_browser(app))
    app.provider.knobs.delay("/oauth/token", 1)
    assert len({token for token, _worker in tokens(browser, 10)}) == 1
    assert refreshes(app) == 1


@pytest.mark.parametrize(("fault", "told"), [("down", 503), ("refused", 403)])
def test_when_the_provider_fails_all_who_wait_are_told_and_none_asks_again(
    make_app: MakeApp, new_browser: MakeBrowser, fault: str, told: int
) -> None:
    app = make_app(workers=1, AUTH0_SCOPE=OFFLINE)
    browser = new_browser(app)
    app.provider.knobs.access_token_lifetime(1)
    browser.sign_in_as()
    state = browser.get("/tests/session").json()["session"]
    browser.secrets |= {state["refresh_token"], state["id_token"]}
    until(time.time, lambda now: now > state["token_sets"][0]["expires_at"])
    before = app.provider.knobs.counters()["/oauth/token"]
    app.provider.knobs.delay("/oauth/token", 2)
    if fault == "down":
        app.provider.knobs.answer("/oauth/token", 503, times=1000)
    else:
        app.provider.knobs.refuse_refresh(1)
    ready = threading.Barrier(10)

    def status(_number: int) -> int:
        with connection(browser) as http:
            worker_of(http)
            ready.wait(60)
            return http.get("/tests/token").status_code

    with ThreadPoolExecutor(10) as pool:
        assert set(pool.map(status, range(10))) == {told}
    assert app.provider.knobs.counters()["/oauth/token"] == before + 1
