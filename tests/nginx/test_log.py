"""The access log is one JSON object a request, and neither log has anything secret in it, whatever goes wrong."""

import itertools
import re
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.nginx.client import connect
from tests.nginx.conftest import RunSite, Site
from tests.nginx.upstream import Received, always
from tests.servers.nginx import unprivileged, wait_until

FIELDS = {
    "time": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d",
    "request_id": "[0-9a-f]{32}",
    "trace_id": "[0-9a-f]{32}",
    "client": r"127\.0\.0\.1",
    "method": "GET",
    "host": "localhost",
    "path": "/a%20b",
    "protocol": r"HTTP/1\.1",
    "upstream": "unix:.*",
    "upstream_status": "200",
    "upstream_connect_seconds": r"\d+\.\d{3}",
    "upstream_header_seconds": r"\d+\.\d{3}",
    "upstream_seconds": r"\d+\.\d{3}",
    "limit": "",
    "tls_protocol": r"TLSv1\.3",
    "tls_cipher": "TLS_.*",
    "tls_resumed": r"\.",
    "referer": "https://acme.eu.auth0.com/u/login",
    "user_agent": "tests",
}
# In every place of a request where a secret may stand.
SECRET = "zq-secret-zq"
TARGET = f"/callback?code={SECRET}&state={SECRET}"
HEADERS = (
    f"Cookie: __Host-session={SECRET}",
    f"Authorization: Bearer {SECRET}",
    f"Referer: https://localhost/callback?code={SECRET}#{SECRET}",
    f"X-Request-ID: {SECRET}",
    f"X-Forwarded-For: {SECRET}",
)


def test_a_line_has_what_an_operator_asks_for(site: Site) -> None:
    response = site.get("/a%20b?x=1", "User-Agent: tests", "Referer: https://acme.eu.auth0.com/u/login?state=1")
    line = site.server.line(request_id=response.value("X-Request-ID"))
    assert {name for name, pattern in FIELDS.items() if not re.fullmatch(pattern, line[name])} == set()
    numbers = {name: line[name] for name in line.keys() - FIELDS.keys()}
    assert numbers.keys() == {"status", "request_bytes", "response_bytes", "seconds"}
    assert line["status"] == 200
    assert all(isinstance(value, int | float) and value >= 0 for value in numbers.values())


def test_the_log_says_where_an_answer_was_lost(run_site: RunSite) -> None:
    """The table "Reading a 502" of nginx/README.md."""

    def answer(request: Received) -> Iterator[bytes]:
        if request.target == "/dies":
            raise ConnectionError
        yield b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n" if request.target == "/cut" else b""
        if request.target == "/cut":
            raise ConnectionError

    with run_site(NGINX_UPSTREAM_TIMEOUT_SECONDS="1") as site:
        site.upstream.answer = answer
        found = {}
        for target in ("/dies", "/slow", "/cut", "/gone"):
            if target == "/gone":
                site.upstream.close()
            with site.tls() as client:
                client.send(f"POST {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
                client.rest()
            line = site.server.line(path=target)
            times = ("upstream_connect_seconds", "upstream_header_seconds")
            found[target] = (line["status"], line["upstream_status"], *(line[name] != "-" for name in times))
        assert found == {
            "/dies": (502, "502", True, False),
            "/slow": (504, "504", True, False),
            "/cut": (200, "200", True, True),
            "/gone": (502, "502", False, False),
        }


def _everything_that_goes_wrong(site: Site) -> int:
    """Requests with secrets through every failure there is; how many lines the log has then at least."""
    lines = 0

    def get(target: str = TARGET, method: str = "GET", body: bytes = b"", host: str = "localhost") -> None:
        nonlocal lines
        with site.tls() as client:
            client.get(target, *HEADERS, method=method, body=body, host=host)
        lines += 1

    get()
    get(f"/login?login_hint={SECRET}")
    get(f"/metrics?{SECRET}")
    get(f"/callback%3Fcode={SECRET}")
    get(f"/callback%3fcode={SECRET}")
    get(f"/callback%23access_token={SECRET}")
    get(f"https://localhost/callback?code={SECRET}")
    get(f"/?{SECRET}&{'x' * 40_000}")
    get(host="evil.test")
    get(method="POST", body=SECRET.encode() * 20)
    get(method="POST", body=SECRET.encode() * 2000)
    get(method="POST", body=SECRET.encode() * 100_000)
    get(method="TRACE")
    with site.plain() as client:
        client.get(TARGET, *HEADERS)
        client.get(TARGET, *HEADERS, host="evil.test")
        lines += 2
    with connect(site.server.https_port) as client:
        client.get(TARGET, *HEADERS)
        lines += 1
    head = "\r\n".join([f"GET {TARGET} HTTP/1.1", "Host: localhost", *HEADERS, ""]).encode()
    for malformed in (
        b"Content-Length: x\r\n\r\n",
        b"Bad\x00: x\r\n\r\n",
        b"Transfer-Encoding: gzip\r\n\r\n",
        b"Cookie: " + SECRET.encode() * 4000 + b"\r\n\r\n",
    ):
        site.raw(head + malformed)
        lines += 1
    site.raw(f"GET {TARGET}\x00 HTTP/1.1\r\n\r\n".encode())
    site.raw(f"{SECRET} {TARGET}\r\n\r\n".encode())
    # A head, a body and an answer that stay unfinished.
    for unfinished in (head, head.replace(b"GET", b"POST") + b"Content-Length: 9\r\n\r\nx"):
        with site.tls() as client:
            client.send(unfinished)
            client.rest()
    answers = {
        "cut": b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nConnection: close\r\n\r\n",
        "too large": b"HTTP/1.1 200 OK\r\nX: " + b"x" * 40_000 + b"\r\nConnection: close\r\n\r\n",
        "malformed": b"HTTP/1.1 200 OK\r\nX: \x00" + SECRET.encode() + b"\r\nConnection: close\r\n\r\n",
        "secret": b"HTTP/1.1 302 Found\r\nLocation: /?%b\r\nSet-Cookie: a=%b\r\n\r\n" % (2 * (SECRET.encode(),)),
        "slow": b"",
    }
    for answer in answers.values():
        site.upstream.answer = always(answer)
        with site.tls() as client:
            client.send(head + b"Connection: close\r\n\r\n")
            client.rest()
        lines += 1
    with site.tls() as client:
        client.send(head.replace(b"/callback", b"/abandoned") + b"\r\n")
        wait_until(lambda: site.upstream.requests[-1].target.startswith("/abandoned"), "the request")
    site.server.line(path="/abandoned", status=499)
    site.upstream.close()
    get()
    get(method="POST")
    # The limit of logins, by then far exceeded.
    for _ in range(45):
        get("/login?" + SECRET)
    return lines


@pytest.mark.parametrize("unix", [True, False], ids=["unix socket", "TCP"])
def test_no_secret_is_in_either_log_whatever_goes_wrong(run_site: RunSite, unix: bool) -> None:
    with run_site(
        unix=unix, NGINX_CLIENT_TIMEOUT_SECONDS="1", NGINX_UPSTREAM_TIMEOUT_SECONDS="1", NGINX_LOGIN_RATE="1r/m"
    ) as site:
        lines = _everything_that_goes_wrong(site)
        wait_until(lambda: len(site.server.lines) >= lines, "the lines of all requests")
        site.server.stop()
        statuses = {line["status"] for line in site.server.lines}
        assert statuses >= {200, 302, 308, 400, 404, 405, 408, 413, 414, 421, 429, 431, 499, 501, 502, 504}
        assert SECRET not in site.server.log
        assert SECRET not in site.server.errors
        assert "?" not in "".join(line["path"] + line["referer"] for line in site.server.lines)


def test_no_secret_is_in_the_error_log_when_the_socket_is_missing(run_site: RunSite) -> None:
    with run_site(NGINX_UPSTREAM="unix:/nonexistent/app.sock") as site:
        assert site.get(TARGET, *HEADERS).status == 502
        site.server.line(status=502)
        site.server.stop()
        assert SECRET not in site.server.errors


def test_no_secret_is_in_the_error_log_when_the_disk_is_full(run_site: RunSite) -> None:
    with run_site() as site:
        # What open() says to a folder that is gone, it says at the level of a full disk.
        (site.server.folder / "run" / "temporary" / "body").rmdir()
        assert site.get(TARGET, *HEADERS, method="POST", body=b"x" * 100_000).status == 500
        site.server.line(status=500)
        site.server.stop()
        assert SECRET not in site.server.errors


def _refuse_more_files(worker: int) -> None:
    taken = {int(path.name) for path in Path(f"/proc/{worker}/fd").iterdir()}
    lowest = next(number for number in itertools.count() if number not in taken)
    command = ["prlimit", f"--pid={worker}", f"--nofile={lowest}:"]
    subprocess.run(command, check=True, timeout=30, **unprivileged())


def test_no_secret_is_in_the_error_log_when_files_run_out(run_site: RunSite) -> None:
    with run_site() as site, site.tls() as client:

        def refused() -> bool:
            # This connection is there; the one to the app is one file too many, unless another has just closed.
            for worker in site.server.workers():
                _refuse_more_files(worker)
            return client.get(TARGET, *HEADERS).status in (500, 502)

        assert client.get("/metrics").status == 404
        wait_until(refused, "a connection to the app that cannot be opened")
        site.server.stop()
        assert SECRET not in site.server.errors


INJECTIONS = [
    b'GET /"},{"status":1} HTTP/1.1\r\nHost: localhost\r\n',
    b"GET /\\ HTTP/1.1\r\nHost: localhost\r\n",
    b"GET /%0a{%22forged%22:1} HTTP/1.1\r\nHost: localhost\r\n",
    b"GET /\xff\xfe\xe2\x82 HTTP/1.1\r\nHost: localhost\r\n",
    b"GET /\xe2\x80\xa8 HTTP/1.1\r\nHost: localhost\r\n",
    b'GET / HTTP/1.1\r\nHost: localhost\r\nUser-Agent: "\\ \xff\x1b[31m \t\r\n',
    b'GET / HTTP/1.1\r\nHost: localhost\r\nReferer: https://a"b\\c\xff/\r\n',
    b'GET / HTTP/1.1\r\nHost: a"b\\c\xff\r\n',
    b"GET / HTTP/1.1\r\nHost: \xff\xfe\r\n",
    b'FORGED"} / HTTP/1.1\r\nHost: localhost\r\n',
    b"FORGED-METHOD_X / HTTP/1.1\r\nHost: localhost\r\n",
    b"GET / HTTP/7.77\r\nHost: localhost\r\n",
    b"\xff\xff\xff\xff\r\n",
    b'GET / HTTP/1.1\r\nHost: localhost\r\nX-Request-ID: "forged"\r\n',
    b'GET / HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: "forged"\r\n',
]


@pytest.fixture(scope="module")
def ordered(run_site: RunSite) -> Iterator[Site]:
    """With one worker, which writes the lines in the order of the requests."""
    with run_site(unix=True, NGINX_WORKERS="1") as site:
        yield site


_marks = itertools.count()


def lines_of(site: Site, ask: Callable[[], object]) -> list[dict[str, Any]]:
    """The lines of what *ask* asks for: those between the lines of a request before and of one after it."""
    number = next(_marks)
    site.get(f"/before/{number}")
    ask()
    site.get(f"/after/{number}")
    site.server.line(path=f"/after/{number}")
    lines = site.server.lines
    paths = [line["path"] for line in lines]
    return lines[paths.index(f"/before/{number}") + 1 : paths.index(f"/after/{number}")]


@pytest.mark.parametrize("head", INJECTIONS)
def test_every_line_stays_one_json_object(ordered: Site, head: bytes) -> None:
    [line] = lines_of(ordered, lambda: ordered.raw(head + b"Connection: close\r\n\r\n"))
    assert line.keys() == FIELDS.keys() | {"status", "request_bytes", "response_bytes", "seconds"}
    assert ordered.server.log.isascii()
    assert "forged" not in line


def test_a_request_that_is_not_even_tls_leaves_lines_that_are_json(site: Site) -> None:
    with socket.create_connection(("127.0.0.1", site.server.https_port)) as client:
        client.sendall(b"\x16\x03\x01\x00\x05hello" + b"\xff" * 50)
        client.recv(1000)
    site.get("/after")
    site.server.line(path="/after")
    assert site.server.lines


def test_the_status_page_is_not_logged(ordered: Site) -> None:
    def ask() -> None:
        with connect(ordered.server.status_port) as client:
            assert client.get("/status").status == 200

    assert lines_of(ordered, ask) == []


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGQUIT], ids=["at once", "gracefully"])
def test_the_last_lines_are_written_when_nginx_stops(run_site: RunSite, how: signal.Signals) -> None:
    with run_site(unix=True) as site:
        for number in range(3):
            site.get(f"/last/{number}")
        assert site.server.process is not None
        site.server.process.send_signal(how)
        site.server.process.wait(30)
        assert {line["path"] for line in site.server.lines} >= {f"/last/{number}" for number in range(3)}


def test_nginx_speaks_of_itself_in_the_error_log(run_site: RunSite) -> None:
    with run_site() as site:
        site.server.reload()
        wait_until(lambda: "reconfiguring" in site.server.errors, "a message about the reload")
