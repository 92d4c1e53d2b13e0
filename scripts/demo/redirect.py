"""Plain HTTP only redirects to HTTPS, as nginx does it in production."""

import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def serve(port: int, origin: str, *, ipv6: bool) -> None:
    """Answer every request on *port* with a 308 to the same path of *origin*, until the process ends."""

    class Redirect(BaseHTTPRequestHandler):
        timeout = 10

        def do_GET(self) -> None:
            # What a client names in place of a path (`http://elsewhere/`, `*`) leads to the first page.
            path = self.path.lstrip("/") if self.path.startswith("/") else ""
            self.send_response(308)
            self.send_header("Location", f"{origin}/{path}")
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_GET  # noqa: N815 - http.server's names

        def log_message(self, format: str, *arguments: object) -> None:
            """Say nothing: the request that follows is in the app's log."""

    for server in [_Server((address, port), Redirect) for address in _addresses(ipv6=ipv6)]:
        threading.Thread(target=server.serve_forever, daemon=True).start()


def _addresses(*, ipv6: bool) -> list[str]:
    return ["127.0.0.1", "::1"] if ipv6 else ["127.0.0.1"]


class _Server(ThreadingHTTPServer):
    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        super().__init__(address, handler)
