"""The app under the real gunicorn, in front of the real provider: `with app(folder, provider) as served: ...`."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.servers.gunicorn import Gunicorn, gunicorn
from tests.servers.identity import CLIENT, IdentityProvider
from tests.servers.redis import RedisServer, documented_user

CALLBACK: str = CLIENT["redirect_uris"][0]
ORIGIN = CALLBACK.removesuffix("/callback")
SECRET = "marked-encryption-secret-8d1f0c7a5b3e49d2a6c4f7e1"
REDIS_USER, REDIS_PASSWORD = "flask", "marked-redis-password-5f2b"
PAGES = "tests.integration.pages"


@dataclass
class ServedApp:
    """A running app. Browsers know it as `origin`; gunicorn really listens at `server.url`."""

    server: Gunicorn
    provider: IdentityProvider
    backend: str
    redis: RedisServer | None
    origin: str = ORIGIN

    @property
    def log(self) -> str:
        """All that gunicorn and the app have logged so far."""
        return self.server.log


@contextmanager
def app(
    folder: Path,
    provider: IdentityProvider,
    *,
    redis: RedisServer | None = None,
    workers: int = 1,
    **settings: str,
) -> Iterator[ServedApp]:
    """Run the app with production's settings, TLS and the pages of the tests.

    :param redis: where sessions are kept; in cookies, unless given.
    :param settings: variables to add or to replace.
    """
    certificate, key = provider.ca.issue()
    environment: Mapping[str, str] = {
        "APP_ENV": "production",
        "APP_PAGES": PAGES,
        "AUTH0_DOMAIN": provider.domain,
        "AUTH0_CLIENT_ID": CLIENT["client_id"],
        "AUTH0_CLIENT_SECRET": CLIENT["client_secret"],
        "AUTH0_SECRET": SECRET,
        "AUTH0_REDIRECT_URI": CALLBACK,
        # A busy machine is slow at times; what tests slowness says less.
        "AUTH0_TIMEOUT_SECONDS": "30",
        "SERVER_WORKERS": str(workers),
        "SERVER_TLS_CERTIFICATE": str(certificate),
        "SERVER_TLS_KEY": str(key),
        "SSL_CERT_FILE": str(provider.ca.path),
        **(_redis(redis) if redis else {"SESSION_BACKEND": "cookie"}),
        **settings,
    }
    with gunicorn(folder, environment=environment) as server:
        yield ServedApp(server, provider, "redis" if redis else "cookie", redis)


def _redis(redis: RedisServer) -> dict[str, str]:
    allow(redis)
    url = redis.url.replace("unix://", f"unix://{REDIS_USER}:{REDIS_PASSWORD}@")
    return {"SESSION_BACKEND": "redis", "REDIS_URL": url, "REDIS_TIMEOUT_SECONDS": "5"}


def allow(redis: RedisServer) -> None:
    """Let the app in as the documented user, with a password, to see that it appears nowhere."""
    redis.client.execute_command("ACL", "SETUSER", *documented_user(REDIS_PASSWORD).split())
