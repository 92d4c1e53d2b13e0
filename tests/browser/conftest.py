"""One provider, one app a session backend and one Chromium for the suite; a fresh person for each test.

Nothing here outlives the folder: Playwright's loop runs in the thread that the other suites' own loops need.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from scripts.certificates import CA, authority
from tests.browser.application import App, application, application_behind_nginx
from tests.browser.person import Person
from tests.browser.site import Site, site
from tests.servers.chromium import HOSTS, Chromium, chromium
from tests.servers.identity import IdentityProvider, identity
from tests.servers.redis import RedisServer, redis_server


@pytest.fixture(scope="package")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("browser")


@pytest.fixture(scope="package")
def ca(folder: Path) -> CA:
    return authority(folder / "certificates", permitted=HOSTS)


@pytest.fixture(scope="package")
def running_provider(ca: CA) -> Iterator[IdentityProvider]:
    with identity(ca) as running:
        yield running


@pytest.fixture
def provider(running_provider: IdentityProvider) -> Iterator[IdentityProvider]:
    """The provider, without what a test before made go wrong."""
    running_provider.knobs.reset()
    yield running_provider
    running_provider.knobs.reset()


@pytest.fixture(scope="package")
def cookie_app(folder: Path, running_provider: IdentityProvider) -> Iterator[App]:
    with application(folder / "cookie", running_provider) as running:
        yield running


@pytest.fixture(scope="package")
def redis(folder: Path) -> Iterator[RedisServer]:
    place = folder / "redis"
    place.mkdir()
    with redis_server(place) as server:
        yield server


@pytest.fixture(scope="package")
def redis_app(folder: Path, running_provider: IdentityProvider, redis: RedisServer) -> Iterator[App]:
    variables = {"SESSION_BACKEND": "redis", "REDIS_URL": redis.url}
    with application(folder / "redis-app", running_provider, environment=variables) as running:
        yield running


@pytest.fixture
def app(cookie_app: App, provider: IdentityProvider) -> App:
    """The app with sessions in cookies, for what does not depend on where they are."""
    return cookie_app


@pytest.fixture(scope="package")
def running_public_app(folder: Path, ca: CA, running_provider: IdentityProvider) -> Iterator[App]:
    certificate = ca.issue(HOSTS, stem="hosts")
    with application(folder / "public", running_provider, host=HOSTS[0], certificate=certificate) as running:
        yield running


@pytest.fixture
def public_app(running_public_app: App, provider: IdentityProvider) -> App:
    """The app under a name that is not the machine's own, in a domain that has other hosts."""
    return running_public_app


@pytest.fixture(scope="package")
def nginx_app(folder: Path, running_provider: IdentityProvider, redis: RedisServer) -> Iterator[App]:
    variables = {"SESSION_BACKEND": "redis", "REDIS_URL": redis.url}
    with application_behind_nginx(folder / "nginx-app", running_provider, environment=variables) as running:
        yield running


@pytest.fixture(params=["cookie", "redis"])
def each_app(request: pytest.FixtureRequest, provider: IdentityProvider) -> App:
    """The app with sessions in cookies, and in Redis."""
    running: App = request.getfixturevalue(f"{request.param}_app")
    return running


@pytest.fixture(params=["cookie", "redis", "nginx"])
def every_app(request: pytest.FixtureRequest, provider: IdentityProvider) -> App:
    """Those, and the app behind nginx."""
    running: App = request.getfixturevalue(f"{request.param}_app")
    return running


@pytest.fixture(scope="package")
def chrome(folder: Path, ca: CA) -> Iterator[Chromium]:
    with chromium(folder, ca) as start:
        yield start


@pytest.fixture(scope="package")
def browser(chrome: Chromium) -> Iterator[Browser]:
    running = chrome.browser()
    yield running
    running.close()


@pytest.fixture
def people(browser: Browser) -> Iterator[Callable[..., Person]]:
    """Makes people; at the end no browser of theirs may have complained, of a violated policy or of anything else."""
    with ExitStack() as stack:
        made: list[Person] = []

        def make(app: App, of: Any = browser, **options: Any) -> Person:
            made.append(stack.enter_context(Person(of, app, **options)))
            return made[-1]

        yield make
        complaints = [complaint for person in made for complaint in person.complaints]
    assert complaints == []


@pytest.fixture
def person(people: Callable[..., Person], app: App) -> Person:
    """Somebody who has never been at the app."""
    return people(app)


@pytest.fixture
def elsewhere(ca: CA) -> Iterator[Site]:
    """Somebody else's site."""
    with site(ca) as running:
        yield running
