"""A real Alertmanager, and who is told: `with told() as people, alertmanager(folder, document) as address: ...`."""

import json
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import httpx
import yaml

from tests.servers.listening import listening
from tests.servers.ports import free_ports
from tests.servers.running import running, says_so

CONFIGURATION = Path(__file__).parents[2] / "deploy" / "alertmanager" / "alertmanager.yml"


@dataclass(frozen=True)
class Message:
    """One alert of a notification: who was told, when by the test's clock, and what."""

    receiver: str
    at: float
    status: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]


@dataclass
class People:
    """Takes webhooks at `url/RECEIVER`, and keeps what it was told."""

    url: str = ""
    bodies: list[tuple[str, Any]] = field(default_factory=list)
    """Each path and body as it came."""
    messages: list[Message] = field(default_factory=list)

    def take(self, path: str, body: Any) -> None:
        """One notification."""
        now = time.monotonic()
        self.bodies.append((path, body))
        for alert in body.get("alerts", ()):
            self.messages.append(
                Message(path.strip("/"), now, alert["status"], alert["labels"], alert.get("annotations", {}))
            )


@contextmanager
def told() -> Iterator[People]:
    """Listen on a free port of 127.0.0.1."""
    people = People()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            people.take(self.path, json.loads(body))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, format: str, *arguments: Any) -> None:
            """Say nothing."""

    with listening(Handler) as server:
        people.url = f"http://127.0.0.1:{server.server_port}"
        yield people


@contextmanager
def alertmanager(folder: Path, document: Mapping[str, Any]) -> Iterator[str]:
    """Run Alertmanager on a free port with a configuration; the value is its `host:port`."""
    program = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")
    if program is None:
        raise RuntimeError("alertmanager is missing: on Debian and Ubuntu, `apt-get install prometheus-alertmanager`.")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "alertmanager.yml").write_text(yaml.safe_dump(dict(document)), encoding="utf-8")
    [port] = free_ports(1)
    address = f"127.0.0.1:{port}"
    command = [program, f"--config.file={folder}/alertmanager.yml", f"--storage.path={folder}/data"]
    # One of it: no cluster to look for.
    command += [f"--web.listen-address={address}", "--cluster.listen-address="]
    with (
        httpx.Client(base_url=f"http://{address}", timeout=10, trust_env=False, verify=False) as http,
        running(command, folder / "log", lambda: says_so(http)),
    ):
        yield address
