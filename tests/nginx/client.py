"""A client on plain sockets: sends what it is told, byte by byte, and reads real responses."""

import http.client
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

TIMEOUT_SECONDS = 30


@dataclass(frozen=True)
class Response:
    """Status, headers in order, body."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def values(self, name: str) -> list[str]:
        """Every value of a header."""
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def value(self, name: str) -> str | None:
        """The value of a header that occurs at most once."""
        values = self.values(name)
        assert len(values) <= 1, values
        return values[0] if values else None


class Client:
    """One connection."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection

    def send(self, data: bytes) -> None:
        """Send exactly *data*."""
        self.socket.sendall(data)

    def response(self, method: str = "GET") -> Response:
        """Read one response; http.client.IncompleteRead when it is cut off."""
        answer = http.client.HTTPResponse(self.socket, method=method)
        answer.begin()
        try:
            return Response(answer.status, answer.getheaders(), answer.read())
        finally:
            answer.close()

    def rest(self) -> bytes:
        """Everything until the server ends the connection."""
        received = b""
        try:
            while data := self.socket.recv(65536):
                received += data
        except (ConnectionResetError, ssl.SSLError):
            pass
        return received

    def get(
        self, target: str, *headers: str, method: str = "GET", body: bytes = b"", host: str = "localhost"
    ) -> Response:
        """Send a right request and read its response."""
        lines = [f"{method} {target} HTTP/1.1", f"Host: {host}", *headers]
        if body:
            lines.append(f"Content-Length: {len(body)}")
        self.send("\r\n".join([*lines, "", ""]).encode("latin-1") + body)
        return self.response(method)


@contextmanager
def connect(
    port: int,
    context: ssl.SSLContext | None = None,
    name: str | None = "localhost",
    session: ssl.SSLSession | None = None,
) -> Iterator[Client]:
    """Connect to *port* of 127.0.0.1; with TLS, *name* as SNI and a *session* to resume when a *context* is given."""
    with socket.create_connection(("127.0.0.1", port), TIMEOUT_SECONDS) as plain:
        if context is None:
            yield Client(plain)
            return
        with context.wrap_socket(plain, server_hostname=name, session=session) as secure:
            yield Client(secure)
