"""The demo's services: how each is started, and how one knows that it is ready."""

import json
import os
import secrets
import socket
import ssl
import sys
import urllib.request
from pathlib import Path
from typing import Any

from scripts.certificates import CA

from .children import Children
from .options import DemoError, Options

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / ".local" / "demo"
IDENTITY = ROOT / "deploy" / "identity"
CONFIGURATION: dict[str, Any] = json.loads((IDENTITY / "identity.json").read_text(encoding="utf-8"))
# All that the processes get of the machine's environment: none of its proxies, certificate bundles and settings.
_PASSED_ON = ("PATH", "HOME", "USER", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "LD_LIBRARY_PATH")
# What fits into the address of a unix socket on every system.
_SOCKET_PATH_BYTES = 103


def environment() -> dict[str, str]:
    """The variables that every process gets."""
    return {name: os.environ[name] for name in _PASSED_ON if name in os.environ} | {"TMPDIR": str(FOLDER)}


def start_redis(children: Children) -> str:
    """Run a Redis on a unix socket that only this user can open, without files. Returns its URL."""
    path = FOLDER / "redis.sock"
    if len(str(path).encode()) > _SOCKET_PATH_BYTES:
        raise DemoError(f"The path {path} is too long for a socket: move the checkout, or set REDIS_URL.")
    path.unlink(missing_ok=True)
    command = ["redis-server", "--port", "0", "--unixsocket", str(path), "--unixsocketperm", "700"]
    child = children.start("Redis", "redis.log", [*command, "--save", "", "--appendonly", "no"], environment(), FOLDER)

    def answers() -> bool:
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(str(path)) == 0

    children.wait_until(answers, child)
    return f"unix://{path}"


def start_identity(children: Children, options: Options, ca: CA, node: Path) -> None:
    """Run the identity provider, with the addresses of this demo's app as those of its client."""
    clients = FOLDER / "clients.json"
    origin = options.origin
    addresses = {
        "client_id": CONFIGURATION["clients"][0]["client_id"],
        "redirect_uris": [f"{origin}/callback"],
        "allowed_logout_urls": [f"{origin}/", origin],
        "backchannel_logout_uri": f"{origin}/backchannel-logout",
    }
    clients.write_text(json.dumps([addresses]), encoding="utf-8")
    certificate, key = ca.issue()
    command: list[str | Path] = [
        node,
        IDENTITY / "server.mjs",
        "--config",
        IDENTITY / "identity.json",
        "--clients",
        clients,
    ]
    command += ["--port", str(options.ports["DEMO_IDENTITY_PORT"])]
    command += ["--certificate", certificate, "--key", key, "--ca", ca.path]
    child = children.start("The identity provider", "identity.log", command, environment(), ROOT)
    children.wait_until(lambda: b"identity provider ready" in child.log.read_bytes(), child)


def start_app(children: Children, options: Options, ca: CA, redis_url: str, *, ipv6: bool) -> None:
    """Run the app under gunicorn, as in production, with gunicorn itself serving TLS."""
    certificate, key = ca.issue()
    port = options.ports["DEMO_PORT"]
    client = CONFIGURATION["clients"][0]
    variables = environment() | {
        "APP_ENV": "production",
        "AUTH0_DOMAIN": f"localhost:{options.ports['DEMO_IDENTITY_PORT']}",
        "AUTH0_CLIENT_ID": client["client_id"],
        "AUTH0_CLIENT_SECRET": client["client_secret"],
        "AUTH0_SECRET_FILE": str(secret_file()),
        "AUTH0_REDIRECT_URI": f"{options.origin}/callback",
        "SESSION_BACKEND": options.backend,
        "REDIS_URL": redis_url,
        "SERVER_BIND": f"127.0.0.1:{port}",
        "SERVER_TLS_CERTIFICATE": str(certificate),
        "SERVER_TLS_KEY": str(key),
        "SERVER_GRACE_SECONDS": "5",
        "METRICS_BIND": f"127.0.0.1:{options.ports['DEMO_METRICS_PORT']}",
        "PROMETHEUS_MULTIPROC_DIR": str(FOLDER / "metrics"),
        "SSL_CERT_FILE": str(ca.path),
    }
    command = [sys.executable, "-m", "gunicorn", "--config", "app/server/gunicorn.conf.py"]
    # On both addresses of `localhost`, so that no browser waits for the one that it tries first.
    for address in ("127.0.0.1", "[::1]") if ipv6 else ("127.0.0.1",):
        command += ["--bind", f"{address}:{port}"]
    child = children.start("The app", "app.log", [*command, "app.server.main:app"], variables, ROOT)
    context = ssl.create_default_context(cafile=str(ca.path))
    # The machine's proxy, if it has one, cannot know this address.
    handlers = (urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))
    opener = urllib.request.build_opener(*handlers)

    def is_ready() -> bool:
        try:
            with opener.open(f"https://127.0.0.1:{port}/healthz/ready", timeout=5):
                return True
        except OSError:
            return False

    children.wait_until(is_ready, child)


def secret_file() -> Path:
    """The file with this checkout's AUTH0_SECRET; made once, so that a session outlives a restart of the demo."""
    path = FOLDER / "secret"
    if not path.exists():
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_hex(64))
    return path
