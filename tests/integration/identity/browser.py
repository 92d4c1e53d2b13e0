"""A person at a browser, as far as the provider's forms need one: cookies, redirects, forms; no JavaScript."""

import ssl
from html.parser import HTMLParser
from types import TracebackType
from typing import Self
from urllib.parse import parse_qs, urljoin, urlsplit

import httpx


class _Form(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.action: str | None = None
        self.fields: dict[str, str] = {}
        self.buttons: list[str | None] = []
        self.forms = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        if tag == "form":
            self.forms += 1
            self.action = attributes.get("action")
        elif tag == "input" and attributes.get("name"):
            self.fields[str(attributes["name"])] = attributes.get("value") or ""
        elif tag == "button":
            self.buttons.append(attributes.get("value"))


class Browser:
    """Follows redirects of the provider and stops at the first address elsewhere, which is the application's."""

    def __init__(self, origin: str, cafile: str) -> None:
        self.origin = origin.rstrip("/")
        trust = ssl.create_default_context(cafile=cafile)
        self.http = httpx.Client(verify=trust, timeout=30, headers={"accept": "text/html"})

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.http.close()

    def open(self, url: str) -> httpx.Response:
        """The page at *url* (also relative), or the redirect that leads away from the provider."""
        return self._follow(self.http.get(urljoin(self.origin, url)))

    def submit(self, page: httpx.Response, **fields: str) -> httpx.Response:
        """Fill in the one form of *page* and send it with its first button."""
        form = form_of(page)
        assert form.forms == 1, page.text
        action = urljoin(str(page.url), form.action or "")
        button = {"action": str(form.buttons[0])} if form.buttons and form.buttons[0] else {}
        return self._follow(self.http.post(action, data=form.fields | button | fields))

    def sign_in(self, url: str, username: str = "jane@example.com", password: str = "correct-horse") -> str:
        """The address of the application to which a sign-in that starts at *url* leads."""
        page = self.open(url)
        if page.is_success:
            page = self.submit(page, username=username, password=password)
        return location(page)

    def _follow(self, response: httpx.Response) -> httpx.Response:
        while response.next_request and str(response.next_request.url).startswith(f"{self.origin}/"):
            response = self.http.send(response.next_request)
        return response


def form_of(page: httpx.Response) -> _Form:
    """What the forms of a page hold."""
    form = _Form()
    form.feed(page.text)
    return form


def location(response: httpx.Response) -> str:
    """Where a redirect leads."""
    assert response.is_redirect, (response.status_code, response.text)
    return response.headers["location"]


def query(url: str) -> dict[str, str]:
    """The parameters of an address, each of which must stand there once."""
    values = parse_qs(urlsplit(url).query, keep_blank_values=True)
    assert all(len(value) == 1 for value in values.values()), url
    return {name: value[0] for name, value in values.items()}
