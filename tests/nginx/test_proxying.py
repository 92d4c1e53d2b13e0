"""What passes: requests to the app and its answers back."""

import gzip
import http.client
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.nginx.conftest import RunSite, Site
from tests.nginx.upstream import OK, Received, always
from tests.servers.nginx import wait_until


@pytest.mark.parametrize("unix", [True, False], ids=["unix socket", "TCP"])
def test_a_request_reaches_the_app_and_its_answer_the_client(run_site: RunSite, unix: bool) -> None:
    with run_site(unix=unix) as site:
        site.upstream.answer = always(b"HTTP/1.1 201 Created\r\nContent-Length: 5\r\nX-App: yes\r\n\r\nhello")
        response = site.get("/things/1?x=%2F&y=a+b", "X-Own: 1", "Accept-Language: de", method="PUT", body=b"\x00body")
    assert (response.status, response.body, response.value("X-App")) == (201, b"hello", "yes")
    request = site.upstream.only
    assert (request.line, request.body) == ("PUT /things/1?x=%2F&y=a+b HTTP/1.1", b"\x00body")
    assert (request.values("X-Own"), request.values("Accept-Language")) == (["1"], ["de"])


@pytest.mark.parametrize(
    "target", ["/%E2%82%AC", "/a%2Fb", "/a;b=1", "/a%20b?", "/?a=1&a=2&%00", "/a/./b/../c", "//a", "/a%5Cb", "/%C0%80"]
)
def test_the_target_reaches_the_app_as_the_client_wrote_it(site: Site, target: str) -> None:
    assert site.get(target).status == 200
    assert site.upstream.only.target == target


def test_repeated_and_8_bit_headers_pass_both_ways(site: Site) -> None:
    site.upstream.answer = always(b"HTTP/1.1 200 \xfc\r\nA: 1\r\nA: \xfc\r\nContent-Length: 0\r\n\r\n")
    response = site.get("/", "B: 1", "B: \xfc", "Cookie: a=1", "Cookie: b=2")
    assert response.values("A") == ["1", "\xfc"]
    assert site.upstream.only.values("B") == ["1", "\xfc"]
    assert "; ".join(site.upstream.only.values("Cookie")) == "a=1; b=2"


def test_a_header_of_the_app_s_own_error_page_and_the_page_pass_untouched(site: Site) -> None:
    for status in (400, 403, 404, 405, 413, 429, 500, 502, 503, 504):
        answer = f"HTTP/1.1 {status} X\r\nContent-Length: 7\r\nRetry-After: 17\r\nX-App: yes\r\n\r\nown one"
        site.upstream.answer = always(answer.encode())
        response = site.get("/page")
        assert (response.status, response.body, response.value("Retry-After")) == (status, b"own one", "17")


def test_head_and_not_modified_pass_without_a_body(site: Site) -> None:
    site.upstream.answer = always(b"HTTP/1.1 200 OK\r\nContent-Length: 12345\r\n\r\n")
    with site.tls() as client:
        head = client.get("/", method="HEAD")
        assert (head.value("Content-Length"), head.body) == ("12345", b"")
        site.upstream.answer = always(b'HTTP/1.1 304 Not Modified\r\nETag: "x"\r\n\r\n')
        cached = client.get("/", 'If-None-Match: "x"')
        assert (cached.status, cached.value("ETag"), cached.body) == (304, '"x"', b"")
        site.upstream.answer = always(OK)
        assert client.get("/").body == b"ok"
    assert site.upstream.requests[1].values("If-None-Match") == ['"x"']


def test_kept_connections_to_the_app_are_used_again(site: Site) -> None:
    for _ in range(6):
        site.get("/")
    # Two workers, each with its own.
    assert len({request.connection for request in site.upstream.requests}) <= 2


@pytest.mark.parametrize(("method", "target"), [("POST", "/x"), ("DELETE", "/x"), ("GET", "/callback?code=1")])
def test_what_must_not_be_sent_twice_takes_a_connection_of_its_own(site: Site, method: str, target: str) -> None:
    for _ in range(3):
        site.get("/")
        site.get(target, method=method)
    once = [request for request in site.upstream.requests if request.target == target]
    others = {request.connection for request in site.upstream.requests if request.target != target}
    assert len({request.connection for request in once}) == 3
    assert not {request.connection for request in once} & others
    assert [request.values("Connection") for request in once] == [["close"]] * 3


class DroppingSecond:
    """Answers the first request of each connection; ends the connection when the second has come."""

    def __init__(self) -> None:
        self.seen: set[int] = set()

    def __call__(self, request: Received) -> Iterator[bytes]:
        if request.connection in self.seen:
            raise ConnectionError
        self.seen.add(request.connection)
        yield OK


def test_a_get_survives_a_kept_connection_that_the_app_closes(site: Site) -> None:
    site.upstream.answer = DroppingSecond()
    assert [site.get("/").status for _ in range(8)] == [200] * 8


@pytest.mark.parametrize(("method", "target"), [("POST", "/x"), ("PATCH", "/x"), ("GET", "/callback?code=1")])
def test_what_must_not_be_sent_twice_is_not_when_the_app_dies_over_it(
    run_site: RunSite, method: str, target: str
) -> None:
    def die(_: Received) -> Iterator[bytes]:
        raise ConnectionError
        yield b""

    with run_site() as site:
        # A second replica, to which a retry could go.
        site.server.stop()
        site.server.variables["NGINX_UPSTREAM"] = f"{site.upstream.address} {site.upstream.address}"
        site.server.start()
        site.upstream.answer = die
        assert site.get(target, method=method).status == 502
        assert len(site.upstream.requests) == 1
        assert site.get("/", method="GET").status == 502
        assert len(site.upstream.requests) == 3


def test_an_answer_that_asks_for_it_streams(site: Site) -> None:
    go_on = threading.Event()

    def stream(_: Received) -> Iterator[bytes]:
        yield b"HTTP/1.1 200 OK\r\nX-Accel-Buffering: no\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n"
        assert go_on.wait(30)
        yield b"6\r\nsecond\r\n0\r\n\r\n"

    site.upstream.answer = stream
    with site.tls() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        answer = http.client.HTTPResponse(client.socket)
        answer.begin()
        assert answer.read1() == b"first"
        assert answer.getheader("X-Accel-Buffering") is None
        go_on.set()
        assert answer.read() == b"second"


def test_other_answers_are_collected_first(site: Site) -> None:
    go_on = threading.Event()

    def answer(_: Received) -> Iterator[bytes]:
        yield b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nfirst"
        assert go_on.wait(30)
        yield b"second"

    site.upstream.answer = answer
    with site.tls() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        wait_until(lambda: len(site.upstream.requests) == 1, "the request")
        early = b""
        client.socket.settimeout(0.5)
        with suppress(TimeoutError):
            while b"first" not in early:
                early += client.socket.recv(1000)
        assert b"first" not in early
        go_on.set()
        client.socket.settimeout(30)
        assert (early + client.socket.recv(1000)).endswith(b"\r\n\r\nfirstsecond")


def test_a_large_answer_is_paced_by_the_client_and_no_file_is_written(site: Site) -> None:
    size = 64 * 1024 * 1024
    block = b"x" * 65536
    sent = 0

    def answer(_: Received) -> Iterator[bytes]:
        nonlocal sent
        yield f"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n".encode()
        for _number in range(size // len(block)):
            yield block
            sent += len(block)

    site.upstream.answer = answer
    with site.tls() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        before = -1

        def stalled() -> bool:
            nonlocal before
            before, last = sent, before
            threading.Event().wait(0.2)
            return sent > 0 and last == before == sent

        wait_until(stalled, "back-pressure")
        assert sent < size / 2
        for worker in site.server.workers():
            files = [str(path.readlink()) for path in Path(f"/proc/{worker}/fd").iterdir()]
            assert not [name for name in files if "temporary" in name]
        assert len(client.response().body) == size


def test_a_websocket_upgrade_is_not_passed_on(site: Site) -> None:
    site.upstream.answer = always(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    response = site.get(
        "/", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: eA=="
    )
    assert response.status == 200
    assert not {"connection", "upgrade"} & site.upstream.only.names


CSS = b"body { color: red }\n" * 200


@pytest.mark.parametrize("kind", [b"text/css", b"text/javascript", b"image/svg+xml"])
def test_static_files_are_compressed(site: Site, kind: bytes) -> None:
    site.upstream.answer = always(
        b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\nContent-Length: %d\r\n\r\n%b" % (kind, len(CSS), CSS)
    )
    response = site.get("/static/style.css", "Accept-Encoding: gzip")
    assert (response.value("Content-Encoding"), response.value("Vary")) == ("gzip", "Accept-Encoding")
    assert gzip.decompress(response.body) == CSS
    assert site.get("/static/style.css").body == CSS


@pytest.mark.parametrize("kind", [b"text/html", b"application/json", b"text/css"])
def test_pages_are_not_compressed(site: Site, kind: bytes) -> None:
    site.upstream.answer = always(
        b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\nContent-Length: %d\r\n\r\n%b" % (kind, len(CSS), CSS)
    )
    response = site.get("/profile", "Accept-Encoding: gzip")
    assert (response.value("Content-Encoding"), response.body) == (None, CSS)


@pytest.mark.parametrize("header", ["X-Accel-Redirect: /.error", "X-Accel-Redirect: /metrics"])
def test_an_answer_cannot_direct_nginx_elsewhere(site: Site, header: str) -> None:
    site.upstream.answer = always(f"HTTP/1.1 200 OK\r\n{header}\r\nContent-Length: 2\r\n\r\nok".encode())
    assert site.get("/").body == b"ok"


def test_a_redirect_of_the_app_is_not_rewritten(site: Site) -> None:
    site.upstream.answer = always(b"HTTP/1.1 302 Found\r\nLocation: http://app/x\r\nContent-Length: 0\r\n\r\n")
    assert site.get("/").value("Location") == "http://app/x"
