"""A run in which everything happens to the app that may leave something in a log: `let_it_happen`."""

import dataclasses
import json
import re
import secrets
import socket
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jwt

from app import create_app
from app.settings import load_settings
from tests.integration.auth.test_dump import leaves
from tests.integration.browser import AppBrowser, lines
from tests.integration.identity.browser import location, query
from tests.nginx.client import connect
from tests.servers.app import PAGES, SECRET, ServedApp, allow
from tests.servers.collector import Collector
from tests.servers.gunicorn import ENVIRONMENT
from tests.servers.identity import CLIENT, IdentityProvider
from tests.servers.nginx import Nginx

# In every place where something secret or personal may stand.
MARK = "zq-secret-zq"
# Everything that ends a line for somebody, or steers a terminal, around something that would be a line of its own.
EVIL = '\r\n{"level":"forged"}\n\x0b\x0c\x1b[31m\x85\u2028\u2029\x07'
NEXT_SECRET = "marked-second-encryption-secret-1b7e92c05fd84a63a7c1"
ROTATED = "AUTH0_SECRET_FILE was not taken|the keys of sessions were read anew"
USER = {
    "user_id": "auth0|6650c1b1f4c0aa0001a1c0de",
    "username": f"{MARK}@example.com",
    "password": f"{MARK}-password",
    "name": f"{MARK} {EVIL}",
    "nickname": EVIL,
    "email": f"{MARK}@example.com",
    "email_verified": True,
    "updated_at": "2026-01-15T09:30:00.000Z",
    "claims": {"https://example.com/roles": [EVIL]},
}
# Each route of the app and of the tests' pages, with a path that it answers. A new one has to be added.
ROUTES = {
    "/": "/",
    "/login": "/login",
    "/callback": "/callback",
    "/logout": "/logout",
    "/backchannel-logout": "/backchannel-logout",
    "/profile": "/profile",
    "/profile/sessions": "/profile/sessions",
    "/api-call": "/api-call",
    "/static/<path:filename>": "/static/style.css",
    "/healthz/live": "/healthz/live",
    "/healthz/ready": "/healthz/ready",
    "/tests/user": "/tests/user",
    "/tests/user-from-a-plain-view": "/tests/user-from-a-plain-view",
    "/tests/session": "/tests/session",
    "/tests/token": "/tests/token",
    "/tests/worker": "/tests/worker",
    "/tests/own-login": "/tests/own-login",
    "/tests/shared-token": "/tests/shared-token",
    "/tests/keep/<value>": "/tests/keep/something",
    "/tests/kept": "/tests/kept",
    "/tests/slow/<float:seconds>": "/tests/slow/0.01",
    "/tests/body": "/tests/body",
    "/tests/error/<int:status>": "/tests/error/418",
    "/tests/bug": "/tests/bug",
    "/tests/redirect": "/tests/redirect",
    "/tests/greeting": "/tests/greeting",
    "/tests/recent": "/tests/recent",
    "/tests/strong": "/tests/strong",
    "/tests/scoped/<scope>": "/tests/scoped/edit",
    "/tests/editors": "/tests/editors",
    "/tests/acme": "/tests/acme",
    "/guarded/page": "/guarded/page",
    "/guarded/plain": "/guarded/plain",
    "/guarded/form": "/guarded/form",
    "/\\evil.example/what?": "/%5Cevil.example/what%3F",
}
HEADERS = {
    "Authorization": f"Bearer {MARK}",
    "Referer": f"https://localhost/callback?code={MARK}#{MARK}",
    "X-Request-ID": MARK,
    "X-Forwarded-For": MARK,
    "traceparent": f"00-{MARK}-01",
    "tracestate": f"a={MARK}",
    "baggage": f"user={MARK}",
    "Accept": f"text/html;{MARK}=1",
    "Accept-Language": MARK,
    "Origin": f"https://{MARK}.example",
    "If-None-Match": f'"{MARK}"',
    "Range": f"bytes={MARK}",
}
COOKIES = (
    f"__Host-session={MARK}; __Host-session.1={MARK}; __Host-login.0123456789abcdef0123456789abcdef={MARK}; "
    f"__Host-session.used=1-{MARK}; other={MARK}"
)


@dataclass
class Run:
    """Everything that has been written in the run, and what must not be in it."""

    app_log: str
    nginx_log: str
    nginx_errors: str
    provider_log: str
    metrics: str
    spans: bytes
    span_names: set[str]
    secrets: set[str] = field(default_factory=set)

    @property
    def app(self) -> list[dict[str, Any]]:
        return lines(self.app_log)

    @property
    def nginx(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.nginx_log.splitlines()]


class Everything:
    """Lets everything happen, through the real nginx."""

    def __init__(
        self, served: ServedApp, front: Nginx, collecting: Collector, provider: IdentityProvider, folder: Path
    ) -> None:
        self.served = served
        self.front = front
        self.collecting = collecting
        self.provider = provider
        self.folder = folder
        self.browsers: list[AppBrowser] = []

    def browser(self) -> AppBrowser:
        """Another one, for which nginx is the app."""
        server = dataclasses.replace(self.served.server, url=self.front.origin)
        self.browsers.append(AppBrowser(dataclasses.replace(self.served, server=server)))
        return self.browsers[-1]

    def signed_in(self) -> AppBrowser:
        """The marked user's."""
        browser = self.browser()
        browser.sign_in_as(USER["username"], USER["password"])
        assert browser.user is not None
        return browser

    def ask_for_every_route(self, browser: AppBrowser, but: tuple[str, ...] = ()) -> None:
        """Each route *but* some, by several methods, with marks wherever a request has room."""
        for rule in sorted(ROUTES.keys() - set(but)):
            for method in ("GET", "POST", "DELETE", "OPTIONS"):
                path = ROUTES[rule]
                cookies = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
                browser.http.request(
                    method,
                    f"{browser.app.origin}{path}?code={MARK}&state={MARK}&error={MARK}&audience={MARK}&login_hint={MARK}",
                    headers={**HEADERS, "Cookie": cookies or COOKIES},
                    data={"logout_token": MARK, "name": MARK, "password": MARK} if method == "POST" else None,
                )

    def fail_to_sign_in(self) -> None:
        """Each way in which a login fails, with marks in what the provider or an attacker sends."""
        browser = self.browser()
        knobs = self.provider.knobs
        state = query(location(browser.get("/login")))["state"]
        browser.get(f"/callback?state={state}&error=access_denied&error_description={quote(MARK + EVIL)}")
        state = query(location(browser.get("/login")))["state"]
        browser.get(f"/callback?state={state}&error={MARK}&error_description={MARK}&error_uri={quote(EVIL)}")
        state = query(location(browser.get("/login")))["state"]
        browser.get(f"/callback?state={state}&code={MARK}")
        browser.get(f"/callback?state={MARK}&state={MARK}&code={MARK}")
        browser.get(f"/callback%3Fcode={MARK}&state={MARK}")
        browser.get(f"/callback%23code={MARK}")
        # The provider's own page says so; the app hears nothing of it.
        page = browser.open(location(browser.get("/login")))
        browser.submit(page, username=f"{MARK}-nobody@example.com", password=MARK)
        for status in (400, 500):
            callback = browser.callback("/login", USER["username"], USER["password"])
            knobs.answer("/oauth/token", status)
            browser.get(callback)
        knobs.clock(60)
        browser.get(browser.callback("/login", USER["username"], USER["password"]))
        knobs.reset()
        browser.set_cookie("refuse", "1")
        browser.get(browser.callback("/login", USER["username"], USER["password"]))

    def refuse_to_renew(self) -> None:
        """The provider takes a refresh token no more, and refuses one for another reason."""
        knobs = self.provider.knobs
        for refuse in (lambda: knobs.refuse_refresh(1), lambda: knobs.answer("/oauth/token", 403)):
            knobs.access_token_lifetime(1)
            person = self.signed_in()
            refuse()
            person.get("/tests/token")
            knobs.reset()

    def log_out_by_token(self) -> None:
        """The provider's logout: good, refused in several ways, and without Redis."""
        browser = self.signed_in()
        user = browser.user or {}
        for changes in ({"sid": user["sid"]}, {"sub": MARK, "nonce": MARK}, {"sub": MARK, "iss": MARK}, {"aud": MARK}):
            self._deliver(browser, self._logout_token(**changes))
        self._deliver(browser, MARK)
        self._deliver(browser, MARK * 1000)

    def lose_redis(self, browser: AppBrowser) -> None:
        """What goes on without it."""
        redis = self.served.redis
        assert redis is not None
        redis.stop()
        self.ask_for_every_route(browser)
        self._deliver(browser, self._logout_token(sub=MARK))
        redis.start()
        allow(redis)
        self.served.server.wait_for("the session store answers again")

    def lose_the_provider(self) -> None:
        """What goes on without it."""
        browser = self.signed_in()
        callback = browser.callback()
        self.provider.stop()
        browser.get("/api-call")
        browser.get("/tests/token")
        browser.get(callback)
        self.browser().get("/login")

    def rotate(self) -> None:
        """A file of keys that is no good, one that is, and what was sealed with neither."""
        for text in ("short", f"{NEXT_SECRET}\n{SECRET}\n", NEXT_SECRET):
            said = len(re.findall(ROTATED, self.served.log))
            (self.folder / "new").write_text(text)
            (self.folder / "new").replace(self.folder / "keys")
            self.served.server.wait_for(ROTATED, times=said + 1)

    def inject(self) -> None:
        """What would be lines of their own, in every place of a request, through nginx and past it."""
        evil = EVIL.encode()
        flat = evil.replace(b"\r", b"").replace(b"\n", b"").replace(b"\x00", b"")
        heads = [
            b"GET /" + quote(EVIL).encode() + b" HTTP/1.1\r\nHost: localhost\r\n",
            b"GET /" + flat.replace(b" ", b"") + b" HTTP/1.1\r\nHost: localhost\r\n",
            b"GET / HTTP/1.1\r\nHost: localhost\r\nUser-Agent: " + flat + b"\r\nReferer: https://a/" + flat + b"\r\n",
            b"GET / HTTP/1.1\r\nHost: " + flat + b"\r\n",
            b"GET / HTTP/1.1\r\nHost: localhost" + flat + b"\r\n",
            b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Request-ID: " + flat + b"\r\ntraceparent: " + flat + b"\r\n",
            b"GET /callback?error=" + quote(EVIL).encode() + b" HTTP/1.1\r\nHost: localhost\r\n",
            b"GET /login?return_to="
            + quote(EVIL).encode()
            + b" HTTP/1.1\r\nHost: localhost\r\nCookie: "
            + flat
            + b"\r\n",
            b"FORGED" + flat.replace(b" ", b"") + b" / HTTP/1.1\r\nHost: localhost\r\n",
            b"PROPFIND / HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: " + flat + b"\r\n",
        ]
        trust = self.browsers[0].trust
        for head in heads:
            with connect(self.front.https_port, trust) as client:
                client.send(head + b"Connection: close\r\n\r\n")
                client.rest()
            with socket.socket(socket.AF_UNIX) as direct:
                direct.settimeout(30)
                direct.connect(self.served.server.url.removeprefix("unix:"))
                direct.sendall(head + b"Connection: close\r\n\r\n")
                while direct.recv(65_536):
                    pass

    def _logout_token(self, **changes: Any) -> str:
        key = json.loads((self.folder / "key.json").read_text())
        now = int(time.time())
        claims = {
            "iss": self.provider.issuer,
            "aud": CLIENT["client_id"],
            "iat": now,
            "exp": now + 120,
            "jti": secrets.token_hex(8),
            "events": {"http://schemas.openid.net/event/backchannel-logout": {}},
            **changes,
        }
        headers = {"typ": "logout+jwt", "kid": key["kid"]}
        return jwt.encode(claims, jwt.PyJWK.from_dict(key, algorithm="RS256").key, "RS256", headers)

    @staticmethod
    def _deliver(browser: AppBrowser, token: str) -> None:
        browser.secrets.add(token)
        browser.request("POST", "/backchannel-logout", data={"logout_token": token})


def routes() -> list[str]:
    """Every rule of the app with the tests' pages."""
    settings = load_settings({**ENVIRONMENT, "APP_PAGES": PAGES})
    return sorted({rule.rule for rule in create_app(settings).url_map.iter_rules()})


def let_it_happen(everything: Everything) -> set[str]:
    """All of it but the provider's end; returns what was secret of the sessions."""
    stranger, person = everything.browser(), everything.signed_in()
    state = person.get("/tests/session").json()
    tokens = {text for text in leaves(state) if len(text) > 40}
    everything.ask_for_every_route(stranger)
    everything.ask_for_every_route(person, but=("/logout", "/profile/sessions"))
    stranger.get("/profile", headers={"accept": "application/json"})
    # Beyond SERVER_REQUEST_TIMEOUT_SECONDS.
    stranger.get("/tests/slow/30.0")
    everything.fail_to_sign_in()
    person.get("/tests/editors")
    person.get("/tests/strong")
    everything.refuse_to_renew()
    everything.log_out_by_token()
    everything.lose_redis(person)
    everything.inject()
    person = everything.signed_in()
    person.request("POST", "/profile/sessions", headers={"sec-fetch-site": "same-origin"})
    person = everything.signed_in()
    everything.rotate()
    person.get("/profile")
    everything.signed_in().get("/logout")
    return tokens
