"""A person at a browser: what they do, and what the browser complains of meanwhile."""

from typing import Any, Self
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page

from tests.browser.application import App
from tests.browser.site import Site

USERNAME, PASSWORD = "jane@example.com", "correct-horse"
# Chromium's own line about every answer of 400 and more, a page that was asked for included.
_STATUS = "Failed to load resource: the server responded with a status of "


class Person:
    """Somebody with a browser of their own, or a window of it that shares nothing with others."""

    def __init__(self, browser: Browser | BrowserContext, app: App, **options: Any) -> None:
        self.app = app
        self.context = browser if isinstance(browser, BrowserContext) else browser.new_context(**options)
        self.complaints: list[str] = []
        self.context.on("console", self._listen)
        self.context.on("weberror", lambda error: self.complaints.append(str(error.error)))
        self.page: Page = self.context.pages[0] if self.context.pages else self.context.new_page()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.context.close()

    def _listen(self, message: ConsoleMessage) -> None:
        # Violations of the content security policy are errors on the console.
        if message.type in ("error", "warning") and not message.text.startswith(_STATUS):
            self.complaints.append(f"{message.type}: {message.text} ({message.location.get('url')})")

    def open(self, path: str = "/", page: Page | None = None) -> Page:
        """Go to a path of the app."""
        page = page or self.page
        page.goto(self.app.origin + path)
        return page

    def tab(self) -> Page:
        """A further tab of the same browser."""
        return self.context.new_page()

    def fill_in(self, page: Page | None = None, username: str = USERNAME, password: str = PASSWORD) -> None:
        """Send the provider's form."""
        page = page or self.page
        page.fill("#username", username)
        page.fill("#password", password)
        page.get_by_role("button", name="Sign in").click()

    def sign_in(
        self, path: str = "/", page: Page | None = None, username: str = USERNAME, password: str = PASSWORD
    ) -> None:
        """Sign in and come back to *path*."""
        page = page or self.page
        self.open(f"/login?return_to={path}", page)
        self.fill_in(page, username, password)
        page.wait_for_url(self.app.origin + path)

    def visit(self, elsewhere: Site, host: str, body: str) -> Page:
        """Open, in a tab of its own, a page with this content at somebody else's site."""
        elsewhere.show("/", body)
        page = self.tab()
        page.goto(elsewhere.at(host))
        return page

    def is_signed_in(self) -> bool:
        """Whether they are, without the provider's signing them in again."""
        answer = self.page.goto(f"{self.app.origin}/profile")
        assert answer
        return answer.request.redirected_from is None

    def path(self, page: Page | None = None) -> str:
        """Where they are, when that is the app."""
        url = (page or self.page).url
        assert url.startswith(self.app.origin + "/"), url
        return urlsplit(url)._replace(scheme="", netloc="").geturl()

    def cookies(self) -> dict[str, dict[str, Any]]:
        """The app's cookies by name: those of the provider, on another port of the same host, begin otherwise."""
        found = self.context.cookies(self.app.origin)
        return {str(c.get("name")): dict(c) for c in found if "identity-" not in str(c.get("name"))}

    def carry_session_of(self, other: "Person") -> None:
        """Have another one's session, in however many cookies it is."""
        self.context.add_cookies([c for name, c in other.cookies().items() if name.startswith("__Host-session")])  # type: ignore[misc]
