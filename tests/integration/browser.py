"""A person at a browser in front of the app and the provider; it also looks for what must never be shown."""

import html
import json
import re
import ssl
import time
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import parse_qs, urljoin, urlsplit

import httpx

from tests.integration.identity.browser import Browser, location
from tests.servers.app import REDIS_PASSWORD, SECRET, ServedApp
from tests.servers.identity import CLIENT

T = TypeVar("T")
_COOKIES = ("__Host-session", "__Host-login.", "__Host-signed-out", "__Host-asked")
_ALWAYS_SECRET = {SECRET, REDIS_PASSWORD, CLIENT["client_secret"]}


def lines(log: str, text: str = "") -> list[dict[str, Any]]:
    """The lines of a production log; those with *text* somewhere."""
    return [json.loads(line) for line in log.splitlines() if line.startswith("{") and text in line]


def heading_of(page: httpx.Response) -> str:
    """The one heading of the first level on a page of the app."""
    found = re.search("<h1>(.*)</h1>", page.text)
    assert found, page.text
    return html.unescape(found[1])


def until(ask: Callable[[], T], holds: Callable[[T], bool]) -> T:
    """The first answer for which *holds* is true."""
    deadline = time.monotonic() + 30
    while not holds(answer := ask()):
        assert time.monotonic() < deadline, answer
        time.sleep(0.02)
    return answer


class ConnectTo(httpx.HTTPTransport):
    """Connects to another port than the URL's, as `curl --connect-to` does: the app's own origin can stay the same."""

    def __init__(self, port: int, trust: ssl.SSLContext) -> None:
        super().__init__(verify=trust)
        self._port = port

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        moved = httpx.Request(
            request.method,
            request.url.copy_with(port=self._port),
            headers=request.headers,
            stream=request.stream,
            extensions=request.extensions,
        )
        return super().handle_request(moved)


class AppBrowser(Browser):
    """Begins at the app: `get` takes one step, `visit` follows every redirect, `sign_in_as` fills in the form."""

    def __init__(self, app: ServedApp) -> None:
        super().__init__(app.provider.issuer, str(app.provider.ca.path))
        self.http.close()
        self.app = app
        self.secrets: set[str] = set(_ALWAYS_SECRET)
        self.trust = ssl.create_default_context(cafile=str(app.provider.ca.path))
        self.http = httpx.Client(
            verify=self.trust,
            timeout=60,
            headers={"accept": "text/html"},
            mounts={app.origin: ConnectTo(app.server.port, self.trust)},
            event_hooks={"request": [self._remember], "response": [self._look]},
        )

    def get(self, path: str, **options: Any) -> httpx.Response:
        """One GET of a path of the app, or of a whole address."""
        return self.http.get(urljoin(self.app.origin, path), **options)

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        """One request to the app."""
        return self.http.request(method, urljoin(self.app.origin, path), **options)

    def visit(self, path: str) -> httpx.Response:
        """The page that a visit to *path* ends at, wherever that is."""
        return self.follow(self.get(path))

    def follow(self, response: httpx.Response) -> httpx.Response:
        """The page that *response* leads to."""
        for _ in range(20):
            if response.next_request is None:
                return response
            response = self.http.send(response.next_request)
        raise AssertionError(f"The redirects do not end: {response.url}")

    def callback(
        self, login: str = "/login", username: str = "jane@example.com", password: str = "correct-horse"
    ) -> str:
        """The address to which the provider sends the browser, which has not been there yet."""
        return self.sign_in(location(self.get(login)), username, password)

    def sign_in_as(
        self, username: str = "jane@example.com", password: str = "correct-horse", login: str = "/login"
    ) -> httpx.Response:
        """The page of the app at which a sign-in ends."""
        return self.visit(self.callback(login, username, password))

    def deny(self, login: str = "/login") -> httpx.Response:
        """The app's page for a person who pressed Cancel at the provider."""
        page = self.submit(self.open(location(self.get(login))), action="cancel")
        return self.follow(page)

    def failed(self, response: httpx.Response, status: int, heading: str, cause: str | None = None) -> dict[str, Any]:
        """Check that *response* is an error page of the app whose reference is in the log; returns the log's line.

        :param cause: what the log calls a failed login; any other error has the request's own line.
        """
        assert (response.status_code, heading_of(response)) == (status, heading), response.text
        assert response.headers["content-type"] == "text/html; charset=utf-8"
        assert response.headers["cache-control"] == "no-store"
        reference = response.headers["x-request-id"]
        assert f"Reference: <code>{reference}</code>" in response.text
        if cause is None:
            return self.line_of(response)
        assert 'href="/login"' in response.text
        line = self.line_of(response, f"login failed: {cause}")
        assert line["level"] == ("error" if status == 500 else "warning"), line
        return line

    def line_of(self, response: httpx.Response, message: str = "request") -> dict[str, Any]:
        """The one line with *message* that the log has of the request; the request's own comes a little late."""
        reference = response.headers["x-request-id"]

        def found() -> list[dict[str, Any]]:
            ours = [line for line in lines(self.app.log, reference) if line.get("request_id") == reference]
            return [line for line in ours if line["message"] == message]

        [line] = until(found, bool)
        return line

    @property
    def user(self) -> dict[str, Any] | None:
        """Who the app thinks is there."""
        user: dict[str, Any] | None = self.get("/tests/user").json()["user"]
        return user

    @property
    def cookies(self) -> dict[str, str]:
        """The app's sessions and logins in this browser."""
        own = [cookie for cookie in self.http.cookies.jar if cookie.name.startswith(_COOKIES)]
        return {cookie.name: cookie.value or "" for cookie in own}

    def set_cookie(self, name: str, value: str) -> None:
        """Put a cookie of the app's into the browser, in place of the one of that name."""
        self.delete_cookie(name)
        self.http.cookies.set(name, value, domain="localhost.local", path="/")

    def delete_cookie(self, name: str) -> None:
        """Take a cookie of the app's out of the browser."""
        for cookie in [cookie for cookie in self.http.cookies.jar if cookie.name == name]:
            self.http.cookies.jar.clear(cookie.domain, cookie.path, cookie.name)

    def _is_app(self, url: httpx.URL) -> bool:
        return str(url).startswith(self.app.origin)

    def _remember(self, request: httpx.Request) -> None:
        values = parse_qs(urlsplit(str(request.url)).query)
        found = [value for name in ("code", "state", "code_challenge") for value in values.get(name, [])]
        found += [value.strip('"') for value in re.findall(r"__Host-[^=]+=([^;]+)", request.headers.get("cookie", ""))]
        # Short ones are a test's own garbage, and could stand in any page.
        self.secrets |= {value for value in found if len(value) >= 20}

    def _look(self, response: httpx.Response) -> None:
        if not self._is_app(response.request.url):
            return
        response.read()
        assert "Traceback" not in response.text
        assert "marked-detail" not in response.text
        # The routes of the tests show what pages see.
        own = response.request.url.path.startswith("/tests/")
        shown = [] if own else [secret for secret in self.secrets if secret in response.text]
        assert not shown, f"{response.request.url.path} shows {shown}"
        for header in response.headers.get_list("set-cookie"):
            attributes = {part.strip().partition("=")[0].lower() for part in header.split(";")[1:]}
            assert header.startswith((*_COOKIES, "__Host-signed-out")), header
            assert {"secure", "httponly", "path", "samesite"} <= attributes, header
            assert "domain" not in attributes, header
