"""The real provider, and the app under the real gunicorn with its sessions in cookies and in a real Redis."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from tests.integration.browser import AppBrowser, lines
from tests.servers.app import ServedApp, app
from tests.servers.identity import IdentityProvider
from tests.servers.redis import RedisServer, redis_server

MakeApp = Callable[..., ServedApp]
MakeBrowser = Callable[..., AppBrowser]


@pytest.fixture(scope="session")
def session_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """The Redis that the app keeps its sessions in."""
    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(scope="session")
def apps(
    running_provider: IdentityProvider, session_redis: RedisServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, ServedApp]]:
    """The app with each kind of session, two workers each."""
    with with_each_backend(running_provider, session_redis, tmp_path_factory, workers=2) as running:
        yield running


@pytest.fixture(scope="session")
def offline_apps(
    running_provider: IdentityProvider, session_redis: RedisServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, ServedApp]]:
    """The app with each kind of session and with refresh tokens, one worker each."""
    scope = "openid profile email offline_access"
    with with_each_backend(running_provider, session_redis, tmp_path_factory, AUTH0_SCOPE=scope) as running:
        yield running


@contextmanager
def with_each_backend(
    provider: IdentityProvider, store: RedisServer, folders: pytest.TempPathFactory, **options: Any
) -> Iterator[dict[str, ServedApp]]:
    """Run the app once with sessions in cookies and once with those in *store*; *options* are those of `app`."""
    with ExitStack() as stack:
        yield {
            backend: stack.enter_context(app(folders.mktemp(f"app-{backend}"), provider, redis=redis, **options))
            for backend, redis in (("cookie", None), ("redis", store))
        }


@pytest.fixture(params=["cookie", "redis"])
def backend(request: pytest.FixtureRequest) -> str:
    """Where sessions are kept: a test that uses it, or what builds on it, runs with both."""
    kind: str = request.param
    return kind


@pytest.fixture
def served(apps: dict[str, ServedApp], backend: str) -> Iterator[ServedApp]:
    """The app with one kind of session; the provider's knobs are as at the start."""
    served = apps[backend]
    served.provider.knobs.reset()
    yield served
    served.provider.knobs.reset()


@pytest.fixture
def new_browser() -> Iterator[MakeBrowser]:
    """Make browsers; afterwards the app's log must hold nothing that they saw and that is secret."""
    browsers: list[AppBrowser] = []

    def make(app: ServedApp) -> AppBrowser:
        browsers.append(AppBrowser(app))
        return browsers[-1]

    yield make
    for browser in browsers:
        browser.http.close()
    for browser in browsers:
        assert_clean(browser.app.log, browser.secrets)


@pytest.fixture
def browser(served: ServedApp, new_browser: MakeBrowser) -> AppBrowser:
    """A browser that has never been to the app."""
    return new_browser(served)


@pytest.fixture
def other_browser(served: ServedApp, new_browser: MakeBrowser) -> AppBrowser:
    """Somebody else's browser."""
    return new_browser(served)


@pytest.fixture
def make_app(
    running_provider: IdentityProvider, backend: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[MakeApp]:
    """Start apps of a test's own, as in `make_app(AUTH0_SCOPE="openid")`; each has a Redis of its own, or cookies."""
    with ExitStack() as stack:

        def make(provider: IdentityProvider = running_provider, *, workers: int = 1, **settings: str) -> ServedApp:
            folder = tmp_path_factory.mktemp(f"app-{backend}")
            redis = stack.enter_context(redis_server(folder)) if backend == "redis" else None
            served = stack.enter_context(app(folder, provider, redis=redis, workers=workers, **settings))
            # Nobody looks at it any more then, and an orderly stop takes its time: tests/integration/server has many.
            stack.callback(served.server.kill)
            return served

        running_provider.knobs.reset()
        yield make
        running_provider.knobs.reset()


def assert_clean(log: str, secrets: set[str]) -> None:
    """Nothing secret is in *log*, and no traceback but that of the bug which the tests' pages have."""
    # Looked for as a whole, and read line by line only where it is found: the log of a shared app is long.
    found = [secret for secret in secrets if secret in log]
    assert not found, [line for line in log.splitlines() if any(secret in line for secret in found)]
    failed = [
        line
        for line in lines(log, '"exception"')
        if "exception" in line and "marked-detail-of-the-bug" not in line["exception"]
    ]
    assert not failed, failed
    assert "Traceback" not in "".join(line for line in log.splitlines() if not line.startswith("{"))
