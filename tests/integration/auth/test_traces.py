"""What a login and a logout look like in traces: below each request, its calls to the provider and to Redis."""

from collections.abc import Iterator

import pytest

from tests.integration.browser import AppBrowser, lines, until
from tests.integration.conftest import MakeApp, MakeBrowser
from tests.servers.app import allow
from tests.servers.collector import Collector, Span, collector

OFFLINE = "openid profile email offline_access"


@pytest.fixture
def collecting() -> Iterator[Collector]:
    with collector() as running:
        yield running


@pytest.fixture
def browser(make_app: MakeApp, new_browser: MakeBrowser, collecting: Collector, backend: str) -> AppBrowser:
    """A browser at an app that is traced."""
    return new_browser(
        make_app(
            AUTH0_SCOPE=OFFLINE,
            OTEL_EXPORTER_OTLP_ENDPOINT=collecting.endpoint,
            OTEL_BSP_SCHEDULE_DELAY="50",
        )
    )


def below(collecting: Collector, browser: AppBrowser, path: str, route: str, *wanted: str) -> list[Span]:
    """The spans below that of the last request to *path*, as soon as all the *wanted* names are among them."""
    # The one worker writes lines in their order: with this one, that of the request is there.
    browser.line_of(browser.get("/nowhere"))
    trace = [line["trace_id"] for line in lines(browser.app.log) if line.get("path") == path][-1]
    spans = collecting.wait_for(
        lambda spans: {route, *wanted} <= {span.name for span in spans if span.trace_id == trace}
    )
    [server] = [span for span in spans if span.trace_id == trace and span.kind == "server"]
    children = [span for span in spans if span.trace_id == trace and span.kind != "server"]
    assert {span.parent for span in children} <= {server.span_id}
    assert {span.kind for span in children} <= {"client"}
    for span in children:
        assert 0 < span.seconds < 60
        assert span.began >= server.began - 0.005
    return children


def commands(spans: list[Span]) -> set[str]:
    return {span.name for span in spans if span.attributes.get("db.system.name") == "redis"}


@pytest.mark.parametrize("backend", ["redis"])
def test_a_login_a_renewal_and_a_logout_show_whom_they_waited_for(browser: AppBrowser, collecting: Collector) -> None:
    # Less than AUTH0_TOKEN_MARGIN_SECONDS.
    browser.app.provider.knobs.access_token_lifetime(30)
    browser.sign_in_as()
    domain, _, port = browser.app.provider.domain.partition(":")
    # Fetched for the first login, and kept.
    [metadata] = below(collecting, browser, "/login", "GET /login", "provider metadata")
    assert metadata.attributes == {"server.address": domain, "server.port": int(port)}
    callback = below(collecting, browser, "/callback", "GET /callback", "provider token", "provider keys", "EVAL")
    assert {span.name for span in callback} >= {"provider token", "provider keys"}
    assert "EVAL" in commands(callback)
    assert "GET" in commands(below(collecting, browser, "/", "GET /", "GET"))

    assert browser.get("/tests/token").status_code == 200
    renewal = below(collecting, browser, "/tests/token", "GET /tests/token", "provider refresh")
    assert commands(renewal) >= {"GET", "EVAL"}

    browser.get("/logout")
    # The revocation goes on after the answer.
    below(collecting, browser, "/logout", "GET /logout", "provider revoke")


@pytest.mark.parametrize("backend", ["cookie"])
def test_sessions_in_cookies_ask_nobody(browser: AppBrowser, collecting: Collector) -> None:
    browser.sign_in_as()
    assert below(collecting, browser, "/", "GET /") == []
    assert commands(collecting.spans) == set()


@pytest.mark.parametrize("backend", ["cookie"])
def test_a_call_that_fails_is_a_failed_span(browser: AppBrowser, collecting: Collector) -> None:
    callback = browser.callback()
    browser.app.provider.knobs.answer("/oauth/token", 500)
    browser.get(callback)
    [token] = below(collecting, browser, "/callback", "GET /callback", "provider token")
    assert (token.failed, token.attributes["error.type"]) == (True, "down")


@pytest.mark.parametrize("backend", ["redis"])
def test_a_redis_that_is_away_is_a_failed_span_and_its_probes_are_none(
    browser: AppBrowser, collecting: Collector
) -> None:
    browser.sign_in_as()
    assert browser.app.redis is not None
    browser.app.redis.stop()
    page = browser.get("/profile")
    assert page.status_code == 503
    [command] = below(collecting, browser, "/profile", "GET /profile", "GET")
    assert (command.failed, command.attributes["error.type"]) == (True, "unavailable")
    until(lambda: browser.get("/tests/kept") and "no request waits" in browser.app.log, bool)
    browser.app.redis.start()
    allow(browser.app.redis)
    browser.app.server.wait_for("the session store answers again")
    # What was sent before this one's span is there as well, the probes' if they had any. The request that opened the
    # circuit was over by then.
    browser.get("/tests/user")
    below(collecting, browser, "/tests/user", "GET /tests/user", "GET")
    assert [span.name for span in below(collecting, browser, "/tests/kept", "GET /tests/kept", "GET")] == ["GET"]
