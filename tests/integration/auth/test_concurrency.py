"""Many people sign in at once, over two workers: each ends as themselves, and none fails."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from scripts.certificates import CA
from tests.integration.browser import AppBrowser, lines, until
from tests.integration.conftest import MakeApp, MakeBrowser, assert_clean
from tests.integration.identity.browser import location
from tests.servers.app import ServedApp
from tests.servers.identity import IdentityProvider, identity

LOGINS = 200
AT_ONCE = 32
PASSWORD = "the-same-for-all-of-them"


def person(number: int) -> dict[str, Any]:
    """A user of the provider, with a name that no other one has."""
    return {
        "user_id": f"auth0|{number:024}",
        "username": f"person-{number}@example.com",
        "password": PASSWORD,
        "name": f"Person {number}",
        "nickname": f"person-{number}",
        "email": f"person-{number}@example.com",
        "email_verified": True,
        "updated_at": "2026-01-15T09:30:00.000Z",
    }


@pytest.fixture(scope="module")
def crowded(ca: CA) -> Iterator[IdentityProvider]:
    """A provider that knows them all."""
    with identity(ca, users=[person(number) for number in range(LOGINS)]) as provider:
        yield provider


@pytest.mark.timeout(600)
def test_200_logins_32_at_a_time_over_2_workers_each_end_with_their_own_user(
    make_app: MakeApp, crowded: IdentityProvider
) -> None:
    """Flask's own adapter makes a loop for each request: 4 of 8 logins in a row failed with "Event loop is closed".

    With the SDK's client used from several threads one person's callback even made another's session. The app's async
    views and plain ones both ask who is there, while others sign in.
    """
    app = make_app(crowded, workers=2)

    def sign_in(number: int) -> set[str]:
        browser = AppBrowser(app)
        try:
            home = browser.sign_in_as(f"person-{number}@example.com", PASSWORD)
            seen = {home.text.partition("Hello, ")[2].partition("!")[0]}
            for path in ("/tests/user", "/tests/user-from-a-plain-view", "/tests/session"):
                answer = browser.get(path).json()
                user = answer["user"] if "user" in answer else answer["session"]["user"]
                seen.add(user["name"])
                assert user["sub"] == f"auth0|{number:024}"
            assert f"person-{number}@example.com" in browser.get("/api-call").text
            return seen
        finally:
            browser.http.close()

    with ThreadPoolExecutor(AT_ONCE) as pool:
        seen = list(pool.map(sign_in, range(LOGINS)))

    assert seen == [{f"Person {number}"} for number in range(LOGINS)]

    def requests_of(path: str = "") -> list[dict[str, Any]]:
        found = [line for line in lines(app.log) if line["message"] == "request"]
        return [line for line in found if line["path"].startswith(path)]

    # What each of them asked for last.
    until(lambda: requests_of("/api-call"), lambda found: len(found) == LOGINS)
    requests = requests_of()
    assert {line["status"] for line in requests if line["path"] == "/callback"} == {302}
    assert {line["status"] for line in requests} <= {200, 302}
    assert len([line for line in lines(app.log) if line["message"] == "login succeeded"]) == LOGINS
    assert_clean(app.log, set())


@pytest.mark.parametrize("before", ["nothing", "data of a page", "a login"])
def test_one_persons_tabs_sign_in_at_once(browser: AppBrowser, before: str) -> None:
    """As when a browser opens its tabs again. One of them gives the session from before its new id.

    One that is read only after that, still with the old cookie, gets a session of its own; what it must not do is to
    join the other by a cookie that somebody else may know (fixation).
    """
    if before == "data of a page":
        browser.request("POST", "/tests/keep/something")
    elif before == "a login":
        browser.sign_in_as()
    callbacks = [browser.callback(f"/login?return_to=/tests/user?tab={tab}") for tab in range(5)]
    with ThreadPoolExecutor(5) as pool:
        answers = list(pool.map(browser.get, callbacks))
    assert [location(answer) for answer in answers] == [f"/tests/user?tab={tab}" for tab in range(5)]
    assert browser.user is not None
    kept = browser.get("/tests/kept").json()["kept"]
    assert kept in ({"something", None} if before == "data of a page" else {None})


def test_one_callback_sent_twice_at_once_signs_in_once_and_breaks_nothing(
    browser: AppBrowser, served: ServedApp, new_browser: MakeBrowser
) -> None:
    """As a browser does that prefetches, or a person who clicks twice: both requests carry the login's cookie."""
    callback = browser.callback()
    twin = new_browser(served)
    for name, value in browser.cookies.items():
        twin.set_cookie(name, value)
    with ThreadPoolExecutor(2) as pool:
        statuses = sorted(pool.map(lambda who: who.get(callback).status_code, [browser, twin]))
    assert statuses == [302, 400]
