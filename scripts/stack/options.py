"""What a person may choose: variables of `make up NAME=value`, of the environment and of the .env file."""

import hashlib
from collections.abc import Mapping, Set
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from dotenv import dotenv_values

from app.settings import Settings

from .prepare import redis_users

ROOT = Path(__file__).resolve().parents[2]
LOCAL = ROOT / "deploy" / "compose" / "local.env"
# Each port's variable, its usual number, what listens there, and the profile that it belongs to.
PORTS = {
    "HTTPS_PORT": (8443, "nginx", ""),
    "HTTP_PORT": (8080, "nginx's redirect from plain HTTP", ""),
    "IDENTITY_PORT": (9443, "the identity provider", "identity"),
    "PROMETHEUS_PORT": (9090, "Prometheus", "observability"),
    "ALERTMANAGER_PORT": (9093, "Alertmanager", "observability"),
    "GRAFANA_PORT": (3000, "Grafana", "observability"),
}
# The settings that nobody may see. Init reads them itself.
SECRETS = {name.upper() for name, field in Settings.model_fields.items() if "SecretStr" in str(field.annotation)}
# The services that read files of the checkout, in the folders of deploy/ with their names.
_CONFIGURED = ("redis", "prometheus", "alertmanager", "blackbox", "grafana")
_HIGHEST_PORT = 65_535


class StackError(Exception):
    """Why the stack cannot be started, in sentences that say how to mend it."""


@dataclass(frozen=True)
class Options:
    """The choices. `variables` are those of the .env file and, before them, those of the environment.

    `not_in_file` names those of the environment that the file does not have, or has otherwise.
    """

    env_file: Path
    variables: Mapping[str, str]
    ports: Mapping[str, int]
    not_in_file: Set[str]

    @property
    def local(self) -> bool:
        """Whether the local identity provider takes the place of a tenant."""
        return self.env_file == LOCAL

    @property
    def project(self) -> str:
        """The name of Compose's project."""
        return self.variables.get("COMPOSE_PROJECT_NAME") or "auth0-flask"

    @property
    def profiles(self) -> list[str]:
        """Compose's profiles."""
        return (self.variables.get("COMPOSE_PROFILES") or "observability").split(",")

    @property
    def left_out(self) -> list[str]:
        """Services not to start."""
        return self.variables.get("WITHOUT", "").replace(",", " ").split()

    @property
    def callback(self) -> str:
        """The callback's address."""
        return self.variables.get("AUTH0_REDIRECT_URI") or f"https://localhost:{self.ports['HTTPS_PORT']}/callback"

    @property
    def origin(self) -> str:
        """The app's address, as a browser shows it."""
        return self.callback.removesuffix("/callback")

    def path(self, name: str) -> Path | None:
        """The file that a variable names, from the checkout on."""
        value = self.variables.get(name)
        return ROOT / value if value else None

    def for_compose(self) -> dict[str, str]:
        """The environment of a Compose that reads no file: all variables, and what docker-compose.yml cannot derive.

        Compose reads a `$` in a file otherwise than python-dotenv, and then shows what follows it. So of a secret it is
        told that there is one.
        """
        url = urlsplit(self.callback)
        secrets = {name: "given" for name in SECRETS if self.variables.get(name)}
        return {
            **self.variables,
            **secrets,
            **{f"{service.upper()}_CONFIGURATION": _digest(service) for service in _CONFIGURED},
            "ENV_FILE": str(self.env_file),
            "COMPOSE_PROFILES": ",".join(self.profiles),
            "AUTH0_REDIRECT_URI": self.callback,
            "PUBLIC_NAME": url.hostname or "",
            "PUBLIC_PORT": str(url.port or 443),
        }


def read(environ: Mapping[str, str]) -> Options:
    """Read them. Raises StackError for a file that is missing and for what is no port."""
    env_file = _env_file(environ)
    try:
        in_file = {name: value for name, value in dotenv_values(env_file).items() if value}
    except ValueError:
        raise StackError(f"{env_file} is not text in UTF-8: save it as that.") from None
    variables = in_file | dict(environ)
    profiles = (variables.get("COMPOSE_PROFILES") or "observability").split(",")
    ports = {
        name: _port(name, variables.get(name) or str(usual))
        for name, (usual, _, profile) in PORTS.items()
        if not profile or profile in profiles
    }
    for name, port in ports.items():
        if (other := next(other for other in ports if ports[other] == port)) != name:
            raise StackError(f"{other} and {name} are both {port}: choose another for one of them.")
    not_in_file = {name for name, value in environ.items() if value and in_file.get(name) != value}
    return Options(env_file, variables, ports, not_in_file)


def _digest(service: str) -> str:
    """Of what the service is configured with: another one, another container."""
    folder = ROOT / "deploy" / service
    read = hashlib.sha256(redis_users("", "").encode() if service == "redis" else b"")
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        read.update(f"{path.relative_to(folder)} {path.stat().st_size}\n".encode() + path.read_bytes())
    return read.hexdigest()


def _env_file(environ: Mapping[str, str]) -> Path:
    if chosen := environ.get("ENV_FILE"):
        path = ROOT / chosen
        if not path.is_file():
            raise StackError(
                f"ENV_FILE names {chosen}, which is no file: copy .env.example to it and fill it in, or leave ENV_FILE"
                " out to use the local identity provider."
            )
        return path
    path = ROOT / ".env"
    return path if path.exists() else LOCAL


def _port(name: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) <= _HIGHEST_PORT):
        raise StackError(f"{name} is {text!r}: give a port from 1 to 65535, for example {PORTS[name][0]}.")
    return int(text)
