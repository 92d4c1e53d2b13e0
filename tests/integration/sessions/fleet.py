"""Several gunicorns, each with workers of its own, on one session store; and a browser that is at all of them."""

import itertools
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from tests.servers.gunicorn import ENVIRONMENT, Gunicorn, gunicorn

NAME = "__Host-session"
HOST = urlsplit(ENVIRONMENT["AUTH0_REDIRECT_URI"]).netloc
PAGES = "tests.integration.sessions.pages"


@dataclass
class Browser:
    """Sends its cookie to one server of the fleet after the other, over plain HTTP, where no cookie jar would."""

    fleet: Sequence[Gunicorn]
    cookie: str = ""
    _turn: Iterator[int] = field(default_factory=itertools.count)

    def request(self, method: str, path: str, server: Gunicorn | None = None, **options: Any) -> httpx.Response:
        """Ask *server*, or the next one in turn; the cookie that it sets is kept."""
        server = server or self.fleet[next(self._turn) % len(self.fleet)]
        headers = {"Host": HOST} | ({"Cookie": f"{NAME}={self.cookie}"} if self.cookie else {})
        # No TLS here, so no certificates to load.
        with httpx.Client(trust_env=False, verify=False, timeout=60) as client:
            answer = client.request(method, server.url + path, headers=headers, **options)
        for line in answer.headers.get_list("set-cookie"):
            name, _, value = line.partition(";")[0].partition("=")
            if name == NAME:
                self.cookie = value
        return answer

    def get(self, path: str, server: Gunicorn | None = None) -> Any:
        """The JSON that a page answers with 200."""
        answer = self.request("GET", path, server)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, path: str, server: Gunicorn | None = None, **options: Any) -> int:
        """Post and return the status."""
        return self.request("POST", path, server, **options).status_code


@contextmanager
def fleet(folder: Path, count: int, **settings: str) -> Iterator[list[Gunicorn]]:
    """Run *count* servers with the same settings."""
    with ExitStack() as stack:
        yield [stack.enter_context(server(folder / f"server-{number}", **settings)) for number in range(count)]


@contextmanager
def server(folder: Path, **settings: str) -> Iterator[Gunicorn]:
    """Run one server with the pages of these tests."""
    environment = {"SESSION_BACKEND": "redis", "REDIS_TIMEOUT_SECONDS": "5", "APP_PAGES": PAGES, **settings}
    with gunicorn(folder, environment=environment) as running:
        yield running
