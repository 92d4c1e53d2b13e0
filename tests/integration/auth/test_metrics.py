"""What happens at a login, a renewal and a logout is counted, once and under the right name."""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from scripts.certificates import CA
from tests.integration.browser import AppBrowser, heading_of, until
from tests.integration.conftest import MakeApp, MakeBrowser
from tests.servers.app import ServedApp, app
from tests.servers.identity import CLIENT, identity
from tests.servers.metrics import scrape
from tests.servers.redis import redis_server

Counts = dict[str, float]
OFFLINE = "openid profile email offline_access"
VISIT = {"sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
# Of everything that is not about the numbers of requests and commands themselves.
_ROOMS = ("auth_", "session_created", "session_ended", "session_undecryptable")


def counts(served: ServedApp) -> Counts:
    """Counters and numbers of observations, as `name{value,value}`."""
    return {
        f"{name}{{{','.join(value for _label, value in labels)}}}": value
        for (name, labels), value in scrape(served.server).series.items()
        if name.startswith(_ROOMS) and name.endswith(("_total", "_count"))
    }


@contextmanager
def counted(served: ServedApp) -> Iterator[Counts]:
    """What the block adds; filled in when it is over."""
    before, added = counts(served), Counts()
    yield added
    after = counts(served)
    added |= {name: value - before.get(name, 0) for name, value in after.items() if value != before.get(name, 0)}


def without_provider(added: Counts) -> Counts:
    """All but the calls to the provider, which depend on what this worker has fetched already."""
    return {name: value for name, value in added.items() if not name.startswith("auth_provider")}


def test_a_sign_in_and_a_logout_are_counted_at_each_step(browser: AppBrowser) -> None:
    with counted(browser.app) as added:
        callback = browser.callback()
    assert without_provider(added) == {"auth_logins_started_total{}": 1}
    with counted(browser.app) as added:
        browser.visit(callback)
    assert added.pop("auth_provider_request_duration_seconds_count{token,ok}") == 1
    assert without_provider(added) == {
        "auth_logins_completed_total{}": 1,
        "auth_callback_age_seconds_count{}": 1,
        "session_created_total{}": 1,
    }
    with counted(browser.app) as added:
        browser.sign_in_as()
    assert added["session_created_total{}"] == 1
    assert added["session_ended_total{replaced}"] == 1
    with counted(browser.app) as added:
        browser.get("/logout")
    assert added == {"auth_logouts_total{user}": 1, "session_ended_total{logout}": 1}
    with counted(browser.app) as added:
        browser.get("/logout")
    assert added == {"auth_logouts_total{user}": 1}


def test_back_and_reload_after_a_sign_in_are_no_failures(browser: AppBrowser) -> None:
    callback = browser.callback()
    browser.visit(callback)
    with counted(browser.app) as added:
        browser.visit(callback)
    assert without_provider(added) == {}


def test_the_age_of_a_callback_is_the_time_that_the_person_took(browser: AppBrowser) -> None:
    began = time.monotonic()
    callback = browser.callback()
    before = scrape(browser.app.server).value("auth_callback_age_seconds_sum")
    browser.visit(callback)
    took = scrape(browser.app.server).value("auth_callback_age_seconds_sum") - before
    assert 0 < took <= time.monotonic() - began


def test_a_failed_login_is_counted_by_step_and_cause(browser: AppBrowser) -> None:
    def failed(cause: str, step: str = "callback") -> str:
        return f"auth_logins_failed_total{{{cause},{step}}}"

    with counted(browser.app) as added:
        browser.deny()
    assert added[failed("denied")] == 1
    with counted(browser.app) as added:
        browser.get("/callback?code=abc&state=unknown")
    assert without_provider(added) == {failed("expired"): 1}

    callback = browser.callback()
    browser.app.provider.knobs.answer("/oauth/token", 500)
    with counted(browser.app) as added:
        browser.get(callback)
    assert added.pop("auth_provider_request_duration_seconds_count{token,down}") == 1
    assert without_provider(added) == {failed("provider_down"): 1, "auth_callback_age_seconds_count{}": 1}

    browser.http.cookies.set("refuse", "1", domain="localhost.local", path="/")
    with counted(browser.app) as added:
        browser.sign_in_as()
    assert added[failed("refused_by_hook")] == 1
    assert "auth_logins_completed_total{}" not in added


def test_a_provider_that_cannot_be_asked_fails_a_login_at_its_first_step(
    make_app: MakeApp, new_browser: MakeBrowser
) -> None:
    browser = new_browser(make_app())
    browser.app.provider.knobs.answer("/.well-known/openid-configuration", 503)
    with counted(browser.app) as added:
        browser.get("/login")
    assert added == {
        "auth_logins_failed_total{provider_down,login}": 1,
        "auth_provider_request_duration_seconds_count{metadata,down}": 1,
    }
    with counted(browser.app) as added:
        browser.sign_in_as()
    provider = "auth_provider_request_duration_seconds_count"
    assert {name: value for name, value in added.items() if name.startswith(provider)} == {
        f"{provider}{{{call},ok}}": 1 for call in ("metadata", "keys", "token")
    }


def test_a_login_whose_request_takes_too_long_is_one_that_timed_out(
    make_app: MakeApp, new_browser: MakeBrowser
) -> None:
    browser = new_browser(make_app(SERVER_REQUEST_TIMEOUT_SECONDS="2"))
    callback = browser.callback()
    browser.app.provider.knobs.delay("/oauth/token", 20)
    with counted(browser.app) as added:
        assert browser.get(callback).status_code == 504
    browser.app.provider.knobs.reset()
    assert added["auth_logins_failed_total{timed_out,callback}"] == 1
    assert added["auth_provider_request_duration_seconds_count{token,slow}"] == 1


def test_a_silent_sign_in_that_needs_the_person_is_no_failure_of_anybodys(
    make_app: MakeApp, new_browser: MakeBrowser
) -> None:
    browser = new_browser(make_app(AUTH0_SILENT_LOGIN="true"))
    with counted(browser.app) as added:
        assert heading_of(browser.follow(browser.get("/", headers=VISIT))) == "Welcome!"
    assert added["auth_logins_started_total{}"] == 1
    assert added["auth_logins_failed_total{needs_the_person,callback}"] == 1


def test_renewals_are_counted_by_outcome_and_so_is_the_wait_for_one(
    make_app: MakeApp, new_browser: MakeBrowser
) -> None:
    browser = new_browser(make_app(AUTH0_SCOPE=OFFLINE))
    knobs = browser.app.provider.knobs
    knobs.access_token_lifetime(1)
    browser.sign_in_as()
    calls = "auth_provider_request_duration_seconds_count{refresh,"

    def renewal() -> Counts:
        with counted(browser.app) as added:
            browser.get("/tests/token")
        return added

    def expired() -> Counts:
        # Only a token that has ended is asked for again after a failure.
        return until(renewal, bool)

    assert expired() == {
        "auth_token_refreshes_total{renewed}": 1,
        "auth_token_lock_wait_seconds_count{}": 1,
        calls + "ok}": 1,
    }
    knobs.answer("/oauth/token", 503)
    down = expired()
    assert (down["auth_token_refreshes_total{provider_down}"], down[calls + "down}"]) == (1, 1)
    with counted(browser.app) as added:
        browser.get("/tests/shared-token", params={"audience": "https://other.example.com/"})
    assert (added["auth_token_refreshes_total{refused}"], added[calls + "refused}"]) == (1, 1)
    knobs.refuse_refresh(1)
    until(expired, lambda added: added.get("auth_token_refreshes_total{reused}") == 1)


def test_what_is_pushed_and_revoked_at_the_provider_is_timed(make_app: MakeApp, new_browser: MakeBrowser) -> None:
    browser = new_browser(make_app(AUTH0_SCOPE=OFFLINE, AUTH0_PUSHED_AUTHORIZATION_REQUESTS="true"))
    calls = "auth_provider_request_duration_seconds_count"
    with counted(browser.app) as added:
        browser.sign_in_as()
    assert added[calls + "{par,ok}"] == 1
    browser.get("/logout")
    until(lambda: counts(browser.app).get(calls + "{revoke,ok}"), lambda count: count == 1)


@pytest.fixture(scope="module")
def delivering(ca: CA, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedApp]:
    """An app with Redis, to which the provider delivers logout tokens."""
    folder = tmp_path_factory.mktemp("delivering")
    with (
        identity(ca) as provider,
        redis_server(folder) as redis,
        app(folder / "app", provider, redis=redis, REDIS_TIMEOUT_SECONDS="0.5") as served,
    ):
        url = f"https://localhost:{served.server.port}/backchannel-logout"
        provider.knobs.change_clients({"client_id": CLIENT["client_id"], "backchannel_logout_uri": url})
        yield served


def test_sessions_that_the_provider_ends_are_counted(delivering: ServedApp, new_browser: MakeBrowser) -> None:
    browsers = [new_browser(delivering), new_browser(delivering)]
    for browser in browsers:
        browser.sign_in_as()
    with counted(delivering) as added:
        assert delivering.provider.knobs.end_sessions("jane@example.com") >= 1
        until(lambda: [browser.user for browser in browsers], lambda users: users == [None, None])
    assert added["session_ended_total{backchannel}"] == 2
    assert added["auth_backchannel_logouts_total{ended}"] >= 1
    with counted(delivering) as added:
        assert browsers[0].request("POST", "/backchannel-logout", data={"logout_token": "a.b.c"}).status_code == 400
    assert without_provider(added) == {"auth_backchannel_logouts_total{refused}": 1}


def test_an_app_with_sessions_in_cookies_says_that_it_was_asked_in_vain(
    apps: dict[str, ServedApp], new_browser: MakeBrowser
) -> None:
    browser = new_browser(apps["cookie"])
    with counted(browser.app) as added:
        assert browser.request("POST", "/backchannel-logout", data={"logout_token": "a.b.c"}).status_code == 501
    assert added == {"auth_backchannel_logouts_total{unsupported}": 1}


def test_devices_that_a_person_signs_out_are_counted(delivering: ServedApp, new_browser: MakeBrowser) -> None:
    here, there = new_browser(delivering), new_browser(delivering)
    for browser in (here, there):
        browser.sign_in_as()
    form = {"sec-fetch-site": "same-origin"}
    [name] = re.findall('name="name" value="([0-9a-f]+)"', here.get("/profile").text)
    with counted(delivering) as added:
        here.request("POST", "/profile/sessions", data={"name": name}, headers=form)
    assert added == {"auth_logouts_total{device}": 1, "session_ended_total{device}": 1}
    there.sign_in_as()
    with counted(delivering) as added:
        here.request("POST", "/profile/sessions", headers=form)
    assert added == {"auth_logouts_total{everywhere}": 1, "session_ended_total{everywhere}": 2}


def test_a_redis_that_is_away_is_told_by_outcome_circuit_and_cause(
    delivering: ServedApp, new_browser: MakeBrowser
) -> None:
    def value(name: str, **labels: str) -> float:
        return scrape(delivering.server).value(name, **labels)

    browser = new_browser(delivering)
    callback = browser.callback()
    requests = "session_store_request_duration_seconds_count"
    before = value(requests, outcome="unavailable")
    assert value("session_store_circuit_open") == 0
    assert value(requests, outcome="ok") > 0
    assert delivering.redis is not None
    delivering.redis.hang()
    try:
        with counted(delivering) as added:
            assert browser.get(callback).status_code == 503
        assert added["auth_logins_failed_total{store_unavailable,callback}"] == 1
        for _ in range(3):
            browser.get("/healthz/ready")
        until(lambda: value("session_store_circuit_open"), lambda is_open: is_open == 1)
        assert value(requests, outcome="unavailable") > before
        assert value("auth_backchannel_logouts_total", outcome="unavailable") == 0
        delivering.provider.knobs.end_sessions("jane@example.com")
        until(lambda: value("auth_backchannel_logouts_total", outcome="unavailable"), bool)
    finally:
        delivering.redis.resume()
    until(lambda: value("session_store_circuit_open"), lambda is_open: is_open == 0)
    before = value(requests, outcome="refused")
    delivering.redis.client.config_set("maxmemory", "1")
    try:
        browser.sign_in_as()
        until(lambda: value(requests, outcome="refused"), lambda count: count > before)
    finally:
        delivering.redis.client.config_set("maxmemory", "0")


def test_what_redis_holds_and_nobody_can_open_is_counted(delivering: ServedApp, new_browser: MakeBrowser) -> None:
    assert delivering.redis is not None
    redis = delivering.redis.client
    browser = new_browser(delivering)
    redis.flushdb()
    browser.sign_in_as()
    for notes in redis.keys("session:notes:*"):
        for name in redis.hkeys(notes):
            redis.hset(notes, name, b"not ours")
    with counted(delivering) as added:
        browser.get("/profile")
    assert added == {"session_undecryptable_total{note}": 1}
    [session] = [key for key in redis.keys("session:*") if key.count(b":") == 1]
    redis.set(session, b"not ours")
    with counted(delivering) as added:
        assert browser.user is None
    assert added == {"session_undecryptable_total{session}": 1}
