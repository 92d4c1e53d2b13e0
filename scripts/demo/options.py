"""What a person may choose, by environment variables or as `make demo NAME=value`."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass

BACKENDS = ("cookie", "redis")
# Each port's variable, its usual number, and what listens there.
PORTS = {
    "DEMO_PORT": (8443, "the app"),
    "DEMO_HTTP_PORT": (8080, "the redirect from plain HTTP"),
    "DEMO_IDENTITY_PORT": (9443, "the identity provider"),
    "DEMO_METRICS_PORT": (9464, "the app's metrics"),
}


class DemoError(Exception):
    """Why the demo cannot run, in one sentence that says how to mend it."""


@dataclass(frozen=True)
class Options:
    """The choices, valid. `redis_url` is empty unless an existing Redis is to be used."""

    backend: str
    redis_url: str
    ports: Mapping[str, int]

    @property
    def origin(self) -> str:
        """The app's address, as a browser shows it."""
        return f"https://localhost:{self.ports['DEMO_PORT']}"

    @property
    def starts_redis(self) -> bool:
        """Whether the demo runs a Redis of its own."""
        return self.backend == "redis" and not self.redis_url


def read(environ: Mapping[str, str]) -> Options:
    """Read the variables. Raises DemoError for the first one that cannot be used."""
    backend = environ.get("SESSION_BACKEND") or "cookie"
    if backend not in BACKENDS:
        raise DemoError(
            f"SESSION_BACKEND is {backend!r}: choose cookie or redis, as in `make demo SESSION_BACKEND=redis`."
        )
    ports = {name: _port(name, environ.get(name) or str(usual)) for name, (usual, _) in PORTS.items()}
    for name, port in ports.items():
        other = next(other for other in ports if ports[other] == port)
        if other != name:
            raise DemoError(f"{other} and {name} are both {port}: choose another for one of them.")
    options = Options(backend, environ.get("REDIS_URL", "") if backend == "redis" else "", ports)
    if options.starts_redis and not shutil.which("redis-server", path=environ.get("PATH")):
        raise DemoError(
            "SESSION_BACKEND=redis needs redis-server, which is not on PATH: install it (`apt-get install redis-server`"
            " or `brew install redis`), or set REDIS_URL to a Redis that runs already."
        )
    return options


def _port(name: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 65_536):
        raise DemoError(f"{name} is {text!r}: give a port from 1 to 65535, for example {PORTS[name][0]}.")
    return int(text)
