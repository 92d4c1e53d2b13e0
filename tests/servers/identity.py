"""The local identity provider as a real process: `with identity(ca) as provider: ...`."""

import json
import re
import selectors
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import httpx

from scripts.certificates import CA

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "identity"
CONFIGURATION: dict[str, Any] = json.loads((FOLDER / "identity.json").read_text())
CLIENT: dict[str, Any] = CONFIGURATION["clients"][0]
READY = re.compile(r"identity provider ready: (?P<issuer>\S+)(?: knobs: (?P<knobs>\S+))?\n")
START_SECONDS = 60
STOP_SECONDS = 20


class Knobs:
    """What tests turn at the provider; each is in the table of knobs in deploy/identity/README.md."""

    def __init__(self, address: str) -> None:
        self.address = address
        # A port has an URL; the path of a unix socket has none.
        if address.startswith("http"):
            self._http = httpx.Client(base_url=address, timeout=30, verify=False)
        else:
            transport = httpx.HTTPTransport(uds=address, verify=False)
            self._http = httpx.Client(transport=transport, base_url="http://knobs", timeout=30)

    def counters(self) -> dict[str, int]:
        """Calls by route, for /oauth/token also by grant type ("/oauth/token refresh_token")."""
        counters: dict[str, int] = self._call("GET", "/counters")
        return counters

    def reset(self) -> None:
        """Counters and all faults as at the start; keys and clients stay."""
        self._call("POST", "/reset")

    def delay(self, route: str, seconds: float) -> None:
        """Answer *route* only after *seconds*."""
        self._call("PUT", "/delay", route=route, seconds=seconds)

    def answer(self, route: str, status: int, times: int = 1) -> None:
        """Answer *route* with *status* the next *times* times."""
        self._call("PUT", "/answer", route=route, status=status, times=times)

    def clock(self, seconds: int) -> None:
        """Set the provider's clock *seconds* ahead, or back when negative."""
        self._call("PUT", "/clock", seconds=seconds)

    def echo_scope(self, echo: bool) -> None:
        """Whether the token response says which scope was granted."""
        self._call("PUT", "/scope", echo=echo)

    def access_token_lifetime(self, seconds: int) -> None:
        """Let access tokens that are issued from now on expire after *seconds*."""
        self._call("PUT", "/access-token", seconds=seconds)

    def refuse_refresh(self, times: int = 1) -> None:
        """Answer the next *times* refreshes with invalid_grant; the refresh token stays good."""
        self._call("POST", "/refuse-refresh", times=times)

    def rotate_key(self, *, keep_old: bool) -> None:
        """Sign with a new key from now on; without *keep_old* the JWKS has the old one no more."""
        self._call("POST", "/rotate-key", keep_old=keep_old)

    def change_clients(self, *clients: Mapping[str, Any]) -> None:
        """Merge fields over those of the clients with the same client_id; add the others."""
        self._call("PUT", "/clients", clients=clients)

    def end_sessions(self, username: str) -> int:
        """End the user's sessions at the provider, with back-channel logout; how many there were."""
        ended: int = self._call("POST", "/end-sessions", username=username)["ended"]
        return ended

    def close(self) -> None:
        """Close the connection to the knobs."""
        self._http.close()

    def _call(self, method: str, path: str, **body: Any) -> Any:
        response = self._http.request(method, path, json=body if method != "GET" else None)
        if response.is_error:
            raise ValueError(response.json()["error"])
        return response.json() if response.content else None


@dataclass
class IdentityProvider:
    """A running provider."""

    issuer: str
    ca: CA
    process: subprocess.Popen[str]
    log: Path
    _knobs: Knobs | None

    @property
    def domain(self) -> str:
        """Host and port, which is what AUTH0_DOMAIN is set to."""
        return self.issuer.removeprefix("https://").removesuffix("/")

    @property
    def knobs(self) -> Knobs:
        """The knobs, when it was started with them."""
        assert self._knobs, "started without knobs"
        return self._knobs

    def client(self, **options: Any) -> httpx.Client:
        """An HTTP client that trusts the provider's certificate and starts at its origin."""
        context = ssl.create_default_context(cafile=str(self.ca.path))
        return httpx.Client(verify=context, base_url=self.issuer, timeout=30, **options)

    def stop(self) -> None:
        """End the process by its own id; may be called twice."""
        if self._knobs:
            self._knobs.close()
        self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
        finally:
            assert self.process.stdout
            self.process.stdout.close()


@contextmanager
def identity(
    certificates: CA,
    *,
    clients: Iterable[Mapping[str, Any]] = (),
    users: Iterable[Mapping[str, Any]] = (),
    knobs: bool = True,
    knob_port: int | None = None,
    port: int = 0,
    options: Iterable[str] = (),
) -> Iterator[IdentityProvider]:
    """The provider on a free port unless *port* is given; *options* are further ones of its command line.

    *clients* are merged over those of identity.json by client_id; *users* are added to its users.
    The knobs are on a unix socket, or on *knob_port* of 127.0.0.1.
    """
    # Not pytest's folder: the path of a unix socket is limited to 107 bytes.
    with tempfile.TemporaryDirectory(prefix="identity-") as name:
        folder = Path(name)
        _write_configuration(folder, list(clients), list(users))
        given = ["--port", str(port), *options]
        if knobs:
            given += ["--knobs", str(folder / "knobs") if knob_port is None else str(knob_port)]
        provider = _start(certificates, folder, given)
        try:
            yield provider
        finally:
            provider.stop()


def command(certificates: CA, *options: str) -> list[str]:
    """The command line that starts the provider with a certificate of *certificates*."""
    certificate, key = certificates.issue()
    tls = ["--certificate", str(certificate), "--key", str(key), "--ca", str(certificates.path)]
    return [node(), str(FOLDER / "server.mjs"), *tls, *options]


@cache
def node() -> str:
    """The path of Node.js, installed with the provider's packages when they are not there yet."""
    script = [sys.executable, str(ROOT / "scripts" / "node.py")]
    installed = subprocess.run(script, capture_output=True, text=True, check=False, timeout=600)
    assert installed.returncode == 0, installed.stderr
    return installed.stdout.strip()


def _write_configuration(folder: Path, clients: list[Any], users: list[Any]) -> None:
    configuration = CONFIGURATION | {"users": [*CONFIGURATION["users"], *users]}
    (folder / "identity.json").write_text(json.dumps(configuration))
    (folder / "clients.json").write_text(json.dumps(clients))


def _start(certificates: CA, folder: Path, options: list[str]) -> IdentityProvider:
    options += ["--config", str(folder / "identity.json"), "--clients", str(folder / "clients.json")]
    log = folder / "log"
    with log.open("w") as errors:
        process = subprocess.Popen(
            command(certificates, *options), stdout=subprocess.PIPE, stderr=errors, text=True, cwd=ROOT
        )
    ready = _ready(process)
    if not ready:
        process.kill()
        process.wait()
        raise RuntimeError(f"The identity provider did not start:\n{log.read_text()}")
    return IdentityProvider(
        ready["issuer"], certificates, process, log, Knobs(ready["knobs"]) if ready["knobs"] else None
    )


def _ready(process: subprocess.Popen[str]) -> re.Match[str] | None:
    assert process.stdout
    end = time.monotonic() + START_SECONDS
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        if selector.select(end - time.monotonic()):
            return READY.fullmatch(process.stdout.readline())
    return None
