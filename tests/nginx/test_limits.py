"""Sizes, times and rates that a client cannot exceed."""

import threading
from collections.abc import Iterator

import pytest

from tests.nginx.client import Client
from tests.nginx.conftest import RunSite, Site
from tests.nginx.test_error_pages import assert_page
from tests.nginx.upstream import OK, Received
from tests.servers.nginx import wait_until

MEBIBYTE = 1024 * 1024
# What a browser sends back for a session of four parts, beside five logins in progress.
COOKIES = "; ".join(
    [f"__Host-session.{part}={'s' * 4000}" for part in range(4)]
    + [f"__Host-login.{number}={'l' * 700}" for number in range(5)]
)


def test_a_session_in_four_cookies_passes(site: Site) -> None:
    assert site.get("/", f"Cookie: {COOKIES}").status == 200
    assert site.upstream.only.values("Cookie") == [COOKIES]


def test_a_header_beyond_the_buffer_is_refused_with_the_page(site: Site) -> None:
    assert site.get("/", f"Cookie: a={'x' * 32000}").status == 200
    assert_page(site.get("/", f"Cookie: a={'x' * 33000}"), 431, "Too much at once")
    assert len(site.upstream.requests) == 1


def test_headers_beyond_all_buffers_are_refused(site: Site) -> None:
    with site.tls() as client:
        many = [f"X-{number}: {'x' * 30000}" for number in range(5)]
        assert client.get("/", *many).status == 431
    assert site.upstream.requests == []


@pytest.mark.parametrize("size", [33_000, 64 * 1024])
def test_an_address_beyond_the_buffer_is_refused_with_the_page(site: Site, size: int) -> None:
    assert_page(site.get(f"/callback?state={'x' * size}"), 414, "Too much at once")
    assert site.upstream.requests == []


def test_a_long_address_within_the_buffer_passes(site: Site) -> None:
    assert site.get(f"/callback?state={'x' * 30_000}").status == 200


def test_a_body_up_to_the_limit_passes_and_one_byte_more_does_not(site: Site) -> None:
    assert site.get("/", method="POST", body=b"x" * MEBIBYTE).status == 200
    assert len(site.upstream.only.body) == MEBIBYTE
    with site.tls() as client:
        client.send(f"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: {MEBIBYTE + 1}\r\n\r\n".encode())
        # Refused by its announcement: nothing of it has been sent.
        assert_page(client.response(), 413, "Too much at once")
    assert len(site.upstream.requests) == 1


def test_a_chunked_body_beyond_the_limit_is_refused_where_it_passes_it(site: Site) -> None:
    with site.tls() as client:
        client.send(b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
        client.send((b"10000\r\n" + b"x" * 65536 + b"\r\n") * 16 + b"1\r\nx\r\n")
        assert_page(client.response(), 413, "Too much at once")
    assert site.upstream.requests == []


def test_a_chunked_body_within_the_limit_reaches_the_app_with_its_length(site: Site) -> None:
    with site.tls() as client:
        client.send(b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
        client.send(b"5;x=y\r\nhello\r\n6\r\n world\r\n0\r\nTrailer: dropped\r\n\r\n")
        assert client.response().status == 200
    request = site.upstream.only
    assert (request.body, request.values("Content-Length")) == (b"hello world", ["11"])
    assert "transfer-encoding" not in request.names
    assert b"dropped" not in request.head


def test_the_limit_of_the_body_can_be_set(run_site: RunSite) -> None:
    with run_site(NGINX_MAX_BODY_BYTES="10") as site:
        assert site.get("/", method="POST", body=b"x" * 10).status == 200
        assert site.get("/", method="POST", body=b"x" * 11).status == 413


def _send_slowly(client: Client, first: bytes, drop: bytes) -> bytes:
    # One byte at a time, each well within the limit for a single read, until the server has had enough.
    stop = threading.Event()

    def dribble() -> None:
        while not stop.wait(0.2):
            try:
                client.send(drop)
            except OSError:
                return

    client.send(first)
    thread = threading.Thread(target=dribble)
    thread.start()
    try:
        return client.rest()
    finally:
        stop.set()
        thread.join()


def test_a_head_that_dribbles_in_is_given_up(run_site: RunSite) -> None:
    with run_site(NGINX_CLIENT_TIMEOUT_SECONDS="1") as site:
        with site.tls() as client:
            answer = _send_slowly(client, b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ", b"x")
        assert b"200 OK" not in answer
        assert site.server.line(status=408)
        assert site.upstream.requests == []


def test_a_connection_that_says_nothing_is_closed(run_site: RunSite) -> None:
    with run_site(NGINX_CLIENT_TIMEOUT_SECONDS="1") as site:
        with site.tls() as client:
            assert client.rest() == b""
        with site.plain() as client:
            assert client.rest() == b""


def test_a_kept_connection_of_a_client_is_closed_when_idle(run_site: RunSite) -> None:
    with run_site(NGINX_CLIENT_TIMEOUT_SECONDS="1") as site, site.tls() as client:
        assert client.get("/").status == 200
        assert client.rest() == b""


def test_a_body_that_stalls_is_given_up_and_never_held_the_app(run_site: RunSite) -> None:
    with run_site(NGINX_CLIENT_TIMEOUT_SECONDS="1") as site:
        with site.tls() as client:
            client.send(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nhalf of it")
            answer = client.rest()
        assert b"200 OK" not in answer
        assert site.server.line(status=408)
        assert site.upstream.requests == []


def test_the_app_sees_an_upload_only_when_it_is_complete(site: Site) -> None:
    with site.tls() as client, site.tls() as other:
        client.send(b"POST /slow HTTP/1.1\r\nHost: localhost\r\nContent-Length: 200000\r\n\r\n" + b"x" * 199_999)
        assert other.get("/other").status == 200
        assert [request.target for request in site.upstream.requests] == ["/other"]
        client.send(b"x")
        assert client.response().status == 200
    assert len(site.upstream.requests[-1].body) == 200_000


def test_a_client_that_does_not_read_is_given_up(run_site: RunSite) -> None:
    def endless(_: Received) -> Iterator[bytes]:
        yield b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"
        while True:
            yield b"x" * 65536

    with run_site(NGINX_CLIENT_TIMEOUT_SECONDS="1") as site, site.tls() as client:
        site.upstream.answer = endless
        client.send(b"GET /endless HTTP/1.1\r\nHost: localhost\r\n\r\n")
        # Written when the request is over, although the client has neither read nor closed.
        assert site.server.line(path="/endless", status=200)


LOGIN = ["/login", "/callback?code=1&state=2", "/login?return_to=/profile", "//login", "/%6cogin", "/x/../callback"]
BURST = 40


def _count_passed(site: Site, *headers: str, targets: list[str], requests: int) -> int:
    with site.tls() as client:
        statuses = [client.get(targets[number % len(targets)], *headers).status for number in range(requests)]
    assert set(statuses) <= {200, 429}
    return statuses.count(200)


@pytest.mark.parametrize("targets", [[target] for target in LOGIN] + [LOGIN], ids=[*LOGIN, "all together"])
def test_logins_of_one_client_are_limited(run_site: RunSite, targets: list[str]) -> None:
    with run_site(NGINX_LOGIN_RATE="1r/m") as site:
        assert _count_passed(site, targets=targets, requests=BURST + 5) == BURST + 1
        assert len(site.upstream.requests) == BURST + 1
        refused = site.get("/login")
        assert_page(refused, 429, "Too many requests")
        assert refused.value("Retry-After") == "5"
        assert site.get("/").status == 200


def test_logins_are_limited_by_client_and_by_network_of_ipv6(run_site: RunSite) -> None:
    with run_site(NGINX_LOGIN_RATE="1r/m", NGINX_TRUSTED_PROXIES="127.0.0.1") as site:

        def passed(address: str) -> int:
            return _count_passed(site, f"X-Forwarded-For: {address}", targets=["/login"], requests=BURST + 3)

        assert passed("192.0.2.1") == BURST + 1
        assert passed("192.0.2.2") == BURST + 1
        assert passed("2001:db8:0:1::1") == BURST + 1
        assert passed("2001:db8:0:1:ffff::2") == 0
        assert passed("2001:db8:0:2::1") == BURST + 1
        # A line feed in the binary address.
        assert passed("2001:db8:0:a0a::a0a") == BURST + 1
        assert passed("2001:db8:0:a0a:0a0a::") == 0


def test_denied_clients_are_shown_the_page_that_says_so_and_others_the_app(run_site: RunSite) -> None:
    with run_site(NGINX_DENIED_CLIENTS="192.0.2.7 2001:db8::/32", NGINX_TRUSTED_PROXIES="127.0.0.1") as site:
        for address in ("192.0.2.7", "2001:db8:1::2"):
            assert_page(site.get("/", f"X-Forwarded-For: {address}"), 403, "No access")
            assert_page(site.get("/login", f"X-Forwarded-For: {address}"), 403, "No access")
        assert site.upstream.requests == []
        for address in ("192.0.2.8", "2001:db9::1"):
            assert site.get("/", f"X-Forwarded-For: {address}").status == 200


def test_the_requests_in_flight_of_one_client_are_limited(run_site: RunSite) -> None:
    go_on = threading.Event()

    def wait(request: Received) -> Iterator[bytes]:
        if request.target == "/wait":
            assert go_on.wait(30)
        yield OK

    with run_site(NGINX_CLIENT_REQUESTS="2", NGINX_TRUSTED_PROXIES="127.0.0.1") as site:
        site.upstream.answer = wait
        with site.tls() as first, site.tls() as second:
            for client in (first, second):
                client.send(b"GET /wait HTTP/1.1\r\nHost: localhost\r\n\r\n")
            wait_until(lambda: len(site.upstream.requests) == 2, "two requests in flight")
            refused = site.get("/")
            assert_page(refused, 429, "Too many requests")
            assert refused.value("Retry-After") == "5"
            assert site.get("/", "X-Forwarded-For: 192.0.2.1").status == 200
            go_on.set()
            assert (first.response().status, second.response().status) == (200, 200)
        assert site.get("/").status == 200
