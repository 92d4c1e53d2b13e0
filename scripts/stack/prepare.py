"""What the containers are given before they start: certificates, keys and passwords, each in the folder of its reader.

Runs in the container `init`, on what docker-compose.yml mounts there. What is there and valid is kept, so it may run at
every start. A file belongs to root and is readable by the group that the services run as: none of them can change it.
"""

import contextlib
import hashlib
import json
import os
import secrets
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

from dotenv import dotenv_values

from scripts.certificates import CA, authority

from .pair import PairError, leaf

USER = 65_532
STACK = Path("/stack")
GIVEN = Path("/run/secrets")
# What app.sessions sends, its scripts included; tests/unit/test_compose_file.py compares.
APP_COMMANDS = (
    "+ping +info +get +mget +getex +getrange +set +del +expire +pexpire +expireat +eval +zadd +zrem +zscore +zrange"
    " +zrangebyscore +hset +hdel +hmget +client|setinfo"
)
REDIS_ADDRESSES = ("rediss://redis:6379", "rediss://exporter@redis:6379")
# Nobody can be it. But Redis asks what it may write when it reads back what scripts wrote together
# (redis/redis#14541): without this, the index of sessions is gone after a restart.
DEFAULT_USER = "user default off resetchannels ~session:* -@all +@write"
# What redis_exporter sends, beside what shows commands with their keys.
EXPORTER_COMMANDS = "resetchannels -@all +ping +info +slowlog|len +latency|latest"
# How the app may prove to Auth0, to a proxy and to a collector of traces who it is; it says itself what is missing.
CREDENTIALS = (
    "AUTH0_CLIENT_SECRET",
    "AUTH0_PROXY_URL",
    "OTEL_EXPORTER_OTLP_HEADERS",
    "AUTH0_CLIENT_ASSERTION_KEY",
    "AUTH0_CLIENT_CERTIFICATE",
    "AUTH0_CLIENT_CERTIFICATE_KEY",
)


def redis_users(digest: str, exporters_digest: str) -> str:
    """Redis' ACL, with the SHA-256 of the passwords of the app's user and of the exporter's."""
    users = [
        DEFAULT_USER,
        f"user flask on #{digest} resetchannels ~session:* -@all {APP_COMMANDS}",
        "user probe on nopass resetchannels -@all +ping",
        f"user exporter on #{exporters_digest} {EXPORTER_COMMANDS}",
    ]
    return "\n".join([*users, ""])


class PreparationError(Exception):
    """What is missing or wrong, in a sentence with the fix."""


def main() -> int:
    """Prepare everything; 1 with a sentence when something given cannot be used."""
    # Nobody but root until a file is given away.
    os.umask(0o077)
    try:
        Preparation(STACK, GIVEN, os.environ["AUTH0_REDIRECT_URI"]).run()
    except PreparationError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


class Preparation:
    """One run, from the files in *given* to the folders in *stack*; *callback* is the app's, for the local provider."""

    def __init__(self, stack: Path, given: Path, callback: str) -> None:
        self._stack = stack
        self._given = given
        self._callback = callback
        dotenv = given / "dotenv"
        self._dotenv = dotenv_values(dotenv) if dotenv.is_file() else {}

    def run(self) -> None:
        """Fill every folder."""
        local = self._local_authority()
        self._nginx(local)
        self._identity(local)
        password, exporter_password = self._kept("redis_password"), self._kept("redis_exporter_password")
        redis = authority(self._stack / "authority" / "redis", permitted=["redis"])
        self._redis(redis, password, exporter_password)
        self._redis_exporter(redis, exporter_password)
        self._app(local, redis, password)
        self._prometheus()
        self._grafana()
        self._alertmanager()
        for folder in (self._stack / "data").iterdir():
            _give_folder(folder, USER, 0o700)

    def _local_authority(self) -> CA:
        folder = self._stack / "authority" / "localhost"
        certificate, key = self._file("authority_certificate"), self._file("authority_key")
        if certificate and key:
            folder.mkdir(exist_ok=True)
            (folder / "ca.pem").write_text(certificate)
            (folder / "ca-key.pem").write_text(key)
        return authority(folder)

    def _nginx(self, local: CA) -> None:
        certificate, key = self._file("tls_certificate"), self._file("tls_key")
        if bool(certificate) != bool(key):
            raise PreparationError("TLS_CERTIFICATE and TLS_KEY must be set together: one of them is missing or empty.")
        if not certificate:
            certificate, key = (path.read_text() for path in local.issue())
        # nginx would not start, or go on with the old ones without a word.
        try:
            leaf(certificate.encode(), key.encode())
        except PairError as error:
            raise PreparationError(str(error)) from None
        with _given_to_services(self._stack / "nginx") as put:
            # nginx takes both at its next SIGHUP.
            put("tls.key", key)
            put("tls.crt", certificate)

    def _identity(self, local: CA) -> None:
        certificate, key = local.issue()
        origin = self._callback.removesuffix("/callback")
        client = {
            "client_id": "local-client",
            "redirect_uris": [self._callback],
            "allowed_logout_urls": [f"{origin}/", origin],
            "backchannel_logout_uri": f"{origin}/backchannel-logout",
        }
        with _given_to_services(self._stack / "identity") as put:
            put("localhost.pem", certificate.read_text())
            put("localhost-key.pem", key.read_text())
            put("ca.pem", local.path.read_text())
            # The provider takes https alone, and so does the app in production.
            put("clients.json", json.dumps([client] if urlsplit(origin).scheme == "https" else []))

    def _redis(self, own: CA, password: str, exporter_password: str) -> None:
        certificate, key = own.issue(["redis"], stem="redis")
        digests = (hashlib.sha256(text.encode()).hexdigest() for text in (password, exporter_password))
        with _given_to_services(self._stack / "redis") as put:
            put("redis.pem", certificate.read_text())
            put("redis-key.pem", key.read_text())
            put("ca.pem", own.path.read_text())
            put("users.acl", redis_users(*digests))

    def _redis_exporter(self, own: CA, password: str) -> None:
        with _given_to_services(self._stack / "redis-exporter") as put:
            put("ca.pem", own.path.read_text())
            # Older exporters look for the address alone, newer ones for the user's.
            put("passwords.json", json.dumps(dict.fromkeys(REDIS_ADDRESSES, password)))

    def _app(self, local: CA, redis: CA, password: str) -> None:
        with _given_to_services(self._stack / "app") as put:
            for name in CREDENTIALS:
                put(name.lower(), self._setting(name))
            # Everybody knows the local provider's passwords: whoever is signed in there is nobody to a tenant.
            own = "auth0_secret_local" if self._is_local() else "auth0_secret"
            put("auth0_secret", self._setting("AUTH0_SECRET") or self._kept(own))
            put("redis_url", f"rediss://flask:{password}@redis:6379/0")
            put("redis-ca.pem", redis.path.read_text())
            put("authority.pem", local.path.read_text())

    def _prometheus(self) -> None:
        # nginx shows its certificate to whoever asks for its name alone.
        name = urlsplit(self._callback).hostname
        with _given_to_services(self._stack / "prometheus") as put:
            put("certificate.json", json.dumps([{"targets": ["nginx:8443"], "labels": {"__param_hostname": name}}]))

    def _grafana(self) -> None:
        with _given_to_services(self._stack / "grafana") as put:
            put("admin_password", self._kept("grafana_password"))

    def _alertmanager(self) -> None:
        with _given_to_services(self._stack / "alertmanager") as put:
            for name in ("page", "ticket"):
                put(name, self._file(f"alertmanager_{name}"))

    def _is_local(self) -> bool:
        return urlsplit(f"//{self._dotenv.get('AUTH0_DOMAIN')}").hostname == "localhost"

    def _setting(self, name: str) -> str:
        """What a file that is given holds, else what stands in the .env file."""
        return self._file(name.lower()) or self._dotenv.get(name) or ""

    def _file(self, name: str) -> str:
        path = self._given / name
        try:
            return path.read_text(encoding="utf-8").strip() if path.exists() else ""
        except UnicodeDecodeError:
            raise PreparationError(f"{name.upper()} is not text in UTF-8: give another file.") from None

    def _kept(self, name: str) -> str:
        """A random secret of this installation, made once."""
        path = self._stack / "authority" / name
        if not path.exists():
            _write(path, secrets.token_hex(64))
        return path.read_text()


@contextlib.contextmanager
def _given_to_services(folder: Path) -> Iterator[Callable[[str, str], None]]:
    """Yield what puts a text into a file of *folder*, which the services' group may read; no text, no file."""

    def put(name: str, text: str) -> None:
        path = folder / name
        if not text:
            # Of an earlier run, when there was one.
            path.unlink(missing_ok=True)
        elif not path.exists() or path.read_text() != text:
            _write(path, text)

    yield put
    _give_folder(folder, os.geteuid(), 0o750)


def _write(path: Path, text: str) -> None:
    # Written aside and moved: who reads it meanwhile gets the old text or the new one, never half of it.
    aside = path.with_name(f".{path.name}")
    aside.write_text(text)
    _give(aside, os.geteuid(), 0o440)
    aside.replace(path)


def _give_folder(folder: Path, owner: int, mode: int) -> None:
    status = folder.stat()
    if (status.st_uid, status.st_gid, status.st_mode & 0o7777) != (owner, USER, mode):
        _give(folder, owner, mode)


def _give(path: Path, owner: int, mode: int) -> None:
    # The mode first: once it belongs to somebody else it is no longer ours to change.
    path.chmod(mode)
    os.chown(path, owner, USER)


if __name__ == "__main__":
    sys.exit(main())
