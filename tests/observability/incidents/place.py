"""Where an incident happens, and who is there meanwhile.

Each has a namespace of its own, as in a cluster, so that all of them happen at the same time, seen by one Prometheus;
what alerts in one namespace is no other one's matter.
"""

import ssl
import threading
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from http.client import HTTPException, HTTPSConnection
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import httpx
import redis

from tests.integration.browser import AppBrowser
from tests.observability.watch import Watch
from tests.servers.app import ServedApp, app
from tests.servers.exporters import redis_exporter
from tests.servers.identity import CLIENT, IdentityProvider
from tests.servers.redis import RedisServer, redis_server

PAGES = "tests.observability.incidents.pages"


@dataclass
class Place:
    """Where one incident happens; what is entered on `stack` ends after all of them."""

    namespace: str
    folder: Path
    watch: Watch
    provider: IdentityProvider
    stack: ExitStack
    apps: list[ServedApp] = field(default_factory=list)

    def app(self, *, provider: IdentityProvider | None = None, **options: object) -> ServedApp:
        """Run the app, one worker of it, and let Prometheus know; *options* are those of `tests.servers.app.app`."""
        folder = self.folder / f"app-{len(self.apps)}"
        options = {"APP_PAGES": PAGES, **options}
        served = self.stack.enter_context(app(folder, provider or self.provider, **options))  # type: ignore[arg-type]
        self.apps.append(served)
        self.watch.scrape("app", self.namespace, *(urlsplit(each.server.metrics_url).netloc for each in self.apps))
        return served

    def redis(self) -> RedisServer:
        """Run a Redis and its exporter, and let Prometheus know."""
        folder = self.folder / "redis"
        folder.mkdir(parents=True)
        server = self.stack.enter_context(redis_server(folder))
        exporter = self.stack.enter_context(redis_exporter(self.folder / "exporter", server.url, "default", ""))
        self.watch.scrape("redis", self.namespace, exporter)
        return server

    def client(self, **fields: Any) -> str:
        """The id of a client at the provider that only this incident uses; *fields* are more of it, or others."""
        name = f"client-{self.namespace}"
        self.provider.knobs.change_clients(CLIENT | {"client_id": name} | fields)
        return name

    def browser(self, served: ServedApp) -> AppBrowser:
        """A browser for the incident itself."""
        browser = AppBrowser(served)
        self.stack.callback(browser.http.close)
        return browser

    def again(self, do: Callable[[], object], every: float, times: int = 0) -> None:
        """Do something every so many seconds, from now to the end or so many times."""
        self.stack.enter_context(Again(do, every, times))

    def visit(self, served: ServedApp, *paths: str, every: float = 0.4, times: int = 0, cookies: str = "") -> None:
        """Let somebody ask for *paths* again and again."""
        visitor = Visitor(served, paths, cookies)
        self.stack.callback(visitor.leave)
        self.again(visitor.ask, every, times)

    def sign_in(self, served: ServedApp, *, every: float = 0.4, times: int = 0) -> None:
        """Let somebody sign in again and again; whether it succeeds is the app's matter."""
        browser = self.browser(served)
        self.again(browser.sign_in_as, every, times)

    def seen(self) -> None:
        """Wait until Prometheus has seen how things are before the fault."""
        self.watch.prometheus.wait_for(f'min(count_over_time(app_info{{namespace="{self.namespace}"}}[1m])) >= 3')


class Again:
    """A thread that does something again and again; what it is done to may be broken at the moment."""

    def __init__(self, do: Callable[[], object], every: float, times: int) -> None:
        self._do = do
        self._every = every
        self._times = times
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._go_on)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._end.set()
        self._thread.join()

    def _go_on(self) -> None:
        done = 0
        while not self._end.wait(self._every) and (not self._times or done < self._times):
            done += 1
            try:
                self._do()
            except (OSError, HTTPException, httpx.TransportError, redis.ConnectionError):
                continue


class Visitor:
    """Somebody who asks for pages, with a session as it was: what the app says about it later is not followed.

    There are dozens of them in one process, hence the library's plain client: httpx takes three times the CPU.
    """

    def __init__(self, served: ServedApp, paths: tuple[str, ...], cookies: str) -> None:
        headers = {"Host": urlsplit(served.origin).netloc, "Accept": "text/html"}
        self._headers = headers | ({"Cookie": cookies} if cookies else {})
        self._paths = paths
        trust = ssl.create_default_context(cafile=str(served.provider.ca.path))
        self._http = HTTPSConnection("127.0.0.1", served.server.port, timeout=30, context=trust)

    def ask(self) -> None:
        """Ask for each of them once. Raises OSError or HTTPException where nobody answers."""
        try:
            for path in self._paths:
                self._http.request("GET", path, headers=self._headers)
                self._http.getresponse().read()
        except (OSError, HTTPException):
            # A connection that broke stays broken; the next request makes another one.
            self.leave()
            raise

    def leave(self) -> None:
        """Close the connection."""
        self._http.close()


@dataclass(frozen=True)
class Incident:
    """`happen` makes the fault and returns; `expected` are the alerts that come of it, and who is told of each."""

    name: str
    expected: Mapping[str, str]
    happen: Callable[[Place], None]


def incident(**expected: str) -> Callable[[Callable[[Place], None]], Incident]:
    """Make an incident of a function; its name is the namespace."""

    def made(happen: Callable[[Place], None]) -> Incident:
        return Incident(happen.__name__.replace("_", "-"), expected, happen)

    return made


def cookie_of(browser: AppBrowser) -> str:
    """The app's cookies, as a browser sends them."""
    return "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
