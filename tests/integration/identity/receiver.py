"""An application as the provider sees it: over TLS it answers whoever comes, and keeps the forms that it gets."""

import queue
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qs

from scripts.certificates import CA
from tests.servers.listening import listening

WAIT_SECONDS = 30


@dataclass
class Receiver:
    """Where the provider posts, and what it has posted."""

    url: str
    status: int = 200
    forms: queue.Queue[tuple[str, dict[str, list[str]]]] = field(default_factory=queue.Queue)

    def logout_token(self) -> str:
        """The next logout token, which is all that the form holds (OpenID Connect Back-Channel Logout 1.0, 2.5)."""
        content_type, form = self.forms.get(timeout=WAIT_SECONDS)
        assert content_type == "application/x-www-form-urlencoded"
        assert set(form) == {"logout_token"}
        (token,) = form["logout_token"]
        return token


@contextmanager
def receiver(ca: CA) -> Iterator[Receiver]:
    """A receiver on a free port of 127.0.0.1."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"])).decode()
            self.send_response(received.status)
            self.send_header("content-length", "0")
            self.end_headers()
            received.forms.put((self.headers["content-type"], parse_qs(body)))

        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    with listening(Handler, ca.issue()) as server:
        received = Receiver(f"https://localhost:{server.server_port}/backchannel-logout")
        yield received
