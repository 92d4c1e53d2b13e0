"""Somebody else's web site, with TLS of the same authority: `with site(ca) as elsewhere: elsewhere.show("/", html)`."""

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from scripts.certificates import CA
from tests.servers.chromium import HOSTS

# A picture that is one everywhere.
PICTURE = (
    b'<svg xmlns="http://www.w3.org/2000/svg" width="96" height="96"><rect width="96" height="96" fill="teal"/></svg>'
)


@dataclass
class Site:
    """A running site. It answers at every name that leads to this machine."""

    port: int
    scheme: str
    answers: dict[str, tuple[bytes, dict[str, str]]] = field(default_factory=dict)
    requests: list[tuple[str, Message]] = field(default_factory=list)

    def at(self, host: str) -> str:
        """Its origin under this name."""
        return f"{self.scheme}://{host}:{self.port}"

    def show(self, path: str, body: str | bytes, **headers: str) -> None:
        """Answer *path* with *body*, as HTML unless the headers (`Content_Type=...`) say otherwise."""
        content = body if isinstance(body, bytes) else f"<!doctype html><title>elsewhere</title>{body}".encode()
        self.answers[path] = content, {name.replace("_", "-"): value for name, value in headers.items()}


@contextmanager
def site(certificates: CA | None) -> Iterator[Site]:
    """A site on a free port; without *certificates* in plain HTTP."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = urlsplit(self.path).path
            running.requests.append((self.path, self.headers))
            body, headers = running.answers.get(path, (b"", {}))
            self.send_response(200 if path in running.answers else 404)
            for name, value in ({"Content-Type": "text/html; charset=utf-8"} | headers).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            pass

    server = _Server(("127.0.0.1", 0), Handler)
    if certificates is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificates.issue(HOSTS, stem="hosts"))
        # Not in the accepting thread: a browser opens connections in advance and says nothing on them.
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    running = Site(server.server_port, "http" if certificates is None else "https")
    running.show("/picture.svg", PICTURE, Content_Type="image/svg+xml")
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield running
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: object, client_address: object) -> None:
        # A connection that the browser opened and dropped.
        pass
