"""The pages that people come by, each with the way there: `with STOPS["profile"](surroundings): ...`."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

from playwright.sync_api import Page, expect

from tests.browser.application import App
from tests.browser.person import Person
from tests.servers.identity import IdentityProvider
from tests.servers.redis import RedisServer

STOPS: dict[str, Callable[["Surroundings"], AbstractContextManager[Page]]] = {}


@dataclass
class Surroundings:
    """Who walks there, and what can be made to go wrong meanwhile."""

    person: Person
    redis_app: App
    """The app that keeps sessions in `redis`."""
    redis: RedisServer
    provider: IdentityProvider
    without_app: str
    """The origin of an nginx behind which there is nothing."""


def stop(way: Callable[[Surroundings], Iterator[Page]]) -> Callable[[Surroundings], Iterator[Page]]:
    """Add the way to `STOPS`, by its name."""
    STOPS[way.__name__.replace("_", "-")] = contextmanager(way)
    return way


def arrived(page: Page, heading: str) -> Page:
    """Wait for the page with this heading."""
    expect(page.get_by_role("heading", level=1)).to_have_text(heading)
    return page


@stop
def home(s: Surroundings) -> Iterator[Page]:
    yield arrived(s.person.open(), "Welcome!")


@stop
def home_signed_in(s: Surroundings) -> Iterator[Page]:
    s.person.sign_in()
    yield arrived(s.person.page, "Hello, Jane Doe!")


@stop
def profile(s: Surroundings) -> Iterator[Page]:
    s.person.sign_in("/profile")
    yield arrived(s.person.page, "Jane Doe")


@stop
def profile_of_a_long_name(s: Surroundings) -> Iterator[Page]:
    s.person.sign_in("/profile", username="long@example.com", password="not-so-short")
    yield s.person.page


@stop
def profile_of_many_scripts(s: Surroundings) -> Iterator[Page]:
    s.person.sign_in("/profile", username="søren@example.com", password="smørrebrød")
    yield s.person.page


@stop
def api_call(s: Surroundings) -> Iterator[Page]:
    s.person.sign_in("/api-call")
    yield arrived(s.person.page, "API call")


@stop
def error_404(s: Surroundings) -> Iterator[Page]:
    yield arrived(s.person.open("/nowhere"), "Page not found")


@stop
def error_403_sign_in_cancelled(s: Surroundings) -> Iterator[Page]:
    s.person.open("/login").get_by_role("button", name="Cancel").click()
    yield arrived(s.person.page, "Sign-in was cancelled")


@stop
def error_400_sign_in_expired(s: Surroundings) -> Iterator[Page]:
    yield arrived(s.person.open("/callback?code=x&state=y"), "This sign-in is no longer valid")


@stop
def error_503_without_redis(s: Surroundings) -> Iterator[Page]:
    visitor = Person(s.person.context, s.redis_app)
    visitor.sign_in("/profile")
    s.redis.hang()
    try:
        yield arrived(visitor.open("/profile"), "Not available")
    finally:
        s.redis.resume()
        # The app finds out by itself, within a second.
        while (answer := visitor.page.reload()) is not None and answer.status == 503:
            visitor.page.wait_for_timeout(50)


@stop
def error_504_provider_slow(s: Surroundings) -> Iterator[Page]:
    s.provider.knobs.delay("/oauth/token", 30)
    s.person.open("/login")
    s.person.fill_in()
    yield arrived(s.person.page, "Signing in takes too long")


@stop
def nginx_without_app(s: Surroundings) -> Iterator[Page]:
    s.person.page.goto(s.without_app)
    yield s.person.page


@stop
def provider_sign_in(s: Surroundings) -> Iterator[Page]:
    yield arrived(s.person.open("/login"), "Sign in")


@stop
def provider_wrong_password(s: Surroundings) -> Iterator[Page]:
    s.person.open("/login")
    s.person.fill_in(password="wrong")
    expect(s.person.page.get_by_role("alert")).to_be_visible()
    yield s.person.page
