"""The ways to serve the profile page that are compared."""

import secrets
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.load.users import DOMAIN
from tests.servers.ports import free_ports

ORIGIN_HOST = "localhost"
_GUNICORN = (sys.executable, "-m", "gunicorn")
_PROJECT = ("-c", "app/server/gunicorn.conf.py", "app.server.main:app")
_GUIDE = ("tests.load.ways.guide:app",)


@dataclass(frozen=True)
class Way:
    """How one worker is started, and which of its pages is asked for."""

    key: str
    title: str
    arguments: tuple[str, ...]
    variables: Mapping[str, str] = field(default_factory=dict)
    path: str = "/profile"
    project: bool = False
    """Whether it is configured by this project's settings; the others take gunicorn's options."""

    def command(self, address: str) -> list[str]:
        """The command line of the worker that listens at *address*."""
        bind = [] if self.project else ["--bind", address, "--workers", "1"]
        return [*_GUNICORN, *bind, *self.arguments]

    def environment(self, address: str, redis_url: str) -> dict[str, str]:
        """The variables that configure it."""
        own = {
            "SERVER_BIND": address,
            "SERVER_WORKERS": "1",
            "METRICS_BIND": f"127.0.0.1:{free_ports(1)[0]}",
            # On a machine that does other things Redis may have to wait for its core; that is no answer of the app's.
            "REDIS_TIMEOUT_SECONDS": "10",
        }
        return {
            "AUTH0_DOMAIN": DOMAIN,
            "AUTH0_CLIENT_ID": "client-of-the-benchmark",
            "AUTH0_CLIENT_SECRET": _SECRETS[0],
            "AUTH0_SECRET": _SECRETS[1],
            "AUTH0_REDIRECT_URI": f"https://{ORIGIN_HOST}:8443/callback",
            "REDIS_URL": redis_url,
            **(own | {"APP_PAGES": "tests.load.pages"} if self.project else {}),
            **self.variables,
        }


_SECRETS = (secrets.token_hex(32), secrets.token_hex(64))
_REDIS = {"BENCH_SESSIONS": "redis"}
_COOKIE = {"BENCH_SESSIONS": "cookie"}
_GTHREAD = ("--worker-class", "gthread", "--threads", "8")
_OUR_SERVER = ("--worker-class", "app.server.worker.Worker", "--preload")
_ADAPTER = ("--worker-class", "tests.load.ways.adapter.Worker", "tests.load.ways.adapter:app")
_UNFROZEN = ("--worker-class", "tests.load.ways.unfrozen.Worker")

WAYS = (
    Way("guide-redis-sync", "guide, Redis, gunicorn sync", _GUIDE, _REDIS),
    Way("guide-redis-gthread", "guide, Redis, gunicorn gthread 8", (*_GTHREAD, *_GUIDE), _REDIS),
    Way("guide-redis-asgiref", "guide, Redis, asgiref, a thread a request", _ADAPTER, _REDIS),
    Way("guide-cookie-sync", "guide, cookie, gunicorn sync", _GUIDE, _COOKIE),
    Way("guide-cookie-gthread", "guide, cookie, gunicorn gthread 8", (*_GTHREAD, *_GUIDE), _COOKIE),
    Way("redis", "**this project, Redis**", _PROJECT, {"SESSION_BACKEND": "redis"}, project=True),
    Way("cookie", "**this project, cookie**", _PROJECT, {"SESSION_BACKEND": "cookie"}, project=True),
    Way("floor", "floor: bare Flask, one GET, this server", (*_OUR_SERVER, "tests.load.ways.floor:app")),
    Way("redis-def", "this project, Redis, `def` view in a thread", _PROJECT, path="/profile/def", project=True),
    Way("redis-unfrozen", "this project, Redis, heap not frozen", (*_PROJECT, *_UNFROZEN), project=True),
)

TERMINATED = Way("nginx", "", _PROJECT, {"SESSION_BACKEND": "redis", "TRUSTED_PROXIES": "127.0.0.1"}, project=True)
"""The one behind nginx: as `redis`, but it believes what a proxy on the same machine says."""

HANGING = Way("hanging", "", _PROJECT, {"SESSION_BACKEND": "redis", "REDIS_TIMEOUT_SECONDS": "0.25"}, project=True)
"""The one whose Redis hangs: as `redis`, with the product's own limit on time."""
