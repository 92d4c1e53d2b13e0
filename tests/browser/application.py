"""The app under the real gunicorn, a client of the real provider: `with application(...) as app: app.origin`."""

import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.servers.gunicorn import Gunicorn, gunicorn
from tests.servers.identity import IdentityProvider
from tests.servers.nginx import nginx
from tests.servers.ports import free_ports


@dataclass(frozen=True)
class App:
    """A running app."""

    origin: str
    provider: IdentityProvider
    server: Gunicorn


@contextmanager
def application(
    folder: Path,
    provider: IdentityProvider,
    *,
    host: str = "localhost",
    certificate: tuple[Path, Path] | None = None,
    environment: Mapping[str, str] | None = None,
) -> Iterator[App]:
    """The app with TLS of its own at `https://<host>:<a free port>`, a client of its own at *provider*."""
    (port,) = free_ports(1)
    origin = f"https://{host}:{port}"
    tls_certificate, tls_key = certificate or provider.ca.issue()
    tls = {"SERVER_TLS_CERTIFICATE": str(tls_certificate), "SERVER_TLS_KEY": str(tls_key)}
    variables = _variables(provider, origin, port) | tls | dict(environment or {})
    with gunicorn(folder, environment=variables) as server:
        yield App(origin, provider, server)


@contextmanager
def application_behind_nginx(
    folder: Path, provider: IdentityProvider, *, environment: Mapping[str, str] | None = None
) -> Iterator[App]:
    """The app as it is deployed: nginx has the certificate and the public port."""
    (port,) = free_ports(1)
    upstream = f"127.0.0.1:{port}"
    # Tests sign in more often than people do.
    limits = {"NGINX_SERVER_NAMES": "localhost", "NGINX_LOGIN_RATE": "1000r/s"}
    with nginx(provider.ca.issue(), upstream=upstream, variables=limits) as terminator:
        origin = terminator.origin
        variables = _variables(provider, origin, port) | {"TRUSTED_PROXIES": "127.0.0.1"} | dict(environment or {})
        with gunicorn(folder, environment=variables) as server:
            yield App(origin, provider, server)


def _variables(provider: IdentityProvider, origin: str, port: int) -> dict[str, str]:
    client = {"client_id": f"app-{port}", "client_secret": secrets.token_urlsafe()}
    addresses = {"redirect_uris": [f"{origin}/callback"], "allowed_logout_urls": [f"{origin}/"]}
    provider.knobs.change_clients(client | addresses | {"name": "Flask under test"})
    return {
        "APP_ENV": "production",
        "APP_PAGES": "tests.browser.pages",
        "AUTH0_DOMAIN": provider.domain,
        "AUTH0_CLIENT_ID": client["client_id"],
        "AUTH0_CLIENT_SECRET": client["client_secret"],
        "AUTH0_SECRET": secrets.token_hex(64),
        "AUTH0_REDIRECT_URI": f"{origin}/callback",
        "AUTH0_TIMEOUT_SECONDS": "3",
        "SESSION_BACKEND": "cookie",
        "SERVER_BIND": f"127.0.0.1:{port}",
        "SERVER_WORKERS": "2",
        "SSL_CERT_FILE": str(provider.ca.path),
    }
