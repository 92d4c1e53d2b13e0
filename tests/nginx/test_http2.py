"""HTTP/2 in front of an app that speaks HTTP/1.1: many streams, and nothing that becomes another request on the way."""

import select
import ssl
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import h2.config
import h2.connection
import h2.events
import pytest

from tests.nginx.client import TIMEOUT_SECONDS, Client, connect
from tests.nginx.conftest import Site
from tests.nginx.test_limits import COOKIES
from tests.nginx.test_responses import HSTS, SPLIT
from tests.nginx.upstream import Received, always

Headers = Sequence[tuple[str, str]]
GET = ((":method", "GET"), (":scheme", "https"), (":authority", "localhost"), (":path", "/outer"))
POST = ((":method", "POST"), *GET[1:])


@dataclass
class Stream:
    """What came back on one stream; `reset` is the error code of a stream or connection that nginx ended."""

    headers: dict[str, list[str]] = field(default_factory=dict)
    body: bytes = b""
    reset: int | None = None
    ended: bool = False

    @property
    def status(self) -> int:
        """0 when there was no answer."""
        return int(self.headers.get(":status", ["0"])[0])


class Connection:
    """An HTTP/2 client that sends any header."""

    def __init__(self, client: Client) -> None:
        self.client = client
        settings = h2.config.H2Configuration(
            header_encoding="latin-1", validate_outbound_headers=False, normalize_outbound_headers=False
        )
        self.state = h2.connection.H2Connection(settings)
        self.state.initiate_connection()
        self.streams: dict[int, Stream] = {}

    def request(self, headers: Headers, body: bytes | None = None) -> Stream:
        """Send a request; `wait` for its stream."""
        number = self.state.get_next_available_stream_id()
        self.state.send_headers(number, headers, end_stream=body is None)
        if body is not None:
            self.state.send_data(number, body, end_stream=True)
        self.client.send(self.state.data_to_send())
        return self.streams.setdefault(number, Stream())

    def wait(self) -> None:
        """Until every stream has ended."""
        while not all(stream.ended for stream in self.streams.values()):
            secure = self.client.socket
            assert isinstance(secure, ssl.SSLSocket)
            assert secure.pending() or select.select([secure], [], [], TIMEOUT_SECONDS)[0], "no answer"
            received = secure.recv(65536)
            for event in self.state.receive_data(received) if received else [h2.events.ConnectionTerminated()]:
                self._handle(event)
            if received:
                self.client.send(self.state.data_to_send())

    def _handle(self, event: h2.events.Event) -> None:
        if isinstance(event, h2.events.ConnectionTerminated):
            for stream in self.streams.values():
                if not stream.ended:
                    stream.reset, stream.ended = event.error_code or 0, True
            return
        stream = self.streams.get(getattr(event, "stream_id", 0) or 0)
        if stream is None:
            return
        if isinstance(event, h2.events.ResponseReceived):
            for name, value in event.headers or []:
                stream.headers.setdefault(str(name), []).append(str(value))
        elif isinstance(event, h2.events.DataReceived):
            stream.body += event.data or b""
            self.state.acknowledge_received_data(event.flow_controlled_length or 0, event.stream_id or 0)
        elif isinstance(event, h2.events.StreamReset):
            stream.reset, stream.ended = event.error_code, True
        elif isinstance(event, h2.events.StreamEnded):
            stream.ended = True


def _exchange(site: Site, *requests: tuple[Headers, bytes | None], name: str = "localhost") -> list[Stream]:
    with connect(site.server.https_port, site.http2, name) as client:
        connection = Connection(client)
        assert isinstance(client.socket, ssl.SSLSocket)
        assert client.socket.selected_alpn_protocol() == "h2"
        streams = [connection.request(headers, body) for headers, body in requests]
        connection.wait()
        return streams


def test_http_2_is_spoken_with_those_who_can(site: Site) -> None:
    (stream,) = _exchange(site, (GET, None))
    assert (stream.status, stream.body) == (200, b"ok")
    assert site.upstream.only.line == "GET /outer HTTP/1.1"
    assert site.upstream.only.values("Host") == [site.server.authority]
    assert site.server.line(protocol="HTTP/2.0", path="/outer")["status"] == 200


def test_http_1_1_is_spoken_with_the_others(site: Site) -> None:
    with site.tls() as client:
        assert isinstance(client.socket, ssl.SSLSocket)
        assert client.socket.selected_alpn_protocol() is None
        assert client.get("/").status == 200


def test_many_streams_at_once_each_get_their_own_answer(site: Site) -> None:
    def echo(request: Received) -> Iterator[bytes]:
        target = request.target.encode()
        yield b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(target), target)

    site.upstream.answer = echo
    targets = [f"/stream/{number}" for number in range(60)]
    requests = [(tuple((k, t if k == ":path" else v) for k, v in GET), None) for t in targets]
    assert [stream.body.decode() for stream in _exchange(site, *requests)] == targets


def test_large_cookies_pass_both_ways(site: Site) -> None:
    site.upstream.answer = always(
        b"HTTP/1.1 200 OK\r\n" + b"".join(f"Set-Cookie: {c}\r\n".encode() for c in SPLIT) + b"Content-Length: 0\r\n\r\n"
    )
    crumbs = [("cookie", crumb) for crumb in COOKIES.split("; ")]
    (stream,) = _exchange(site, ([*GET, *crumbs], None))
    assert stream.headers["set-cookie"] == SPLIT
    assert site.upstream.only.values("Cookie") == [COOKIES]


def test_forged_headers_are_replaced(site: Site) -> None:
    forged = [("x-forwarded-for", "203.0.113.9"), ("forwarded", "for=203.0.113.9"), ("x_forwarded_for", "203.0.113.9")]
    (stream,) = _exchange(site, ([*GET, *forged], None))
    assert stream.status == 200
    assert site.upstream.only.values("X-Forwarded-For") == ["127.0.0.1"]
    assert b"203.0.113.9" not in site.upstream.only.head


def test_the_own_pages_and_headers_are_there(site: Site) -> None:
    metrics = tuple((k, {":path": "/metrics", ":authority": "app.test"}.get(k, v)) for k, v in GET)
    (stream,) = _exchange(site, (metrics, None), name="app.test")
    assert stream.status == 404
    assert stream.headers["strict-transport-security"] == [HSTS]
    assert b"Page not found" in stream.body


@pytest.mark.parametrize("authority", ["evil.test", "127.0.0.1", ""])
def test_another_authority_is_refused(site: Site, authority: str) -> None:
    (stream,) = _exchange(site, (tuple((k, authority if k == ":authority" else v) for k, v in GET), None))
    assert stream.status in (0, 400, 421)
    assert site.upstream.requests == []


INNER = b"GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n"
REFUSED: dict[str, tuple[Headers, bytes | None]] = {
    "TE chunked": ((*POST, ("transfer-encoding", "chunked")), b"0\r\n\r\n" + INNER),
    "CL too small": ((*POST, ("content-length", "0")), INNER),
    "CL too large": ((*POST, ("content-length", "500")), INNER),
    "CL twice": ((*POST, ("content-length", "0"), ("content-length", str(len(INNER)))), INNER),
    "CL no number": ((*POST, ("content-length", "x")), INNER),
    "CRLF in a value": ((*GET, ("x", "a\r\nX-Forwarded-For: 1\r\n\r\nGET /smuggled HTTP/1.1\r\n")), None),
    "LF in a value": ((*GET, ("x", "a\nGET /smuggled HTTP/1.1")), None),
    "NUL in a value": ((*GET, ("x", "a\x00b")), None),
    "CRLF in a name": ((*GET, ("x: 1\r\ntransfer-encoding", "chunked")), None),
    "colon in a name": ((*GET, ("transfer-encoding: chunked\r\nx", "1")), None),
    "capitals": ((*GET, ("Transfer-Encoding", "chunked")), None),
    "CRLF in the path": (tuple((k, "/ HTTP/1.1\r\nX: y\r\n\r\n" if k == ":path" else v) for k, v in GET), None),
    "space in the method": (tuple((k, "GET /smuggled" if k == ":method" else v) for k, v in GET), None),
    "CRLF in the method": (tuple((k, "GET / HTTP/1.1\r\nX: y" if k == ":method" else v) for k, v in GET), None),
    "path without slash": (tuple((k, "smuggled" if k == ":path" else v) for k, v in GET), None),
    "no path": (tuple((k, v) for k, v in GET if k != ":path"), None),
    "two paths": ((*GET, (":path", "/smuggled")), None),
    "two methods": ((*GET, (":method", "POST")), None),
    "unknown pseudo-header": ((*GET, (":smuggled", "1")), None),
    "CRLF in the authority": (
        tuple((k, "localhost\r\nX: y" if k == ":authority" else v) for k, v in GET),
        None,
    ),
}


@pytest.mark.parametrize(("headers", "body"), REFUSED.values(), ids=REFUSED.keys())
def test_what_would_be_ambiguous_in_http_1_1_is_refused_or_made_harmless(
    site: Site, headers: Headers, body: bytes | None
) -> None:
    (stream,) = _exchange(site, (headers, body))
    for request in site.upstream.requests:
        # A header that HTTP/2 has no use for is dropped; what is left is one request with nginx's own framing.
        assert request.target == "/outer"
        assert "transfer-encoding" not in request.names
        assert request.body == (body or b"")
        assert "x" not in request.names
        assert b"smuggled" not in request.head
    assert len(site.upstream.requests) <= 1
    assert bool(site.upstream.requests) == (stream.status == 200)


def test_connection_headers_of_http_1_do_not_pass(site: Site) -> None:
    old = [
        ("connection", "upgrade"),
        ("upgrade", "h2c"),
        ("te", "trailers"),
        ("keep-alive", "x"),
        ("proxy-connection", "x"),
    ]
    (stream,) = _exchange(site, ([*GET, *old], None))
    assert stream.status in (0, 200, 400)
    for request in site.upstream.requests:
        assert not {"connection", "upgrade", "te", "keep-alive", "proxy-connection"} & request.names


def test_a_body_beyond_the_limit_is_refused(site: Site) -> None:
    (stream,) = _exchange(site, ((*POST, ("content-length", str(1024 * 1024 + 1))), b"x" * 1000))
    assert stream.status in (400, 413)
    assert site.upstream.requests == []


def test_headers_beyond_the_buffer_are_refused(site: Site) -> None:
    (stream,) = _exchange(site, ([*GET, *((f"x-{number}", "x" * 15_000) for number in range(12))], None))
    assert stream.status in (0, 400, 431)
    assert site.upstream.requests == []


def test_streams_are_not_opened_without_end(site: Site) -> None:
    with connect(site.server.https_port, site.http2, "localhost") as client:
        connection = Connection(client)
        connection.request(GET)
        connection.wait()
        assert connection.state.remote_settings.max_concurrent_streams == 64
