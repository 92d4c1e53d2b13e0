"""HTTP as the real server speaks it."""

import asyncio
import socket
import ssl
import struct
import time
from pathlib import Path

import httpx
import pytest

from tests.integration.server import raw
from tests.integration.server.conftest import Launcher
from tests.servers.certificates import authority
from tests.servers.gunicorn import Gunicorn

MEBIBYTE = 1024 * 1024


def answer_to(server: Gunicorn, *lines: str, body: bytes = b"") -> bytes:
    """The answer to a request on a connection of its own."""
    head = "\r\n".join([*lines, "Connection: close", "", ""]).encode("latin-1")
    with raw.connection(server) as connected:
        connected.sendall(head + body)
        return raw.everything(connected)


def resident_bytes(pid: int) -> int:
    """The most memory that the process ever held."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def test_a_response_says_neither_who_serves_nor_lacks_a_date(server: Gunicorn) -> None:
    response = httpx.get(server.url + "/")
    assert (response.status_code, response.text) == (200, "hello")
    assert "server" not in response.headers
    assert "date" in response.headers


def test_the_garbage_collector_leaves_what_was_there_at_the_start_alone_and_requests_their_time(
    server: Gunicorn,
) -> None:
    frozen, young, *_older = httpx.get(server.url + "/stats").json()["heap"]
    assert frozen > 10_000
    assert young > 10_000


@pytest.mark.parametrize("path", ["/upload", "/plain-upload"])
def test_bodies_up_to_the_limit_are_taken_and_one_byte_more_is_413(server: Gunicorn, path: str) -> None:
    url = server.url + path
    for size in (0, 1, 65_536, 65_537, MEBIBYTE):
        assert httpx.post(url, content=b"x" * size).json() == {"bytes": size}
    assert httpx.post(url, content=b"x" * (MEBIBYTE + 1)).status_code == 413
    assert httpx.post(url, content=(b"x" * 65536 for _ in range(16))).json() == {"bytes": MEBIBYTE}
    assert httpx.post(url, content=(b"x" * 65536 for _ in range(17))).status_code == 413


def test_a_body_is_not_held_twice(serve: Launcher) -> None:
    server = serve(SERVER_MAX_BODY_BYTES=str(256 * MEBIBYTE))
    (worker,) = server.workers
    httpx.post(server.url + "/upload", content=b"x" * MEBIBYTE)
    before = resident_bytes(worker)
    size = 128 * MEBIBYTE
    assert httpx.post(server.url + "/upload", content=(b"x" * MEBIBYTE for _ in range(128))).json() == {"bytes": size}
    assert resident_bytes(worker) - before < 1.35 * size


def test_the_connection_is_good_for_another_request_after_a_body_that_nobody_read(server: Gunicorn) -> None:
    with httpx.Client(base_url=server.url) as client:
        for _ in range(3):
            assert client.post("/ignore", content=b"x" * 300_000).text == "not read"
            assert client.get("/").text == "hello"


def test_the_client_is_told_to_go_on_only_when_its_body_is_read(server: Gunicorn) -> None:
    with raw.connection(server) as connected:
        connected.sendall(raw.request("POST", "/upload", "Expect: 100-continue", "Content-Length: 5"))
        assert raw.until(connected, b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        connected.sendall(b"hello")
        assert b'{"bytes":5}' in raw.until(connected, b"}\n")
    with raw.connection(server) as connected:
        connected.sendall(raw.request("POST", "/ignore", "Expect: 100-continue", "Content-Length: 5"))
        received = raw.everything(connected)
        assert received.startswith(b"HTTP/1.1 200 OK")
        assert b"connection: close" in received


def test_a_client_that_goes_away_during_its_upload_leaves_no_traceback(server: Gunicorn) -> None:
    with raw.connection(server) as connected:
        connected.sendall(raw.request("POST", "/upload", "Content-Length: 1000", body=b"half"))
        raw.wait_for(lambda: httpx.get(server.url + "/stats").json()["in_flight"] == 2)
    raw.wait_for(lambda: httpx.get(server.url + "/stats").json()["in_flight"] == 1)
    assert "Traceback" not in server.log


def test_a_slow_reader_holds_up_the_generator_and_not_the_memory(server: Gunicorn) -> None:
    (worker,) = server.workers
    before = resident_bytes(worker)
    chunks = 2000
    with raw.connection(server, receive_buffer=4096) as connected:
        connected.sendall(raw.request("GET", f"/stream/{chunks}"))
        made = -1
        # Until it makes no more: whatever fits in between has been made.
        while made != (made := httpx.get(server.url + "/stats").json()["made"]) or made == 0:
            time.sleep(0.2)
        assert made < chunks / 4
        assert resident_bytes(worker) - before < 30 * MEBIBYTE
        size = 0
        received = b""
        while not received.endswith(b"\r\n0\r\n\r\n"):
            received = received[-16:] + (data := connected.recv(1_000_000))
            size += len(data)
            assert data
        assert size > chunks * 65536
    assert resident_bytes(worker) - before < 30 * MEBIBYTE


@pytest.mark.parametrize("abruptly", [False, True])
def test_a_client_that_goes_away_during_its_download_ends_the_generator(serve: Launcher, abruptly: bool) -> None:
    server = serve()
    with raw.connection(server) as connected:
        connected.sendall(raw.request("GET", "/events"))
        raw.until(connected, b"data: /events\n\n")
        if abruptly:
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    server.wait_for("the events are closed")
    assert "Traceback" not in server.log


def test_head_has_the_headers_of_get_and_no_body(server: Gunicorn) -> None:
    head, get = (answer_to(server, f"{method} / HTTP/1.1", "Host: localhost") for method in ("HEAD", "GET"))
    assert b"content-length: 5" in head
    assert head.endswith(b"\r\n\r\n")
    assert get.endswith(b"\r\n\r\nhello")


@pytest.mark.parametrize("status", [204, 304])
def test_204_and_304_have_no_body_and_keep_the_connection(server: Gunicorn, status: int) -> None:
    with raw.connection(server) as connected:
        for _ in range(2):
            connected.sendall(raw.request("GET", f"/status/{status}"))
            received = raw.until(connected, b"\r\n\r\n")
            assert received.startswith(f"HTTP/1.1 {status}".encode())
            assert received.endswith(b"\r\n\r\n")
            assert b"content-length" not in received
            assert b"transfer-encoding" not in received


def test_an_informational_status_of_the_app_is_a_500(server: Gunicorn) -> None:
    assert httpx.get(server.url + "/informational").status_code == 500


def test_repeated_response_headers_stay_apart(server: Gunicorn) -> None:
    cookies = httpx.get(server.url + "/cookies").headers.get_list("set-cookie")
    assert [cookie.partition(";")[0] for cookie in cookies] == ["a=1", "b=2"]


def test_repeated_and_odd_request_headers_arrive(server: Gunicorn) -> None:
    received = answer_to(
        server,
        "GET /echo HTTP/1.1",
        "Host: localhost",
        "X-Twice: one",
        "X-Twice: two",
        "X-Bytes: caf\xe9\xff",
        "X_Forwarded_For: 192.0.2.66",
        "Cookie: a=1",
        "Cookie: b=2",
    )
    assert b'["X-Twice","one,two"]' in received
    assert b'["X-Bytes","caf\\u00e9\\u00ff"]' in received
    assert b'["Cookie","a=1; b=2"]' in received
    assert b"192.0.2.66" not in received


def test_the_server_itself_believes_no_forwarded_header(server: Gunicorn) -> None:
    forged = {"X-Forwarded-For": "192.0.2.66", "X-Forwarded-Proto": "https"}
    answer = httpx.get(server.url + "/echo", headers=forged).json()
    assert (answer["remote"], answer["url"]) == ("127.0.0.1", server.url + "/echo")


@pytest.mark.parametrize(
    ("target", "answer"),
    [
        ("/path/caf%C3%A9", b"'caf\\xe9'"),
        ("/path/%FF", b"'\\ufffd'"),
        ("/path/a%2Fb", b"'a/b'"),
        ("/path/%00", b"'\\x00'"),
        ("http://elsewhere/path/absolute", b"'absolute'"),
    ],
)
def test_odd_paths_arrive(server: Gunicorn, target: str, answer: bytes) -> None:
    received = answer_to(server, f"GET {target} HTTP/1.1", "Host: localhost")
    assert received.startswith(b"HTTP/1.1 200")
    assert received.endswith(answer)


@pytest.mark.parametrize(
    "lines",
    [
        ("GET / HTTP/1.1", "Host: a", "Host: b"),
        ("GET / HTTP/1.1",),
        ("GET / HTTP/1.1", "Host: a", "Bad Name: b"),
        ("GET /\xe9 HTTP/1.1", "Host: a"),
        ("nonsense",),
        ("POST /upload HTTP/1.1", "Host: a", "Content-Length: 1", "Content-Length: 2"),
        ("POST /upload HTTP/1.1", "Host: a", "Content-Length: 4", "Transfer-Encoding: chunked"),
        ("POST /upload HTTP/1.1", "Host: a", "Content-Length: -1"),
        ("POST /upload HTTP/1.1", "Host: a", "Transfer-Encoding: gzip"),
    ],
    ids=lambda lines: " ".join(lines[:1] + lines[2:]) if isinstance(lines, tuple) else None,
)
def test_a_request_that_contradicts_http_is_a_400_and_the_end_of_the_connection(
    server: Gunicorn, lines: tuple[str, ...]
) -> None:
    with raw.connection(server) as connected:
        connected.sendall("\r\n".join([*lines, "", ""]).encode("latin-1"))
        received = raw.everything(connected)
    assert received.startswith(b"HTTP/1.1 400")
    assert received.count(b"HTTP/1.1") == 1


def test_pipelined_requests_are_answered_in_order(server: Gunicorn) -> None:
    with raw.connection(server) as connected:
        slow, quick = raw.request("GET", "/sleep/0.05"), raw.request("GET", "/")
        connected.sendall(slow + quick + raw.request("GET", "/block/0.01", "Connection: close"))
        received = raw.everything(connected)
    bodies = [part.rpartition(b"\r\n")[2] for part in received.split(b"HTTP/1.1 ")[1:]]
    assert bodies == [b"slept", b"hello", b"blocked"]


def test_a_request_inherits_no_context_variable_from_the_one_before_it(server: Gunicorn) -> None:
    with raw.connection(server) as connected:
        pipelined = raw.request("GET", "/variable"), raw.request("GET", "/variable", "Connection: close")
        connected.sendall(b"".join(pipelined))
        assert raw.everything(connected).count(b"\r\n\r\nunset") == 2


def test_tls_is_served_without_a_proxy(serve: Launcher, tmp_path: Path) -> None:
    ca = authority(tmp_path)
    certificate, key = ca.issue(["localhost", "127.0.0.1"])
    server = serve(SERVER_TLS_CERTIFICATE=str(certificate), SERVER_TLS_KEY=str(key))
    trusting = ssl.create_default_context(cafile=str(ca.path))
    with httpx.Client(verify=trusting) as client:
        assert client.get(server.url + "/echo").json()["url"].startswith("https://127.0.0.1:")


def test_an_exception_before_the_first_byte_is_a_500(server: Gunicorn) -> None:
    assert httpx.get(server.url + "/fails/before").status_code == 500


def test_after_the_first_byte_the_client_sees_that_something_is_missing(server: Gunicorn) -> None:
    with raw.connection(server) as connected:
        connected.sendall(raw.request("GET", "/fails/after"))
        received = raw.everything(connected)
    assert received.endswith(b"5\r\nfirst\r\n")
    with pytest.raises(httpx.RemoteProtocolError):
        httpx.get(server.url + "/fails/after")


def test_http_1_0_gets_an_answer_and_the_end_of_the_connection(server: Gunicorn) -> None:
    with raw.connection(server) as connected:
        connected.sendall(b"GET / HTTP/1.0\r\n\r\n")
        received = raw.everything(connected)
    assert received.endswith(b"\r\n\r\nhello")


def test_a_websocket_gets_no_upgrade(server: Gunicorn) -> None:
    received = answer_to(
        server,
        "GET / HTTP/1.1",
        "Host: localhost",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    )
    # werkzeug's answer to a WebSocket on a route that is none.
    assert received.startswith(b"HTTP/1.1 400")


def test_on_a_unix_socket_there_is_no_client_address(serve: Launcher, tmp_path: Path) -> None:
    serve(SERVER_BIND=f"unix:{tmp_path}/app.sock")
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(tmp_path / "app.sock"))) as client:
        answer = client.get("http://example.com/echo").json()
        assert (answer["remote"], answer["url"]) == (None, "http://example.com/echo")
        assert client.get("http://example.com/stream/1").status_code == 200


def test_many_users_at_once_each_see_their_own_session(serve: Launcher) -> None:
    server = serve()
    wrong: list[str] = []

    async def user(name: str) -> None:
        async with httpx.AsyncClient(base_url=server.url, timeout=30) as client:
            await client.get(f"/login/{name}")
            if (flashed := (await client.get("/flashed")).text) != f"welcome {name}":
                wrong.append(flashed)
            for number in range(45):
                answer = await client.get(f"/who/{('async', 'plain', 'stream')[number % 3]}")
                if answer.text != f"{name} {name} {name}":
                    wrong.append(answer.text)

    async def all_users() -> None:
        await asyncio.gather(*[user(f"user-{number}") for number in range(24)])

    asyncio.run(all_users())
    assert wrong == []


def test_async_views_wait_side_by_side_and_blocking_ones_stop_nobody(serve: Launcher) -> None:
    server = serve()

    async def scenario() -> tuple[float, float]:
        async with httpx.AsyncClient(base_url=server.url, timeout=30) as client:
            began = time.monotonic()
            await asyncio.gather(*[client.get("/sleep/0.5") for _ in range(40)])
            side_by_side = time.monotonic() - began
            blocking = [asyncio.create_task(client.get("/block/15.0")) for _ in range(7)]
            await asyncio.to_thread(server.wait_for, "block has begun", times=7)
            began = time.monotonic()
            assert (await client.get("/thread")).text == "MainThread"
            other = time.monotonic() - began
            assert not any(task.done() for task in blocking)
            for task in blocking:
                task.cancel()
            return side_by_side, other

    side_by_side, other = asyncio.run(scenario())
    # One after the other it would be 20 seconds, and behind the blocking ones 15.
    assert side_by_side < 15
    assert other < 10


def test_too_many_requests_are_refused_and_the_others_answered(serve: Launcher) -> None:
    server = serve(SERVER_CONCURRENCY="4")

    async def scenario() -> list[httpx.Response]:
        async with httpx.AsyncClient(base_url=server.url, timeout=30) as client:
            return await asyncio.gather(*[client.get("/sleep/1.0") for _ in range(12)])

    responses = asyncio.run(scenario())
    refused = [response for response in responses if response.status_code == 503]
    assert len(refused) == 8
    assert {response.headers["retry-after"] for response in refused} == {"1"}
    assert [response.text for response in responses if response.status_code == 200] == ["slept"] * 4


def test_a_request_over_the_time_limit_is_a_504(serve: Launcher) -> None:
    server = serve(SERVER_REQUEST_TIMEOUT_SECONDS="0.3")
    assert httpx.get(server.url + "/sleep/600.0", timeout=30).status_code == 504
    assert httpx.get(server.url + "/block/2.0", timeout=30).status_code == 504
    assert httpx.get(server.url + "/").text == "hello"
