"""What goes wrong in a real run of the app, and which alert has to come of it.

Each incident has a namespace of its own, as in a cluster, so that all of them happen at the same time, seen by one
Prometheus; what alerts in one namespace is no other one's matter.
"""

import datetime
import os
import signal
import ssl
import threading
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import httpx
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from scripts.certificates import CA
from tests.integration.browser import AppBrowser, until
from tests.observability.watch import Watch
from tests.servers.app import ServedApp, allow, app
from tests.servers.exporters import redis_exporter
from tests.servers.gunicorn import Gunicorn
from tests.servers.identity import IdentityProvider, identity
from tests.servers.nginx import nginx
from tests.servers.redis import RedisServer, redis_server

# Keys for sessions.
OLD, NEW = "old-key-0123456789-0123456789-abcdef", "new-key-0123456789-0123456789-abcdef"
TAKEN = "the keys of sessions were read anew"


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

    def visit(self, served: ServedApp, *paths: str, every: float = 0.4, cookies: str = "") -> "Visitor":
        """Let somebody ask for *paths* again and again, from now to the end."""
        return self.stack.enter_context(Visitor(served, paths, every, cookies))

    def seen(self) -> None:
        """Wait until Prometheus has seen how things are before the fault."""
        self.watch.prometheus.wait_for(f'min(count_over_time(app_info{{namespace="{self.namespace}"}}[1m])) >= 3')


class Visitor:
    """A thread that asks for pages; failures are what it is there to make."""

    def __init__(self, served: ServedApp, paths: tuple[str, ...], every: float, cookies: str) -> None:
        self.statuses: list[int] = []
        self._paths = paths
        self._every = every
        self._end = threading.Event()
        headers = {"Host": urlsplit(served.origin).netloc, "Accept": "text/html"}
        # A session as it was: what the app says about it later is not followed.
        self._headers = headers | ({"Cookie": cookies} if cookies else {})
        self._url = served.server.url
        self._authority = str(served.provider.ca.path)
        self._thread = threading.Thread(target=self._ask)

    def __enter__(self) -> "Visitor":
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._end.set()
        self._thread.join()

    def _ask(self) -> None:
        trust = ssl.create_default_context(cafile=self._authority)
        while not self._end.is_set():
            try:
                # Anew after a failure: a connection that broke stays broken.
                with httpx.Client(verify=trust, timeout=30, trust_env=False, base_url=self._url) as http:
                    while not self._end.wait(self._every):
                        for path in self._paths:
                            self.statuses.append(http.get(path, headers=self._headers).status_code)
            except httpx.TransportError:
                self._end.wait(self._every)


@dataclass(frozen=True)
class Incident:
    """`happen` makes the fault and returns; `expected` are the alerts that come of it, and who is told of each."""

    name: str
    expected: Mapping[str, str]
    happen: Callable[[Place], None]


ALL: list[Incident] = []


def incident(**expected: str) -> Callable[[Callable[[Place], None]], Callable[[Place], None]]:
    """Add a function as an incident; its name is the namespace."""

    def add(happen: Callable[[Place], None]) -> Callable[[Place], None]:
        ALL.append(Incident(happen.__name__.replace("_", "-"), expected, happen))
        return happen

    return add


@incident()
def a_good_day(place: Place) -> None:
    """People sign in, look at pages, cancel, sign out; keys are rotated, a worker is replaced."""
    secret = place.folder / "secret"
    place.folder.mkdir(parents=True)
    secret.write_text(f"{OLD},{NEW}")
    served = place.app(redis=place.redis(), workers=2, AUTH0_SECRET="", AUTH0_SECRET_FILE=str(secret))
    place.visit(served, "/", "/profile", "/no-such-page")
    place.seen()
    browsers = [AppBrowser(served) for _ in range(3)]
    for browser in browsers:
        place.stack.callback(browser.http.close)
        browser.sign_in_as()
        assert browser.user
    place.visit(served, "/profile", "/tests/user", cookies=cookie_of(browsers[0]))
    stranger = AppBrowser(served)
    place.stack.callback(stranger.http.close)
    for _ in range(4):
        stranger.deny()
    browsers[2].visit("/logout")
    secret.write_text(f"{NEW},{OLD}")
    # Both, for one that drains looks no more, and has a quarter of this day's hour to do it.
    served.server.wait_for(TAKEN, times=2)
    os.kill(served.server.workers[0], signal.SIGTERM)


@incident(PagesFailing="page")
def a_bug(place: Place) -> None:
    """A page fails whenever it is asked for."""
    served = place.app()
    place.visit(served, "/", "/")
    place.seen()
    place.visit(served, "/tests/bug", every=0.1)


@incident(PagesSlow="page")
def a_slow_page(place: Place) -> None:
    """A page takes 0.6 s."""
    served = place.app()
    place.visit(served, "/", every=0.3)
    place.seen()
    for _ in range(3):
        place.visit(served, "/tests/slow/0.6", every=0.05)


@incident(ProviderFailing="page")
def the_provider_is_down(place: Place) -> None:
    """The identity provider ends; people want to sign in, and those who look at pages notice nothing."""
    provider = place.stack.enter_context(identity(place.provider.ca))
    served = place.app(provider=provider)
    place.visit(served, "/")
    place.seen()
    provider.process.kill()
    provider.process.wait()
    place.visit(served, "/login", every=0.1)


@incident(RedisDown="page")
def redis_is_stopped(place: Place) -> None:
    """Redis ends, while somebody is signed in and others sign in, and is back after the alert."""
    redis = place.redis()
    served = place.app(redis=redis, REDIS_TIMEOUT_SECONDS="1")
    browser = AppBrowser(served)
    place.stack.callback(browser.http.close)
    browser.sign_in_as()
    place.visit(served, "/profile", every=0.1, cookies=cookie_of(browser))
    place.seen()
    redis.stop()
    place.watch.wait_for("RedisDown", place.namespace)
    redis.start()
    allow(redis)
    place.watch.wait_for("RedisDown", place.namespace, "resolved")


@incident(UndecryptableSessions="page")
def a_new_key_without_the_old_one(place: Place) -> None:
    """One server of two gets the new key alone; who was signed in is a stranger there."""
    files, servers = _two_servers(place)
    browser = AppBrowser(servers[0])
    place.stack.callback(browser.http.close)
    browser.sign_in_as()
    cookies = cookie_of(browser)
    for served in servers:
        place.visit(served, "/tests/user", every=0.1, cookies=cookies)
    place.seen()
    files[1].write_text(NEW)
    servers[1].server.wait_for(TAKEN)


@incident(KeyRotationStuck="ticket")
def a_rotation_that_reaches_one_of_two(place: Place) -> None:
    """One server writes with the new key, the other one has not even got it."""
    files, servers = _two_servers(place)
    for served in servers:
        place.visit(served, "/")
    place.seen()
    files[0].write_text(f"{NEW},{OLD}")
    servers[0].server.wait_for(TAKEN)


@incident(SecretFileUnusable="ticket")
def a_secret_that_is_too_short(place: Place) -> None:
    """The file of the keys is overwritten with something else."""
    place.folder.mkdir(parents=True)
    secret = place.folder / "secret"
    secret.write_text(OLD)
    served = place.app(AUTH0_SECRET="", AUTH0_SECRET_FILE=str(secret))
    place.visit(served, "/")
    place.seen()
    secret.write_text("oops")
    served.server.wait_for("AUTH0_SECRET_FILE was not taken")


@incident(WorkersCrashing="ticket")
def a_worker_is_killed_again_and_again(place: Place) -> None:
    """Four times, each time as soon as there is one again."""
    served = place.app(workers=2)
    place.visit(served, "/")
    place.seen()
    for _ in range(4):
        before = set(served.server.workers)
        os.kill(min(before), signal.SIGKILL)
        until(lambda before=before: set(served.server.workers) - before, bool)


@incident(ScrapeMissing="ticket")
def one_of_two_is_gone(place: Place) -> None:
    """One server ends and stays among the targets; the other one serves."""
    first, second = place.app(), place.app()
    place.visit(first, "/")
    place.seen()
    _end(second.server)


@incident(AppAbsent="page")
def the_app_is_gone(place: Place) -> None:
    """The only server ends."""
    served = place.app()
    place.visit(served, "/")
    place.seen()
    _end(served.server)


@incident(CertificateExpiring="page")
def a_certificate_that_nobody_renewed(place: Place) -> None:
    """nginx shows a certificate that ends in two days."""
    pair = _short_lived(place.provider.ca, place.folder, datetime.timedelta(days=2))
    server = place.stack.enter_context(nginx(pair, upstream="127.0.0.1:1"))
    place.watch.scrape_certificate(place.namespace, f"127.0.0.1:{server.https_port}")


@incident(NginxNotAnswering="page")
def nginx_is_stopped(place: Place) -> None:
    """nginx ends, after it has been seen to answer."""
    server = place.stack.enter_context(nginx(place.provider.ca.issue(), upstream="127.0.0.1:1"))
    place.watch.scrape_certificate(place.namespace, f"127.0.0.1:{server.https_port}")
    place.app()
    place.watch.prometheus.wait_for(f'nginx_probe_success{{namespace="{place.namespace}"}} == 1')
    server.stop()


def cookie_of(browser: AppBrowser) -> str:
    """The app's cookies, as a browser sends them."""
    return "; ".join(f"{name}={value}" for name, value in browser.cookies.items())


def _two_servers(place: Place) -> tuple[list[Path], list[ServedApp]]:
    redis = place.redis()
    files = [place.folder / f"secret-{number}" for number in range(2)]
    for file in files:
        file.write_text(OLD)
    return files, [place.app(redis=redis, AUTH0_SECRET="", AUTH0_SECRET_FILE=str(file)) for file in files]


def _end(server: Gunicorn) -> None:
    server.signal(signal.SIGKILL)
    server.kill()


def _short_lived(ca: CA, folder: Path, lifetime: datetime.timedelta) -> tuple[Path, Path]:
    folder.mkdir(parents=True)
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(ca.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + lifetime)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(ca.key, hashes.SHA256())
    )
    paths = folder / "short.pem", folder / "short-key.pem"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    encoding = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    paths[1].write_bytes(key.private_bytes(*encoding))
    return paths
