"""An HTTP/1.1 server on plain sockets that keeps every byte it is sent and answers with bytes that a test chose."""

import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@dataclass(frozen=True)
class Received:
    """One request as it came: the head without its empty line, the body without its framing, connection's number."""

    head: bytes
    body: bytes
    connection: int

    @property
    def line(self) -> str:
        """The request line."""
        return self.head.split(b"\r\n")[0].decode("latin-1")

    @property
    def target(self) -> str:
        """The request target, as it came."""
        return self.line.split(" ")[1]

    def values(self, name: str) -> list[str]:
        """Every value of a header, in order."""
        fields = [field.partition(b":") for field in self.head.split(b"\r\n")[1:]]
        return [value.strip().decode("latin-1") for key, _, value in fields if key.lower() == name.lower().encode()]

    @property
    def names(self) -> set[str]:
        """The names of all headers, in lower case."""
        return {field.partition(b":")[0].decode("latin-1").lower() for field in self.head.split(b"\r\n")[1:]}


Answer = Callable[[Received], Iterator[bytes]]


def always(answer: bytes) -> Answer:
    """Give every request these bytes."""
    return lambda _request: iter([answer])


class Upstream:
    """Listens from construction to `close`; `answer` may be replaced at any time.

    A generator's chunks are sent one by one; when it raises ConnectionError, or a side says `Connection: close`, the
    connection ends without more. Without any bytes it stays open, and the request unanswered.
    """

    def __init__(self, listener: socket.socket, address: str) -> None:
        self.address = address
        self.requests: list[Received] = []
        self.answer: Answer = always(OK)
        self._listener = listener
        self._connections: list[socket.socket] = []
        self._accepted = threading.Thread(target=self._accept)
        self._threads: list[threading.Thread] = []
        self._accepted.start()

    @property
    def only(self) -> Received:
        """The one request that came."""
        (request,) = self.requests
        return request

    def reset(self) -> None:
        """As at the start."""
        self.requests.clear()
        self.answer = always(OK)

    def close(self) -> None:
        """End every connection and wait for the threads."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._accepted.join()
        for connection in self._connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._connections.append(connection)
            thread = threading.Thread(target=self._serve, args=(connection, len(self._connections)))
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket, number: int) -> None:
        with connection, suppress(OSError, EOFError), connection.makefile("rb") as stream:
            while True:
                request = _read(stream, number)
                self.requests.append(request)
                answered, last = False, request.values("Connection") == ["close"]
                for chunk in self.answer(request):
                    answered = answered or bool(chunk)
                    last = last or b"connection: close" in chunk.lower()
                    connection.sendall(chunk)
                if answered and last:
                    return


def _read(stream: "socket.SocketIO", number: int) -> Received:  # type: ignore[type-arg]
    lines = []
    while (line := stream.readline()) != b"\r\n":
        if not line:
            raise EOFError
        lines.append(line)
    head = b"".join(lines).removesuffix(b"\r\n")
    body = b""
    if length := re.search(rb"(?im)^content-length: *(\d+)", head):
        body = stream.read(int(length[1]))
    elif re.search(rb"(?im)^transfer-encoding:", head):
        while size := int(stream.readline(), 16):
            body += stream.read(size)
            stream.readline()
        stream.readline()
    return Received(head, body, number)


@contextmanager
def tcp_upstream() -> Iterator[Upstream]:
    """On a free port of 127.0.0.1."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = Upstream(listener, f"127.0.0.1:{listener.getsockname()[1]}")
    try:
        yield server
    finally:
        server.close()


@contextmanager
def unix_upstream(folder: Path) -> Iterator[Upstream]:
    """On a socket in *folder*, which other users may enter."""
    path = folder / "app.sock"
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    path.chmod(0o666)
    listener.listen(128)
    server = Upstream(listener, f"unix:{path}")
    try:
        yield server
    finally:
        server.close()
