"""What is looked at before anything is built or started. Each check raises StackError."""

import datetime
import ipaddress
import re
import secrets
import shlex
import stat
from pathlib import Path
from urllib.parse import urlsplit

from app.environment import OWN_PREFIXES
from app.settings import Settings, SettingsError, load_settings
from scripts.demo import ports

from .docker import Docker
from .options import PORTS, ROOT, SECRETS, Options, StackError
from .pair import PairError, leaf

# Bind mounts, which the services read as a user of their own.
_READ_BY_SERVICES = ("deploy/redis", "deploy/prometheus", "deploy/alertmanager", "deploy/grafana")
# Those of nginx' variables that a person may set.
_NGINX = ("NGINX_LOGIN_RATE", "NGINX_CLIENT_REQUESTS", "NGINX_DENIED_CLIENTS")
# What COMPOSE_PROFILES is where nothing shall run beside the app; an empty one is as good as unset.
_NO_PROFILE = "none"
# What docker-compose.yml decides, whatever the .env file says, which may be a development server's; empty is unset.
_DECIDED = {
    "APP_ENV": "production",
    "SESSION_BACKEND": "redis",
    "SESSION_COOKIE_SECURE": "",
    "REDIS_URL": "rediss://flask@redis:6379/0",
    "SERVER_BIND": "",
    "SERVER_TLS_CERTIFICATE": "",
    "SERVER_TLS_KEY": "",
    "METRICS_BIND": "",
    "TRUSTED_PROXIES": "unix",
}


def check(options: Options, docker: Docker) -> None:
    """Check everything, the cheapest first."""
    _secrets(options)
    _settings(options)
    _callback(options)
    _certificate(options)
    _webhooks(options)
    _nginx(options)
    _published(options)
    _readable()
    docker.check()
    own(options, docker)
    _services(options, docker)
    _ports(options, docker.published())


def own(options: Options, docker: Docker) -> None:
    """Another checkout's stack is not ours to replace or to remove. One that has been moved is."""
    for folder in sorted(docker.folders()):
        # A plain `docker compose` says it as it was gone to, perhaps by a link.
        if Path(folder).resolve() != ROOT and (Path(folder) / "docker-compose.yml").is_file():
            raise StackError(
                f"The stack {options.project} is that of {folder}: say `make down` there, or give this checkout's a"
                " name and ports of its own with COMPOSE_PROJECT_NAME, HTTPS_PORT and the others."
            )


def _services(options: Options, docker: Docker) -> None:
    for variable, given, known in (
        ("COMPOSE_PROFILES", options.profiles, [*docker.profiles(), _NO_PROFILE]),
        ("WITHOUT", options.left_out, docker.services("*")),
    ):
        for name in given:
            if name not in known:
                raise StackError(f"{variable} names {name!r}, which there is not: choose among {', '.join(known)}.")


def _nginx(options: Options) -> None:
    """By the patterns of nginx/start.sh, which would say the same and not start."""
    script = (ROOT / "nginx" / "start.sh").read_text()
    shared = dict(re.findall(r"^(\w+)='(.*)'$", script, re.MULTILINE))
    for line in re.findall(r"^setting (.*)$", script, re.MULTILINE):
        name, _, pattern, example, *_ = shlex.split(line)
        if name not in _NGINX:
            continue
        for word in options.variables.get(name, "").split():
            if not re.fullmatch(shared.get(pattern.removeprefix("$"), pattern), word):
                raise StackError(f"{name}: {word!r} is not right; an example is {example}.")


def _published(options: Options) -> None:
    if address := options.variables.get("PUBLISH_ADDRESS"):
        try:
            ipaddress.IPv4Address(address)
        except ValueError:
            raise StackError(f"PUBLISH_ADDRESS is {address!r}: give an IPv4 address of this machine.") from None
    if (tag := options.variables.get("TAG")) and not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", tag):
        raise StackError(f"TAG is {tag!r}: give letters, digits, dots and dashes, for example 1.0.0.")


def _webhooks(options: Options) -> None:
    for name in ("ALERTMANAGER_PAGE_FILE", "ALERTMANAGER_TICKET_FILE"):
        if path := options.path(name):
            try:
                path.read_text()
            except (OSError, ValueError) as error:
                reason = getattr(error, "strerror", None) or "it is not text"
                raise StackError(f"{name} cannot be read from {path} ({reason}): correct the path.") from None


def _secrets(options: Options) -> None:
    """Init is given files alone, the .env file among them: what the environment says, the engine would show."""
    for name in sorted(SECRETS - _DECIDED.keys()):
        if name in options.not_in_file:
            file = ".env" if options.local else _name(options.env_file)
            raise StackError(
                f"{name} is set in the environment, from which no secret is taken: write it into {file}, or into a file"
                f" that {name}_FILE names."
            )


def _settings(options: Options) -> None:
    """By the app's own rules, so that it does not start only to say what is wrong."""
    names = [name.upper() for name in Settings.model_fields]
    paths = [*(f"{name}_FILE" for name in names), "AUTH0_CLIENT_CERTIFICATE", "AUTH0_CLIENT_CERTIFICATE_KEY"]
    # A misspelt name is among them.
    given = {name: value for name, value in options.variables.items() if name in names or name.startswith(OWN_PREFIXES)}
    given |= {name: str(path) for name in paths if (path := options.path(name))}
    given = {name: value for name, value in given.items() if name.removesuffix("_FILE") not in _DECIDED}
    if not any(given.get(name) for name in ("AUTH0_SECRET", "AUTH0_SECRET_FILE")):
        # The stack makes one.
        given["AUTH0_SECRET"] = secrets.token_hex(64)
    try:
        load_settings(given | _DECIDED | {"AUTH0_REDIRECT_URI": options.callback})
    except SettingsError as error:
        # Not that the app itself reads no .env file in production: what is in it has been read above.
        problems = [problem for problem in error.problems if problem.variable != "APP_ENV"]
        raise StackError(f"{_name(options.env_file)} cannot be used. {SettingsError(problems)}") from None


def _callback(options: Options) -> None:
    url, port = urlsplit(options.callback), options.ports["HTTPS_PORT"]
    if url.hostname == "localhost" and (url.port or 443) != port:
        raise StackError(
            f"AUTH0_REDIRECT_URI is {options.callback}, but nginx is published on port {port}: give both the same port,"
            f" for example `make up HTTPS_PORT={url.port or 443}`."
        )


def _certificate(options: Options) -> None:
    paths = {name: options.path(name) for name in ("TLS_CERTIFICATE", "TLS_KEY")}
    if not any(paths.values()):
        return
    texts = {}
    for name, path in paths.items():
        if path is None:
            raise StackError(f"{name} is missing: TLS_CERTIFICATE and TLS_KEY must be set together.")
        try:
            texts[name] = path.read_bytes()
        except OSError as error:
            raise StackError(f"{name} cannot be read from {path} ({error.strerror}): correct the path.") from None
    try:
        own = leaf(texts["TLS_CERTIFICATE"], texts["TLS_KEY"])
    except PairError as error:
        raise StackError(str(error)) from None
    if own.not_valid_after_utc < datetime.datetime.now(datetime.UTC):
        raise StackError(f"TLS_CERTIFICATE has expired on {own.not_valid_after_utc:%d %B %Y}: renew it.")


def _readable() -> None:
    for folder in _READ_BY_SERVICES:
        for path in ((ROOT / folder), *(ROOT / folder).rglob("*")):
            wanted = stat.S_IROTH | (stat.S_IXOTH if path.is_dir() else 0)
            if path.stat().st_mode & wanted != wanted:
                raise StackError(
                    f"{path.relative_to(ROOT)} is not readable for the containers' user: `chmod -R go+rX deploy`."
                )


def _ports(options: Options, own: set[int]) -> None:
    for name, port in options.ports.items():
        service = name.removesuffix("_PORT").lower()
        if port in own or service in options.left_out:
            continue
        if reason := ports.obstacle(port):
            fix = (
                f"stop that, or choose another port with `make up {name}={ports.another(port, options.ports.values())}`"
            )
            raise StackError(f"Port {port}, for {PORTS[name][1]}, {reason}: {fix}.")


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)
