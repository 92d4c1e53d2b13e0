"""Messages that two parsers could read differently: the app sees what nginx saw, one request for one, or nothing."""

from collections.abc import Iterator

import pytest

from tests.nginx.conftest import RunSite, Site

INNER = b"GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n"
CHUNKS = b"0\r\n\r\n" + INNER
HEAD = b"POST /outer HTTP/1.1\r\nHost: localhost\r\n"

REFUSED = {
    "CL.TE": HEAD + b"Content-Length: %d\r\nTransfer-Encoding: chunked\r\n\r\n" % len(CHUNKS) + CHUNKS,
    "TE.CL": HEAD + b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n" + INNER,
    "TE and TE": HEAD + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n" + CHUNKS,
    "TE twice": HEAD + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNKS,
    "TE list": HEAD + b"Transfer-Encoding: chunked, identity\r\n\r\n" + CHUNKS,
    "TE gzip": HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n" + CHUNKS,
    "TE misspelt": HEAD + b"Transfer-Encoding: xchunked\r\n\r\n" + CHUNKS,
    "TE vertical tab": HEAD + b"Transfer-Encoding: \x0bchunked\r\n\r\n" + CHUNKS,
    "TE quoted": HEAD + b'Transfer-Encoding: "chunked"\r\n\r\n' + CHUNKS,
    "TE space before colon": HEAD + b"Transfer-Encoding : chunked\r\n\r\n" + CHUNKS,
    "TE folded": HEAD + b"Transfer-Encoding:\r\n chunked\r\n\r\n" + CHUNKS,
    "TE in HTTP/1.0": HEAD.replace(b"1.1", b"1.0") + b"Transfer-Encoding: chunked\r\n\r\n" + CHUNKS,
    "TE NUL": HEAD + b"Transfer-Encoding: chunked\x00\r\n\r\n" + CHUNKS,
    "CL.CL": HEAD + b"Content-Length: 0\r\nContent-Length: %d\r\n\r\n" % len(INNER) + INNER,
    "CL twice": HEAD + b"Content-Length: 0\r\nContent-Length: 0\r\n\r\n" + INNER,
    "CL list": HEAD + b"Content-Length: 0, %d\r\n\r\n" % len(INNER) + INNER,
    "CL signed": HEAD + b"Content-Length: +%d\r\n\r\n" % len(INNER) + INNER,
    "CL negative": HEAD + b"Content-Length: -1\r\n\r\n" + INNER,
    "CL hexadecimal": HEAD + b"Content-Length: 0x0\r\n\r\n" + INNER,
    "CL space inside": HEAD + b"Content-Length: 0 0\r\n\r\n" + INNER,
    "CL empty": HEAD + b"Content-Length:\r\n\r\n" + INNER,
    "CL overflowing": HEAD + b"Content-Length: 18446744073709551616\r\n\r\n" + INNER,
    "chunk size no number": HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n" + INNER,
    "chunk size negative": HEAD + b"Transfer-Encoding: chunked\r\n\r\n-1\r\n" + INNER,
    "chunk size signed": HEAD + b"Transfer-Encoding: chunked\r\n\r\n+0\r\n\r\n" + INNER,
    "chunk size prefixed": HEAD + b"Transfer-Encoding: chunked\r\n\r\n0x0\r\n\r\n" + INNER,
    "chunk size empty": HEAD + b"Transfer-Encoding: chunked\r\n\r\n\r\n\r\n" + INNER,
    "chunk size overflowing": HEAD + b"Transfer-Encoding: chunked\r\n\r\n10000000000000000\r\n\r\n" + INNER,
    "chunk longer than said": HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\nxy\r\n0\r\n\r\n" + INNER,
    "header without colon": HEAD + b"Content-Length\r\n\r\n" + INNER,
    "NUL in a header": HEAD + b"X: a\x00b\r\n\r\n" + INNER,
    "CR in a header": HEAD + b"X: a\rTransfer-Encoding: chunked\r\n\r\n" + CHUNKS,
    "HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + INNER,
    "HTTP/1.2 with TE": HEAD.replace(b"1.1", b"9.9") + b"Transfer-Encoding: chunked\r\n\r\n" + CHUNKS,
}

# Read by nginx in its way, which is what the app then sees.
NORMALISED = {
    "body is a request": (HEAD + b"Content-Length: %d\r\n\r\n" % len(INNER) + INNER, INNER),
    "body of GET": (
        b"GET /outer HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(INNER) + INNER,
        INNER,
    ),
    "bare line feeds": (
        b"POST /outer HTTP/1.1\nHost: localhost\nContent-Length: %d\n\n" % len(INNER) + INNER,
        INNER,
    ),
    "TE in capitals": (
        HEAD + b"Transfer-Encoding: CHUNKED\r\n\r\n%x\r\n" % len(INNER) + INNER + b"\r\n0\r\n\r\n",
        INNER,
    ),
    "underscores": (
        HEAD + b"Transfer_Encoding: chunked\r\nContent-Length: %d\r\n\r\n" % len(CHUNKS) + CHUNKS,
        CHUNKS,
    ),
    "chunk extension": (
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n%x;a=\r\n" % len(INNER) + INNER + b"\r\n0\r\n\r\n",
        INNER,
    ),
    "request in the trailer": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\nGET /smuggled HTTP/1.1\r\n\r\n", b""),
}


@pytest.fixture(scope="module")
def _impatient(run_site: RunSite) -> Iterator[Site]:
    with run_site(NGINX_CLIENT_TIMEOUT_SECONDS="1") as site:
        yield site


@pytest.fixture
def impatient(_impatient: Site) -> Site:
    """A site that gives up on half a message after a second."""
    _impatient.upstream.reset()
    return _impatient


@pytest.mark.parametrize("message", REFUSED.values(), ids=REFUSED.keys())
def test_an_ambiguous_message_is_refused_and_its_connection_closed(impatient: Site, message: bytes) -> None:
    answer = impatient.raw(message)
    assert answer.count(b"HTTP/1.1 ") <= 1
    assert answer[9:12] in (b"", b"400", b"413", b"421", b"501", b"505")
    assert impatient.upstream.requests == []


@pytest.mark.parametrize(("message", "body"), NORMALISED.values(), ids=NORMALISED.keys())
def test_an_unusual_message_is_one_request_with_one_length(impatient: Site, message: bytes, body: bytes) -> None:
    impatient.raw(message)
    request = impatient.upstream.only
    assert (request.target, request.body) == ("/outer", body)
    assert request.values("Content-Length") == [str(len(body))]
    assert "transfer-encoding" not in request.names


def test_an_expectation_is_answered_by_nginx(site: Site) -> None:
    with site.tls() as client:
        client.send(b"POST / HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        assert client.socket.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.send(b"hi")
        assert client.response().status == 200
    assert "expect" not in site.upstream.only.names


def test_pipelined_requests_arrive_one_by_one(site: Site) -> None:
    received = site.raw(
        b"GET /1 HTTP/1.1\r\nHost: localhost\r\n\r\nGET /2 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    )
    assert received.count(b"HTTP/1.1 200 OK") == 2
    assert [request.target for request in site.upstream.requests] == ["/1", "/2"]


def test_a_request_of_http_0_9_gets_no_answer_of_the_app(site: Site) -> None:
    site.raw(b"GET /\r\n")
    assert site.upstream.requests == []
