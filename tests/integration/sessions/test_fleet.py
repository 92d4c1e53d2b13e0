"""The same session in several processes at once, for real: three servers with two workers each."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.integration.sessions.fleet import Browser, fleet
from tests.servers.gunicorn import Gunicorn
from tests.servers.redis import RedisServer

AT_ONCE = 16


@pytest.fixture(scope="module")
def servers(running_redis: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Gunicorn]]:
    folder = tmp_path_factory.mktemp("fleet")
    with fleet(folder, 3, REDIS_URL=running_redis.url, SERVER_WORKERS="2") as running:
        yield running


@pytest.fixture
def browser(servers: list[Gunicorn], redis: RedisServer) -> Browser:
    browser = Browser(servers)
    assert browser.post("/set", json={"user": "jane"}) == 200
    return browser


def same(browser: Browser) -> Browser:
    """Another tab of it."""
    return Browser(browser.fleet, browser.cookie)


def test_requests_that_change_different_keys_at_once_all_keep_their_changes(browser: Browser) -> None:
    def change(number: int) -> int:
        return same(browser).post("/set", browser.fleet[number % 3], json={f"key{number}": number})

    with ThreadPoolExecutor(AT_ONCE) as pool:
        assert set(pool.map(change, range(60))) == {200}
    assert browser.get("/get") == {"user": "jane"} | {f"key{number}": number for number in range(60)}


def test_after_a_logout_no_request_that_was_under_way_leaves_a_session(browser: Browser, redis: RedisServer) -> None:
    for _round in range(5):
        jane = Browser(browser.fleet)
        jane.post("/set", json={"user": "jane"})
        tabs = [same(jane) for _ in range(AT_ONCE)]
        with ThreadPoolExecutor(AT_ONCE) as pool:
            changing = [pool.submit(tab.post, "/set", json={f"key{n}": n}) for n, tab in enumerate(tabs)]
            assert same(jane).post("/clear") == 200
            assert {one.result() for one in changing} == {200}
        assert jane.get("/get") == {}


def test_under_the_lock_each_worker_sees_what_the_one_before_it_wrote(browser: Browser) -> None:
    def count(number: int) -> int:
        return same(browser).post("/counted/visits", browser.fleet[number % 3])

    with ThreadPoolExecutor(AT_ONCE) as pool:
        assert set(pool.map(count, range(50))) == {200}
    assert browser.get("/get")["visits"] == 50


def test_a_label_that_is_ended_during_logins_leaves_none_that_began_before(browser: Browser) -> None:
    now = int(time.time())
    visitors = [Browser(browser.fleet) for _ in range(30)]

    def log_in(visitor: Browser) -> int:
        return visitor.post(f"/index/sub:jane?since={now}")

    with ThreadPoolExecutor(AT_ONCE) as pool:
        logins = [pool.submit(log_in, visitor) for visitor in visitors]
        ended = pool.submit(same(browser).post, f"/end/sub:jane?at={now}")
        assert ended.result() == 200
        statuses = {login.result() for login in logins}
    assert statuses <= {200, 409}
    for visitor in visitors:
        assert visitor.get("/get") == {}
    # Who begins afterwards is let in.
    later = Browser(browser.fleet)
    assert later.post(f"/index/sub:jane?since={now + 1}") == 200
    assert later.get("/get") == {"label": "sub:jane"}
