"""What a browser may hold, from whom, and for how long: fixation, several tabs and users, theft, logout."""

from typing import Any

import pytest

from app.sessions.entries import key_of, name_of
from tests.integration.browser import AppBrowser, heading_of
from tests.integration.conftest import MakeBrowser
from tests.integration.identity.browser import location
from tests.servers.app import ServedApp

SESSION = "__Host-session"
EXPIRED = "This sign-in is no longer valid"
HELLO = "Hello, Jane Doe!"


def logins(browser: AppBrowser) -> list[str]:
    """The browser's cookies of logins in progress."""
    return [name for name in browser.cookies if name.startswith("__Host-login.")]


@pytest.mark.parametrize("return_to", ["/", "/" + "a" * 8000])
def test_a_login_in_progress_leaves_one_short_cookie_and_nothing_in_redis(browser: AppBrowser, return_to: str) -> None:
    redis = browser.app.redis
    before = redis.client.dbsize() if redis else 0
    answer = browser.get("/login", params={"return_to": return_to})
    [name] = browser.cookies
    assert name in logins(browser)
    [header] = answer.headers.get_list("set-cookie")
    assert "Max-Age=600" in header
    assert len(header) < 1000
    assert (redis.client.dbsize() if redis else 0) == before


def test_two_tabs_sign_in_at_once_and_each_comes_back_to_its_own_page(browser: AppBrowser) -> None:
    first, second = browser.callback("/login?return_to=/profile"), browser.callback("/login?return_to=/guarded/page")
    assert browser.visit(second).text == "for who is signed in"
    assert browser.visit(first).url.path == "/profile"
    assert logins(browser) == []


def test_of_six_logins_in_progress_the_oldest_is_given_up_and_five_work(browser: AppBrowser) -> None:
    callbacks = [browser.callback() for _ in range(6)]
    assert len(logins(browser)) == 5
    browser.failed(browser.get(callbacks[0]), 400, EXPIRED, "expired")
    for callback in callbacks[1:]:
        assert heading_of(browser.visit(callback)) == HELLO
    assert logins(browser) == []


def test_a_session_id_planted_before_login_is_not_the_session_after(
    browser: AppBrowser, other_browser: AppBrowser
) -> None:
    """Flask-Session goes on with whatever id the browser brought: the attacker who planted it is signed in too."""
    other_browser.request("POST", "/tests/keep/bait")
    planted = other_browser.cookies[SESSION]
    for name, value in other_browser.cookies.items():
        browser.set_cookie(name, value)
    assert browser.get("/tests/kept").json() == {"kept": "bait"}

    browser.sign_in_as()
    assert browser.cookies[SESSION] != planted
    assert other_browser.user is None
    assert other_browser.get("/tests/kept").json()["kept"] in (None, "bait")


def test_a_made_up_session_id_does_not_become_a_session(browser: AppBrowser) -> None:
    browser.set_cookie(SESSION, "an-id-that-somebody-made-up-for-it")
    browser.sign_in_as()
    assert browser.cookies[SESSION] != "an-id-that-somebody-made-up-for-it"


def test_what_an_anonymous_visitor_kept_is_there_after_login(browser: AppBrowser) -> None:
    browser.request("POST", "/tests/keep/cart")
    browser.sign_in_as()
    assert browser.get("/tests/kept").json() == {"kept": "cart"}


def test_signing_in_anew_keeps_ones_own_data_under_a_new_id(browser: AppBrowser) -> None:
    browser.sign_in_as()
    browser.request("POST", "/tests/keep/mine")
    before = browser.cookies[SESSION]
    browser.sign_in_as()
    assert browser.cookies[SESSION] != before
    assert browser.get("/tests/kept").json() == {"kept": "mine"}


def test_another_user_in_the_same_browser_inherits_nothing(browser: AppBrowser) -> None:
    browser.sign_in_as()
    browser.request("POST", "/tests/keep/janes")
    # As another person would find the browser: still signed in here, but no longer at the provider.
    browser.delete_cookie("__Host-identity-session")
    browser.sign_in_as("john@example.com", "battery-staple")
    assert browser.user is not None
    assert browser.user["name"] == "John Roe"
    assert browser.get("/tests/kept").json() == {"kept": None}


def test_who_signs_in_after_a_logout_inherits_nothing(browser: AppBrowser) -> None:
    browser.sign_in_as()
    browser.request("POST", "/tests/keep/janes")
    browser.visit("/logout")
    assert browser.get("/tests/kept").json() == {"kept": None}
    browser.sign_in_as("john@example.com", "battery-staple")
    assert browser.get("/tests/kept").json() == {"kept": None}


def test_two_browsers_are_two_sessions(browser: AppBrowser, other_browser: AppBrowser) -> None:
    browser.sign_in_as()
    other_browser.sign_in_as("john@example.com", "battery-staple")
    assert browser.user is not None
    assert other_browser.user is not None
    assert (browser.user["name"], other_browser.user["name"]) == ("Jane Doe", "John Roe")
    browser.visit("/logout")
    assert browser.user is None
    assert other_browser.user is not None


def test_a_cookie_stolen_before_a_logout_is_worthless_after_it_in_redis(
    apps: dict[str, ServedApp], new_browser: MakeBrowser
) -> None:
    """In cookies alone a logout cannot reach a copy: docs say so, and it ends with the session's absolute life."""
    browser, thief = new_browser(apps["redis"]), new_browser(apps["redis"])
    browser.sign_in_as()
    thief.set_cookie(SESSION, browser.cookies[SESSION])
    assert thief.user is not None
    redis = browser.app.redis
    assert redis is not None
    kept = key_of(name_of(browser.cookies[SESSION]))
    assert redis.client.exists(kept)
    browser.get("/logout")
    assert not redis.client.exists(kept)
    assert thief.user is None
    assert location(thief.get("/profile")).startswith("/login")


def test_a_session_ends_with_its_id_when_it_is_regenerated_in_redis(
    apps: dict[str, ServedApp], new_browser: MakeBrowser
) -> None:
    browser, thief = new_browser(apps["redis"]), new_browser(apps["redis"])
    browser.sign_in_as()
    thief.set_cookie(SESSION, browser.cookies[SESSION])
    browser.sign_in_as()
    assert thief.user is None
    assert browser.user is not None


@pytest.mark.parametrize("backend", ["redis"])
def test_a_page_that_only_reads_costs_one_command_of_redis_and_none_without_a_cookie(
    browser: AppBrowser, other_browser: AppBrowser
) -> None:
    assert browser.app.redis is not None
    redis = browser.app.redis.client
    browser.sign_in_as()
    # A connection that is new says who it is.
    browser.get("/")
    for visitor, path, wanted in ((browser, "/", 1), (browser, "/guarded/page", 1), (other_browser, "/", 0)):
        redis.config_resetstat()
        assert visitor.get(path).status_code == 200
        stats: dict[str, Any] = redis.info("commandstats")  # type: ignore[assignment]
        asked = {name.removeprefix("cmdstat_"): stat["calls"] for name, stat in stats.items()}
        of_sessions = {name: calls for name, calls in asked.items() if name.partition("|")[0] not in _OF_CONNECTIONS}
        assert sum(of_sessions.values()) == wanted, (path, of_sessions)


_OF_CONNECTIONS = ("auth", "client", "config", "hello", "info", "select")


@pytest.mark.parametrize("path", ["/", "/profile", "/tests/user"])
def test_a_page_that_only_reads_sets_no_cookie(browser: AppBrowser, path: str) -> None:
    browser.sign_in_as()
    assert "set-cookie" not in browser.get(path).headers
    assert "set-cookie" not in browser.get("/no-such-page").headers


def test_what_depends_on_the_session_is_never_shared_by_a_cache(browser: AppBrowser) -> None:
    browser.sign_in_as()
    answer = browser.get("/profile")
    assert answer.headers["cache-control"] == "no-store"
    assert "Cookie" in answer.headers["vary"]
