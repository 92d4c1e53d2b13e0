"""A client that speaks bytes."""

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.servers.gunicorn import Gunicorn

SECONDS = 20


@contextmanager
def connection(server: Gunicorn, receive_buffer: int | None = None) -> Iterator[socket.socket]:
    """A connection to the server; `receive_buffer` makes it one that reads slowly."""
    family = socket.AF_UNIX if server.url.startswith("unix:") else socket.AF_INET
    with socket.socket(family) as connected:
        connected.settimeout(SECONDS)
        if receive_buffer is not None:
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        connected.connect(address_of(server))
        yield connected


def address_of(server: Gunicorn) -> "str | tuple[str, int]":
    if server.url.startswith("unix:"):
        return server.url.removeprefix("unix:")
    return ("127.0.0.1", server.port)


def request(method: str, target: str, *headers: str, body: bytes = b"") -> bytes:
    """A request's bytes. With a body it has its length, unless a header says otherwise."""
    lines = [f"{method} {target} HTTP/1.1", "Host: localhost", *headers]
    if body and not any(header.lower().startswith(("content-length", "transfer-encoding")) for header in headers):
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def everything(connected: socket.socket) -> bytes:
    """All that comes until the server closes."""
    received = b""
    while data := connected.recv(65536):
        received += data
    return received


def until(connected: socket.socket, ending: bytes) -> bytes:
    """All that comes, up to and with `ending`."""
    received = b""
    while ending not in received:
        data = connected.recv(65536)
        assert data, f"the connection was closed after {received!r}"
        received += data
    return received


def wait_for(condition: Callable[[], object], seconds: float = SECONDS) -> None:
    """Wait until `condition()` is true."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)
