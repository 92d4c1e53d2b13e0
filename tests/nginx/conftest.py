"""A real nginx between a client and an upstream of plain sockets."""

import os
import ssl
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from tests.nginx.client import Client, Response, connect
from tests.nginx.upstream import Upstream, tcp_upstream, unix_upstream
from tests.servers.certificates import CA, authority
from tests.servers.nginx import Nginx, Pair, nginx


class Site:
    """An nginx, the upstream behind it, and how a client that trusts its authority reaches it."""

    def __init__(self, server: Nginx, upstream: Upstream, ca: CA) -> None:
        self.server = server
        self.upstream = upstream
        self.ca = ca
        self.context = ssl.create_default_context(cafile=ca.path)
        self.http2 = ssl.create_default_context(cafile=ca.path)
        self.http2.set_alpn_protocols(["h2", "http/1.1"])

    def tls(self, name: str = "localhost") -> AbstractContextManager[Client]:
        """A connection to the TLS port."""
        return connect(self.server.https_port, self.context, name)

    def plain(self) -> AbstractContextManager[Client]:
        """A connection to the port that redirects."""
        return connect(self.server.http_port)

    def get(
        self, target: str, *headers: str, method: str = "GET", body: bytes = b"", host: str = "localhost"
    ) -> Response:
        """One request over TLS on a connection of its own."""
        with self.tls(host.partition(":")[0]) as client:
            return client.get(target, *headers, method=method, body=body, host=host)

    def raw(self, data: bytes) -> bytes:
        """Send bytes over TLS and read until the server ends the connection."""
        with self.tls() as client:
            client.send(data)
            return client.rest()


RunSite = Callable[..., AbstractContextManager[Site]]


@pytest.fixture(scope="session")
def ca(tmp_path_factory: pytest.TempPathFactory) -> CA:
    """An authority that may issue for localhost and app.test."""
    return authority(tmp_path_factory.mktemp("certificates"), permitted=["app.test"])


@pytest.fixture(scope="session")
def pair(ca: CA) -> Pair:
    """An ECDSA certificate for localhost, app.test and names below app.test."""
    return ca.issue(["app.test", "www.app.test"], stem="site")


@pytest.fixture(scope="session")
def run_site(ca: CA, pair: Pair) -> RunSite:
    """Runs an nginx with the given variables in front of an upstream of its own."""

    @contextmanager
    def run(*, unix: bool = False, **variables: str) -> Iterator[Site]:
        if program := os.environ.get("NGINX_BINARY"):
            # The whole suite against another nginx.
            variables.setdefault("NGINX_BINARY", program)
        with tempfile.TemporaryDirectory(prefix="auth0-flask-upstream-") as folder:
            Path(folder).chmod(0o755)
            with (
                unix_upstream(Path(folder)) if unix else tcp_upstream() as upstream,
                nginx(pair, upstream=upstream.address, variables=variables) as server,
            ):
                yield Site(server, upstream, ca)

    return run


@pytest.fixture(scope="session")
def _shared_site(run_site: RunSite) -> Iterator[Site]:
    # A rate that no test of something else reaches.
    with run_site(
        unix=True,
        NGINX_LOGIN_RATE="1000r/s",
        NGINX_SERVER_NAMES="localhost app.test *.app.test",
        NGINX_REDIRECTED_NAMES="www.redirected.test",
    ) as site:
        yield site


@pytest.fixture
def site(_shared_site: Site) -> Iterator[Site]:
    """An nginx with default limits, its upstream on a unix socket, shared by the tests that change no setting."""
    _shared_site.upstream.reset()
    yield _shared_site
    _shared_site.upstream.reset()
