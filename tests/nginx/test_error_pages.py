"""nginx's own error pages: for what it refuses itself and for an app that is not there."""

import http.client
import re
from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe

from tests.nginx.client import Response
from tests.nginx.conftest import RunSite, Site
from tests.nginx.upstream import OK, Received, always
from tests.servers.chromium import chromium
from tests.servers.ports import free_ports

POLICY = (
    "default-src 'none'; style-src 'sha256-[A-Za-z0-9+/]{43}='; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Type": "text/html; charset=utf-8",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


def assert_page(response: Response, status: int, title: str) -> None:
    """The response is nginx's own page: words, headers, reference."""
    assert response.status == status
    page = response.body.decode()
    assert f"<h1>{title}</h1>" in page
    assert f"<title>{title} – auth0-flask</title>" in page
    assert {name: response.value(name) for name in HEADERS} == HEADERS
    assert re.fullmatch(POLICY, response.value("Content-Security-Policy") or "")
    reference = re.search("<code>([0-9a-f]{32})</code>", page)
    assert reference is not None
    assert response.value("X-Request-ID") == reference[1]
    assert "nginx" not in page
    assert "<!--" not in page


def test_not_found_has_the_page(site: Site) -> None:
    assert_page(site.get("/metrics"), 404, "Page not found")


def test_a_refused_host_has_the_page(site: Site) -> None:
    with site.tls() as client:
        assert_page(client.get("/", host="evil.test"), 421, "This is another address")
    with site.plain() as client:
        assert_page(client.get("/", host="evil.test"), 421, "This is another address")


def test_a_malformed_request_has_the_page(site: Site) -> None:
    with site.tls() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\n")
        assert_page(client.response(), 400, "This request cannot be answered")


def test_a_method_that_no_server_should_know_has_the_page(site: Site) -> None:
    assert_page(site.get("/", method="TRACE"), 405, "This does not work here")
    assert site.upstream.requests == []


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "OPTIONS"])
def test_every_method_gets_the_page(site: Site, method: str) -> None:
    assert_page(site.get("/healthz/live", method=method, body=b"x"), 404, "Page not found")


def test_head_gets_the_page_s_headers(site: Site) -> None:
    response = site.get("/metrics", method="HEAD")
    assert (response.status, response.body) == (404, b"")
    assert response.value("Content-Security-Policy")


@pytest.mark.parametrize(
    "header", ["If-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT", "If-Match: x", "Range: bytes=0-3"]
)
def test_conditions_do_not_change_the_page(site: Site, header: str) -> None:
    assert_page(site.get("/metrics", header), 404, "Page not found")


@pytest.mark.parametrize("target", ["/.error", "/.error/", "/errors/error.html", "/error.html"])
def test_the_page_has_no_address_of_its_own(site: Site, target: str) -> None:
    site.upstream.answer = always(b"HTTP/1.1 404 Not Found\r\nContent-Length: 3\r\n\r\napp")
    assert site.get(target).status == 404
    assert b"<!--#" not in site.get(target).body


def test_nothing_that_a_client_sends_is_on_the_page(site: Site) -> None:
    with site.tls() as client:
        client.send(
            b"GET /metrics/<zq-zq>?<zq-zq> HTTP/1.1\r\nHost: localhost\r\nUser-Agent: <zq-zq>\r\nReferer: <zq-zq>\r\n"
            b"X-Request-ID: <zq-zq>\r\nCookie: <zq-zq>\r\n\r\n"
        )
        page = client.response()
    assert_page(page, 404, "Page not found")
    assert b"zq-zq" not in page.body


def test_an_app_that_is_not_there_is_a_502_with_the_page(run_site: RunSite) -> None:
    with run_site() as site:
        site.upstream.close()
        for method in ("GET", "POST"):
            assert_page(site.get("/profile?code=x", method=method), 502, "Not available")


@pytest.mark.parametrize("upstream", ["unix:/nonexistent/app.sock", "127.0.0.1"], ids=["no socket", "no port"])
def test_an_app_that_was_never_there_is_a_502_with_the_page(run_site: RunSite, upstream: str) -> None:
    if upstream == "127.0.0.1":
        upstream = f"127.0.0.1:{free_ports(1)[0]}"
    with run_site(NGINX_UPSTREAM=upstream) as site:
        assert_page(site.get("/"), 502, "Not available")


def test_an_app_that_is_too_slow_is_a_504_with_the_page(run_site: RunSite) -> None:
    with run_site(NGINX_UPSTREAM_TIMEOUT_SECONDS="1") as site:
        site.upstream.answer = always(b"")
        assert_page(site.get("/"), 504, "This took too long")
        # Slow is not gone: nobody asked it a second time.
        assert len(site.upstream.requests) == 1


def test_an_answer_that_ends_too_early_is_seen_as_that(site: Site) -> None:
    def cut(_: Received) -> Iterator[bytes]:
        yield b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b"x" * 50000
        raise ConnectionError

    site.upstream.answer = cut
    with pytest.raises(http.client.IncompleteRead):
        site.get("/")


def test_a_chunked_answer_that_ends_too_early_is_seen_as_that(site: Site) -> None:
    def cut(_: Received) -> Iterator[bytes]:
        yield b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"
        raise ConnectionError

    site.upstream.answer = cut
    with pytest.raises(http.client.IncompleteRead):
        site.get("/")


BAD_HEADERS = {
    "too large": b"X: " + b"x" * 40000,
    "NUL": b"X: a\x00b",
}


@pytest.mark.parametrize("header", BAD_HEADERS.values(), ids=BAD_HEADERS.keys())
def test_an_answer_with_a_bad_header_is_a_502_with_the_page(site: Site, header: bytes) -> None:
    site.upstream.answer = always(b"HTTP/1.1 200 OK\r\nConnection: close\r\n" + header + b"\r\n\r\n")
    assert_page(site.get("/", method="POST"), 502, "Not available")


BAD_FRAMING = {
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",
    "length and chunks": OK.replace(b"ngth: 2", b"ngth: 1\r\nTransfer-Encoding: chunked").replace(
        b"ok", b"2\r\nok\r\n0\r\n\r\n"
    ),
    "a negative length": b"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok",
    "an unknown coding": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nok",
    "more than announced": OK + OK.replace(b"2", b"5").replace(b"ok", b"other"),
}


@pytest.mark.parametrize("answer", BAD_FRAMING.values(), ids=BAD_FRAMING.keys())
@pytest.mark.parametrize("method", ["GET", "DELETE"], ids=["kept connection", "own connection"])
def test_an_answer_with_bad_framing_does_not_spill_into_the_next(site: Site, answer: bytes, method: str) -> None:
    def bad(request: Received) -> Iterator[bytes]:
        yield answer if request.target == "/bad" else OK
        if request.target == "/bad" and not answer.endswith((b"other", b"0\r\n\r\n")):
            raise ConnectionError

    site.upstream.answer = bad
    received = site.raw(f"{method} /bad HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    assert received.count(b"HTTP/1.1 ") == 1
    assert [site.get("/").body for _ in range(4)] == [b"ok"] * 4


def test_the_page_is_accessible_and_its_policy_admits_its_style(
    site: Site, tmp_path_factory: pytest.TempPathFactory
) -> None:
    said: list[str] = []
    with chromium(tmp_path_factory.mktemp("chromium"), site.ca) as start, start.browser() as browser:
        page = browser.new_page(color_scheme="dark", viewport={"width": 360, "height": 640})
        page.on("console", lambda message: said.append(message.text))
        answer = page.goto(f"{site.server.origin}/metrics")
        assert answer is not None
        assert answer.status == 404
        dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert Axe().run(page).violations_count == 0
        page.emulate_media(color_scheme="light")
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") not in (dark, "rgba(0, 0, 0, 0)")
        assert Axe().run(page).violations_count == 0
        assert page.evaluate("document.documentElement.scrollWidth") == 360
    # Chromium names the status on its console; anything else, such as a violation of the policy, would be ours.
    assert [text for text in said if "404" not in text] == []


def test_only_429_and_503_say_when_to_come_back(site: Site) -> None:
    assert site.get("/metrics").value("Retry-After") is None
