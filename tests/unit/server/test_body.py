"""Reading what the client sends."""

import asyncio
import io
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

import flask as flask_
import pytest
from flask import request
from werkzeug.exceptions import ClientDisconnected

from app.server import LoopFlask, await_
from app.server.body import Body
from app.server.bridge import RequestGreenlet
from tests.unit.server.client import Header, make, on_a_loop, served, until

CHUNKED: list[Header] = [(b"transfer-encoding", b"chunked")]
MEBIBYTE = 1024 * 1024


def reading(read: Callable[[Body], Any], *chunks: bytes, gone: bool = False) -> Any:
    """What `read` makes of a body that comes in `chunks`, and then breaks off if `gone`."""

    async def scenario() -> Any:
        messages = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
        end = {"type": "http.disconnect"} if gone else {"type": "http.request", "body": b"", "more_body": False}
        incoming = iter([*messages, end])

        async def receive() -> dict[str, Any]:
            await asyncio.sleep(0)
            return next(incoming)

        return await RequestGreenlet(lambda: read(Body(receive))).drive()

    return asyncio.run(scenario())


def test_it_reads_to_its_end() -> None:
    assert reading(lambda body: body.read(), b"one", b"two") == b"onetwo"
    assert reading(lambda body: (body.read(), body.read()), b"one") == (b"one", b"")
    assert reading(lambda body: body.read(None), b"one", b"two") == b"onetwo"
    assert reading(lambda body: body.readall(), b"one", b"two") == b"onetwo"


def test_it_reads_as_much_as_asked_for_across_messages() -> None:
    pairs = reading(lambda body: [body.read(2) for _ in range(5)], b"one", b"", b"two")
    assert pairs == [b"on", b"et", b"wo", b"", b""]
    assert reading(lambda body: (body.read(0), body.read(100)), b"one", b"two") == (b"", b"onetwo")


def test_it_reads_lines() -> None:
    chunks = b"a\nb", b"c\n", b"\n", b"last"
    assert reading(list, *chunks) == [b"a\n", b"bc\n", b"\n", b"last"]
    assert reading(lambda body: body.readlines(), *chunks) == [b"a\n", b"bc\n", b"\n", b"last"]
    assert reading(lambda body: body.readlines(1), *chunks) == [b"a\n"]
    assert reading(lambda body: [body.readline(2) for _ in range(3)], b"abc", b"d\ne") == [b"ab", b"cd", b"\n"]
    assert reading(lambda body: (body.readline(0), body.readline(-1)), b"a\nb") == (b"", b"a\n")
    assert reading(lambda body: (body.readline(), body.read(1), body.read()), b"a\nbc", b"d") == (b"a\n", b"b", b"cd")


def test_it_can_be_wrapped_as_any_binary_file() -> None:
    assert reading(lambda body: io.TextIOWrapper(io.BufferedReader(body)).read(), b"caf\xc3", b"\xa9") == "café"


@pytest.mark.parametrize("read", [lambda body: body.read(), lambda body: body.read(10), list])
def test_a_client_that_goes_away_is_a_bad_request(read: Callable[[Body], Any]) -> None:
    with pytest.raises(ClientDisconnected):
        reading(read, b"half", gone=True)


@on_a_loop
async def test_nothing_is_received_before_the_app_reads() -> None:
    flask = make()
    flask.add_url_rule("/", view_func=lambda: "not read", methods=["POST"], endpoint="view")
    async with served(flask) as client:
        exchange = client.open("POST", "/", [(b"content-length", b"5"), (b"expect", b"100-continue")])
        assert (await exchange.done()).text == "not read"
        assert exchange.received == 0
        # What the client sends next may be that body or not.
        assert exchange.header("connection") == "close"


def upload_app(**config: Any) -> LoopFlask:
    flask = make(**config)

    @flask.post("/async")
    async def asynchronous() -> str:
        return str(len(request.get_data()))

    @flask.post("/plain")
    def plain() -> str:
        return str(len(request.get_data()))

    @flask.post("/lines")
    def lines() -> str:
        return str(sum(1 for _ in request.stream))

    @flask.post("/form")
    async def form() -> dict[str, Any]:
        return {"fields": request.form, "files": {name: len(file.read()) for name, file in request.files.items()}}

    @flask.post("/json")
    async def json() -> Any:
        return request.get_json()

    @flask.post("/hop")
    def hop() -> str:
        async def ask() -> int:
            return len(request.get_data())

        return str(await_(ask()))

    return flask


@pytest.mark.parametrize("path", ["/async", "/plain", "/hop"])
def test_a_body_is_read_wherever_the_view_runs(path: str) -> None:
    @on_a_loop
    async def scenario() -> None:
        async with served(upload_app()) as client:
            exchange = client.open("POST", path, CHUNKED)
            for _ in range(10):
                exchange.upload(b"x" * 1000, more=True)
            exchange.upload(b"")
            assert (await exchange.done()).text == "10000"

    scenario()


@on_a_loop
async def test_lines_forms_files_and_json_are_read() -> None:
    async with served(upload_app()) as client:
        assert (await client.request("POST", "/lines", body=b"a\nb\nc")).text == "3"
        urlencoded = [(b"content-type", b"application/x-www-form-urlencoded")]
        assert '"a":"1"' in (await client.request("POST", "/form", urlencoded, b"a=1&b=2")).text.replace(" ", "")
        json = [(b"content-type", b"application/json")]
        assert (await client.request("POST", "/json", json, b"[1]")).body == b"[1]\n"
        disposition = b'--x\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n'
        part = disposition + b"y" * 5000 + b"\r\n--x--\r\n"
        multipart = [(b"content-type", b"multipart/form-data; boundary=x")]
        assert '"file":5000' in (await client.request("POST", "/form", multipart, part)).text.replace(" ", "")


@pytest.mark.parametrize("path", ["/async", "/plain"])
@pytest.mark.parametrize("headers", [CHUNKED, [(b"content-length", b"1001")]], ids=["chunked", "declared"])
def test_a_body_over_the_limit_is_413(path: str, headers: list[Header]) -> None:
    @on_a_loop
    async def scenario() -> None:
        async with served(upload_app(MAX_CONTENT_LENGTH=1000)) as client:
            exchange = client.open("POST", path, headers)
            exchange.upload(b"x" * 1000, more=True)
            exchange.upload(b"x")
            assert (await exchange.done()).status == 413
            exchange = client.open("POST", path, CHUNKED)
            exchange.upload(b"x" * 1000, more=True)
            exchange.upload(b"")
            assert (await exchange.done()).text == "1000"

    scenario()


@on_a_loop
async def test_a_body_that_is_declared_too_large_is_refused_before_a_byte_of_it() -> None:
    async with served(upload_app(MAX_CONTENT_LENGTH=1000)) as client:
        exchange = client.open("POST", "/async", [(b"content-length", b"1001")])
        assert (await exchange.done()).status == 413
        assert exchange.received == 0


@pytest.mark.parametrize("path", ["/async", "/plain"])
def test_a_client_that_goes_away_during_its_upload_gets_400_and_no_traceback(
    path: str, caplog: pytest.LogCaptureFixture
) -> None:
    @on_a_loop
    async def scenario() -> None:
        async with served(upload_app()) as client:
            exchange = client.open("POST", path, [(b"content-length", b"1000")])
            exchange.upload(b"half", more=True)
            await until(lambda: exchange.received == 2)
            # The answer would be lost: look at it as the server sends it.
            exchange.incoming.put_nowait({"type": "http.disconnect"})
            assert (await exchange.done()).status == 400

    scenario()
    assert [record for record in caplog.records if record.exc_info] == []


@pytest.mark.parametrize("path", ["/async", "/plain"])
def test_a_large_body_is_not_held_twice(path: str) -> None:
    size = 32 * MEBIBYTE

    @on_a_loop
    async def scenario() -> None:
        async with served(upload_app()) as client:
            exchange = client.open("POST", path, CHUNKED)
            chunk = b"x" * 65536

            async def receive() -> dict[str, Any]:
                exchange.received += 1
                return {"type": "http.request", "body": chunk, "more_body": exchange.received < size // len(chunk)}

            exchange._receive = receive  # type: ignore[method-assign]
            tracemalloc.start()
            try:
                assert (await exchange.done()).text == str(size)
                peak = tracemalloc.get_traced_memory()[1]
            finally:
                tracemalloc.stop()
            assert peak < 1.3 * size

    scenario()


@on_a_loop
async def test_an_upload_is_taken_only_as_fast_as_it_is_read() -> None:
    flask = make()
    go_on = threading.Semaphore(0)

    @flask.post("/")
    def view() -> str:
        while request.stream.read(10):
            go_on.acquire(timeout=20)
        return "done"

    async with served(flask) as client:
        exchange = client.open("POST", "/", CHUNKED)
        for _ in range(5):
            exchange.upload(b"x" * 10, more=True)
        exchange.upload(b"")
        await until(lambda: exchange.received == 1)
        go_on.release()
        await until(lambda: exchange.received == 2)
        assert exchange.incoming.qsize() == 4
        go_on.release(10)
        assert (await exchange.done()).text == "done"


@on_a_loop
async def test_a_response_can_be_streamed_while_the_request_still_is() -> None:
    flask = make()

    @flask.post("/")
    def echo() -> Any:
        @flask_.stream_with_context
        def generate() -> Iterator[bytes]:
            while chunk := request.stream.readline():
                yield chunk.upper()

        return generate()

    async with served(flask) as client:
        exchange = client.open("POST", "/", CHUNKED)
        for line in (b"one\n", b"two\n"):
            exchange.upload(line, more=True)
            await until(lambda line=line: exchange.body.endswith(line.upper()))  # type: ignore[misc]
        exchange.upload(b"three\n")
        assert (await exchange.done()).body == b"ONE\nTWO\nTHREE\n"


@on_a_loop
async def test_a_client_that_leaves_a_stream_is_noticed_even_if_nobody_reads_its_upload() -> None:
    flask = make(SERVER_REQUEST_TIMEOUT_SECONDS=0.05)
    closed = threading.Event()

    @flask.post("/")
    def endless() -> Any:
        def generate() -> Iterator[bytes]:
            try:
                while True:
                    yield b"x"
            finally:
                closed.set()

        return generate()

    async with served(flask) as client:
        exchange = client.open("POST", "/", CHUNKED)
        for _ in range(3):
            exchange.upload(b"unread", more=True)
        await until(lambda: len(exchange.messages) > 3)
        exchange.leave()
        await exchange.done()
        assert closed.is_set()


@on_a_loop
async def test_an_upload_that_was_dropped_because_nobody_read_it_is_not_passed_off_as_whole() -> None:
    flask = make(SERVER_REQUEST_TIMEOUT_SECONDS=0.3)
    go_on = threading.Event()

    @flask.post("/")
    def late() -> Any:
        @flask_.stream_with_context
        def generate() -> Iterator[bytes]:
            yield b"first "
            go_on.wait(20)
            yield request.stream.read()

        return generate()

    async with served(flask) as client:
        exchange = client.open("POST", "/", CHUNKED)
        for _ in range(3):
            exchange.upload(b"unread", more=True)
        await until(lambda: exchange.received == 4)
        # It fails at once, and does not wait for more of what is dropped.
        go_on.set()
        assert (await exchange.done()).body == b"first "
        assert not exchange.complete
