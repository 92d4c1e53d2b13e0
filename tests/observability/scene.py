"""Everything that is measured, running and used: the app with two workers, nginx, Redis, the provider, the exporters
and a Prometheus with the rules; and people, good and bad, who give it something to measure.

Prometheus knows the same targets twice: as on one machine, and as in a cluster, with a namespace and one job for all.
"""

import contextlib
import dataclasses
import os
import signal
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import yaml

from scripts.stack.prepare import EXPORTER_COMMANDS
from tests.integration.browser import AppBrowser
from tests.servers.app import SECRET, ServedApp, app
from tests.servers.certificates import authority
from tests.servers.exporters import blackbox_exporter, nginx_exporter, redis_exporter
from tests.servers.identity import CLIENT, IdentityProvider, identity
from tests.servers.nginx import Nginx, nginx
from tests.servers.prometheus import FILES, Prometheus, configuration, prometheus
from tests.servers.redis import RedisServer, redis_server

CLUSTER = {"namespace": "production", "job": "auth0-flask"}
# A busy machine takes a second for an answer at times.
INTERVAL = "2s"
PASSWORD = "the-exporters-own-password"
PEOPLE = {"jane@example.com": "correct-horse", "john@example.com": "battery-staple"}
OTHER_SECRET = "another-encryption-secret-that-comes-first-4f6a0c"


@dataclasses.dataclass
class Scene:
    """What runs. `secret` is the file with the sessions' keys."""

    app: ServedApp
    front: Nginx
    provider: IdentityProvider
    redis: RedisServer
    prometheus: Prometheus
    secret: Path

    @contextlib.contextmanager
    def person(self) -> Iterator[AppBrowser]:
        """A browser for which nginx is the app."""
        behind = dataclasses.replace(self.app.server, url=self.front.origin)
        with AppBrowser(dataclasses.replace(self.app, server=behind)) as browser:
            yield browser

    def crash_a_worker(self) -> None:
        """Kill one, and wait for the one that takes its place."""
        started = self.app.log.count("Application startup complete")
        os.kill(self.app.server.workers[0], signal.SIGKILL)
        self.app.server.wait_for("Application startup complete", times=started + 1)

    def rotate_the_key(self) -> None:
        """Put another key first."""
        self.secret.write_text(f"{OTHER_SECRET},{SECRET}")


@contextlib.contextmanager
def scene(folder: Path, **settings: str) -> Iterator[Scene]:
    """Start all of it, with its files in *folder*; *settings* are more of the app's."""
    with contextlib.ExitStack() as stack:
        # Not below *folder*: another user's nginx may not enter there, and a socket's path may have 107 bytes.
        sockets = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="scene-")))
        sockets.chmod(0o755)
        ca = authority(folder / "certificates")
        provider = stack.enter_context(identity(ca))
        redis = stack.enter_context(redis_server(sockets, "--port", "0", "--maxmemory", "192mb"))
        secret = folder / "auth0_secret"
        secret.write_text(SECRET)
        served = stack.enter_context(
            app(
                folder / "app",
                provider,
                redis=redis,
                workers=2,
                **{
                    "SERVER_BIND": f"unix:{sockets / 'app.sock'}",
                    "SERVER_TLS_CERTIFICATE": "",
                    "SERVER_TLS_KEY": "",
                    "TRUSTED_PROXIES": "unix",
                    "AUTH0_SCOPE": "openid profile email offline_access",
                    "AUTH0_SECRET": "",
                    "AUTH0_SECRET_FILE": str(secret),
                    "AUTH0_TIMEOUT_SECONDS": "2",
                }
                | settings,
            )
        )
        # In the image both run in one group; here nginx is nobody.
        (sockets / "app.sock").chmod(0o666)
        front = stack.enter_context(
            nginx(ca.issue(), upstream=f"unix:{sockets / 'app.sock'}", variables={"NGINX_LOGIN_RATE": "1000r/s"})
        )
        callback = f"{front.origin}/backchannel-logout"
        provider.knobs.change_clients({"client_id": CLIENT["client_id"], "backchannel_logout_uri": callback})
        running = stack.enter_context(_measured(folder, served, front, redis))
        yield Scene(served, front, provider, redis, running, secret)


@contextlib.contextmanager
def _measured(folder: Path, served: ServedApp, front: Nginx, redis: RedisServer) -> Iterator[Prometheus]:
    redis.client.execute_command("ACL", "SETUSER", "exporter", "on", f">{PASSWORD}", *EXPORTER_COMMANDS.split())
    with (
        nginx_exporter(folder, f"http://127.0.0.1:{front.status_port}/status") as of_nginx,
        redis_exporter(folder, redis.url, "exporter", PASSWORD) as of_redis,
        blackbox_exporter(folder) as blackbox,
    ):
        own = served.server.metrics_url.removeprefix("http://").removesuffix("/metrics")
        certificate = f"127.0.0.1:{front.https_port}"
        targets = {"app": [own], "nginx": [of_nginx], "redis": [of_redis], "certificate": [certificate]}
        document = configuration(targets, interval=INTERVAL, blackbox=blackbox)
        for job in document["scrape_configs"]:
            if job["job_name"] == "certificate":
                job["static_configs"][0]["labels"] = {"__param_hostname": "localhost"}
        document["scrape_configs"] += [_in_a_cluster(job) for job in document["scrape_configs"]]
        document["rule_files"] = [str(path) for path in _rules(folder / "rules")]
        with prometheus(folder / "prometheus", document) as running:
            # Whatever happens from now on happens between two looks.
            running.wait_for(f"count(up == 1) == {2 * len(targets)}")
            yield running


def _in_a_cluster(job: dict[str, Any]) -> dict[str, Any]:
    """The job as Prometheus Operator makes it of a PodMonitor."""
    [targets] = job["static_configs"]
    labels = targets.get("labels", {}) | CLUSTER
    return job | {"job_name": f"cluster-{job['job_name']}", "static_configs": [targets | {"labels": labels}]}


def _rules(folder: Path) -> list[Path]:
    """The rules, all of them evaluated as often as the others: a test does not wait for minutes."""
    folder.mkdir()
    for path in (FILES / "rules").glob("*.yml"):
        document = yaml.safe_load(path.read_text())
        for group in document["groups"]:
            group.pop("interval", None)
        (folder / path.name).write_text(yaml.safe_dump(document))
    return sorted(folder.iterdir())


def use(scene: Scene) -> None:
    """What happens in a day, within seconds: people sign in, look, are signed out; some things go wrong."""
    ordinary(scene)
    people_who_do_not_get_in(scene)
    tokens(scene)
    scene.rotate_the_key()
    # A route's first failure begins a series, and Prometheus counts from there on.
    for part in (mistakes, provider_trouble, mistakes, ordinary, ways_out):
        part(scene)
    for _ in range(3):
        scene.crash_a_worker()
    ordinary(scene)


def ordinary(scene: Scene) -> None:
    """Everybody signs in and looks around, each on their own."""

    def visit(name: str) -> None:
        with scene.person() as browser:
            browser.sign_in_as(name, PEOPLE[name])
            for path in ("/", "/profile", "/api-call", "/tests/greeting", "/tests/user-from-a-plain-view"):
                browser.get(path)

    with ThreadPoolExecutor(len(PEOPLE)) as pool:
        list(pool.map(visit, PEOPLE))


def people_who_do_not_get_in(scene: Scene) -> None:
    """Cancelled, used twice, from another browser, blocked."""
    with scene.person() as browser:
        browser.deny()
        callback = browser.callback()
        browser.visit(callback)
        browser.get(callback)
        browser.get("/callback?code=a&state=b")


def tokens(scene: Scene) -> None:
    """Renewed, by several requests at once; refused as used before."""
    scene.provider.knobs.access_token_lifetime(1)
    with scene.person() as browser, ThreadPoolExecutor(4) as pool:
        browser.sign_in_as()
        list(pool.map(lambda _: browser.get("/tests/token"), range(8)))
    for _ in range(3):
        with scene.person() as browser:
            browser.sign_in_as()
            scene.provider.knobs.refuse_refresh()
            browser.get("/tests/token")
    scene.provider.knobs.reset()


def provider_trouble(scene: Scene) -> None:
    """It does not answer, or too late."""
    for break_it in (
        lambda: scene.provider.knobs.answer("/oauth/token", 503, 3),
        lambda: scene.provider.knobs.delay("/oauth/token", 10),
    ):
        with scene.person() as browser:
            callback = browser.callback()
            break_it()
            browser.get(callback)
        scene.provider.knobs.reset()


def mistakes(scene: Scene) -> None:
    """Bugs, paths that do not exist, plain views, a slow page, and sessions that somebody has changed in Redis."""
    with scene.person() as browser:
        browser.sign_in_as()
        for path in ("/tests/bug", "/tests/error/503", "/no-such-page", "/tests/slow/0.6"):
            browser.http.get(browser.app.origin + path)
        for key in scene.redis.client.scan_iter("session:*", _type="string"):
            kept = scene.redis.client.get(key)
            assert isinstance(kept, bytes)
            scene.redis.client.set(key, kept[:-1] + bytes([kept[-1] ^ 1]), keepttl=True)
        browser.get("/profile")


def ways_out(scene: Scene) -> None:
    """/logout, everywhere, and by the provider."""
    with scene.person() as browser:
        browser.sign_in_as()
        browser.visit("/logout")
        browser.sign_in_as()
        browser.request("POST", "/profile/sessions", headers={"sec-fetch-site": "same-origin"})
        browser.sign_in_as()
        scene.provider.knobs.end_sessions("jane@example.com")
