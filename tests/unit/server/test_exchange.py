"""What an application answers, and what the client gets: PEP 3333 and HTTP."""

import asyncio
import contextlib
import gc
import io
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from wsgiref.validate import validator

import flask as flask_
import pytest
from flask import Response, abort, request

from app.server import ANSWER, Answer, LoopFlask, Preset
from app.server.exchange import _Stream
from tests.unit.server.client import Client, make, on_a_loop, served, until

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def raw(application: Application) -> LoopFlask:
    """A WSGI application in Flask's place."""
    flask = make()
    flask.wsgi_app = application  # type: ignore[method-assign]
    return flask


def plain(
    status: str = "200 OK", headers: Iterable[tuple[str, str]] = (), body: Iterable[bytes] = (b"body",)
) -> LoopFlask:
    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        start_response(status, list(headers))
        return body

    return raw(application)


def all_of(flask: LoopFlask, scenario: Callable[[Client], Any]) -> None:
    @on_a_loop
    async def run() -> None:
        async with served(flask) as client:
            await scenario(client)

    run()


@on_a_loop
async def test_a_whole_response_is_two_messages_and_no_thread() -> None:
    flask = make()

    @flask.get("/")
    async def view() -> str:
        return "hello"

    before = threading.enumerate()
    async with served(flask) as client:
        response = await client.get("/")
        assert [message["type"] for message in response.messages] == ["http.response.start", "http.response.body"]
        assert response.header("content-length") == "5"
        assert response.received == 0
        assert (await client.get("/missing")).status == 404
        assert set(threading.enumerate()) <= set(before)


@on_a_loop
async def test_a_body_without_a_length_gets_one_when_it_is_there_in_full() -> None:
    async with served(plain(body=[b"one", b"two"])) as client:
        response = await client.get("/")
        assert (response.header("content-length"), response.body) == ("6", b"onetwo")


@on_a_loop
async def test_repeated_response_headers_stay_apart_and_bytes_beyond_ascii_are_kept() -> None:
    headers = [("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"), ("X-Name", "caf\xe9")]
    async with served(plain(headers=headers)) as client:
        response = await client.get("/")
        assert [header for header in response.headers if header[0] != b"content-length"] == [
            (b"set-cookie", b"a=1"),
            (b"set-cookie", b"b=2"),
            (b"x-name", b"caf\xe9"),
        ]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("status", [200, 204, 304])
def test_head_204_and_304_have_no_body(method: str, streamed: bool, status: int) -> None:
    flask = make()
    closed: list[bool] = []

    @flask.get("/")
    def view() -> Response:
        def generate() -> Iterator[str]:
            yield "body"

        response = Response(generate() if streamed else "body", status)
        response.call_on_close(lambda: closed.append(True))
        return response

    async def scenario(client: Client) -> None:
        response = await client.request(method, "/")
        bodiless = method == "HEAD" or status != 200
        assert (response.status, response.body) == (status, b"" if bodiless else b"body")
        assert response.complete
        assert closed == [True]
        if status == 200 and not streamed:
            assert response.header("content-length") == "4"
        if status != 200:
            assert response.header("content-length") is None

    all_of(flask, scenario)


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
def test_a_wsgi_applications_own_body_and_length_are_left_out_where_there_is_none(status: str) -> None:
    async def scenario(client: Client) -> None:
        response = await client.get("/")
        assert response.body == b""
        assert response.header("content-length") is None

    all_of(plain(status, [("Content-Length", "4")]), scenario)
    all_of(plain(status, [("Content-Length", "4")], iter([b"body"])), scenario)


@pytest.mark.parametrize("status", ["100 Continue", "103 Early Hints", "199 Odd", "not a status"])
def test_an_application_cannot_answer_with_what_is_no_final_status(status: str) -> None:
    async def scenario(client: Client) -> None:
        assert (await client.get("/")).status == 500

    all_of(plain(status), scenario)


@pytest.mark.parametrize(
    "header", [("X-A", "a\r\nSet-Cookie: b=1"), ("X-A", "a\0"), ("X-A", "snow \u2603"), ("X\n", "a"), ("X-A", "\x7f")]
)
def test_a_header_that_http_does_not_allow_is_a_500_and_not_a_broken_answer(header: tuple[str, str]) -> None:
    async def scenario(client: Client) -> None:
        response = await client.get("/")
        assert (response.status, response.body) == (500, b"Internal Server Error")

    all_of(plain(headers=[header]), scenario)


@pytest.mark.parametrize("kind", ["whole", "streamed", "written", "breaks", "header", "length", "raises", "silent"])
def test_who_wants_to_know_is_told_the_status_that_is_sent_and_once(kind: str) -> None:
    told: list[int] = []
    waiting: list[Answer] = []

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        environ[ANSWER].begins.append(lambda status, request: told.append(status))
        waiting.append(environ[ANSWER])
        if kind == "raises":
            raise LookupError
        if kind == "silent":
            return []
        given = {"header": [("X-Name", "snow \u2603")], "length": [("Content-Length", "1")]}
        write = start_response("201 Created", given.get(kind, []))
        if kind == "written":
            write(b"one")
        if kind == "breaks":
            return map(bytes.decode, [b"\xff"])  # type: ignore[arg-type]
        assert told == ([201] if kind == "written" else [])
        return iter([b"one", b"two"]) if kind == "streamed" else [b"two"]

    async def scenario(client: Client) -> None:
        response = await client.get("/")
        assert told == [response.status]
        # Nothing is left that would hold the environment, which holds it.
        assert [answer.begins for answer in waiting] == [[]]
        assert response.status == (201 if kind in ("whole", "streamed", "written") else 500)

    all_of(raw(application), scenario)


@on_a_loop
async def test_one_who_is_told_and_fails_makes_it_a_500_that_the_others_are_told() -> None:
    told: list[int] = []

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        def fail(status: int, request: flask_.Request | None) -> None:
            raise LookupError

        environ[ANSWER].begins += [lambda status, request: told.append(status), fail]
        start_response("200 OK", [])
        return [b"body"]

    async with served(raw(application)) as client:
        assert (await client.get("/")).status == 500
    assert told == [500]


@pytest.mark.parametrize("streamed", [False, True])
def test_headers_that_are_the_same_each_time_are_in_each_response_unless_it_has_its_own(streamed: bool) -> None:
    preset = Preset([("X-Frame-Options", "DENY"), ("Cache-Control", "no-store")])

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        environ[ANSWER].preset = preset
        own = [("Cache-Control", "max-age=60")] if environ["PATH_INFO"] == "/own" else []
        start_response("200 OK", own)
        return iter([b"body"]) if streamed else [b"body"]

    async def scenario(client: Client) -> None:
        for path, caching in (("/", "no-store"), ("/own", "max-age=60"), ("/", "no-store")):
            response = await client.get(path)
            names = [name for name, _ in response.headers if name != b"content-length"]
            assert sorted(names) == [b"cache-control", b"x-frame-options"]
            assert (response.header("cache-control"), response.body) == (caching, b"body")

    all_of(raw(application), scenario)


@pytest.mark.parametrize("streamed", [False, True])
def test_headers_that_middleware_says_of_a_request_stand_in_place_of_the_apps(streamed: bool) -> None:
    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        environ[ANSWER].own += [("x-request-id", "middleware"), ("x-other", environ["QUERY_STRING"])]
        start_response("200 OK", [("X-Request-ID", "app"), ("X-Of-App", "1"), ("X-Request-Id", "app")])
        return iter([b"body"]) if streamed else [b"body"]

    async def scenario(client: Client) -> None:
        response = await client.get("/?other")
        assert [header for header in response.headers if header[0] != b"content-length"] == [
            *((b"x-of-app", b"1"), (b"x-request-id", b"middleware"), (b"x-other", b"other"))
        ]
        assert (await client.get("/?a\x7f")).status == 500, "what HTTP does not allow is refused, whoever says it"

    all_of(raw(application), scenario)


@pytest.mark.parametrize("header", [("Content-Length", "1"), ("Connection", "close"), ("X", "a\r\nY: b"), ("X", "é")])
def test_a_header_that_cannot_be_the_same_each_time_is_refused_when_it_is_made(header: tuple[str, str]) -> None:
    with pytest.raises(ValueError, match="cannot be the same"):
        Preset([header])


@pytest.mark.parametrize("length", ["3", "5"])
def test_a_length_that_is_not_the_bodys_is_a_500(length: str) -> None:
    async def scenario(client: Client) -> None:
        assert (await client.get("/")).status == 500

    all_of(plain(headers=[("content-length", length)]), scenario)


@on_a_loop
async def test_start_response_can_be_called_again_only_with_an_error_and_before_the_first_byte() -> None:
    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        start_response("200 OK", [("X-First", "1")])
        if environ["PATH_INFO"] == "/twice":
            start_response("200 OK", [])
        try:
            raise LookupError
        except LookupError:
            start_response("502 Bad Gateway", [("X-Second", "1")], sys.exc_info())
        return [b"replaced"]

    async with served(raw(application)) as client:
        response = await client.get("/")
        assert (response.status, response.body) == (502, b"replaced")
        assert (response.header("x-first"), response.header("x-second")) == (None, "1")
        assert (await client.get("/twice")).status == 500


@on_a_loop
async def test_an_error_after_the_first_byte_cannot_become_another_response() -> None:
    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterator[bytes]:
        start_response("200 OK", [])
        yield b"first"
        try:
            raise LookupError("late")
        except LookupError:
            start_response("500 Internal Server Error", [], sys.exc_info())
        yield b"never"

    async with served(raw(application)) as client:
        response = await client.get("/")
        assert (response.status, response.body, response.complete) == (200, b"first", False)


@on_a_loop
async def test_write_sends_at_once_and_before_what_is_returned() -> None:
    sent: list[int] = []

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        write = start_response("200 OK", [])
        write(b"one")
        sent.append(len(exchange.messages))
        write(b"two")
        return [b"three"]

    async with served(raw(application)) as client:
        exchange = client.open("GET", "/")
        await exchange.done()
        assert (exchange.body, exchange.complete, sent) == (b"onetwothree", True, [2])
        head = await client.request("HEAD", "/")
        assert head.body == b""


@on_a_loop
async def test_start_response_may_wait_for_the_first_chunk() -> None:
    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterator[bytes]:
        start_response("201 Created", [])
        yield b""
        yield b"body"

    async with served(raw(application)) as client:
        response = await client.get("/")
        assert (response.status, response.body) == (201, b"body")


@pytest.mark.parametrize("body", [[b"body"], iter([b"body"])], ids=["whole", "streamed"])
def test_an_application_that_never_starts_its_response_is_a_500(body: Iterable[bytes]) -> None:
    async def scenario(client: Client) -> None:
        assert (await client.get("/")).status == 500

    all_of(raw(lambda environ, start_response: body), scenario)


@on_a_loop
async def test_the_returned_iterable_is_closed_whatever_happens() -> None:
    closed: list[str] = []

    class Body:
        def __init__(self, path: str) -> None:
            self.path = path

        def __iter__(self) -> Iterator[bytes]:
            yield b"chunk"
            if self.path == "/fails":
                raise LookupError

        def close(self) -> None:
            closed.append(self.path)

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        start_response("200 OK", [])
        return Body(environ["PATH_INFO"])

    async with served(raw(application)) as client:
        for path in ("/", "/fails"):
            await client.get(path)
        await client.request("HEAD", "/head")
    assert closed == ["/", "/fails", "/head"]


@pytest.mark.filterwarnings("ignore:.*PEP 3333:DeprecationWarning")
def test_the_standard_librarys_validator_finds_nothing() -> None:
    # Without a limit werkzeug calls `read()` without the size that PEP 3333 wants.
    flask = make(MAX_CONTENT_LENGTH=1000)
    errors: list[BaseException] = []

    @flask.route("/", methods=["GET", "POST", "HEAD"])
    async def view() -> str:
        return f"{len(request.get_data())} bytes"

    @flask.get("/stream")
    def stream() -> Any:
        return iter(["a", "b"])

    @flask.get("/204")
    async def empty() -> Response:
        response = Response(status=204)
        del response.headers["Content-Type"]
        return response

    validated = validator(flask.wsgi_app)  # type: ignore[arg-type]

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        try:
            return validated(environ, start_response)
        except AssertionError as error:
            errors.append(error)
            raise

    flask.wsgi_app = application  # type: ignore[method-assign, assignment]

    async def scenario(client: Client) -> None:
        assert (await client.request("POST", "/caf%C3%A9", body=b"x")).status == 404
        assert (await client.request("POST", "/?q=1", [(b"x-a", b"\xff")], b"x" * 10)).text == "10 bytes"
        assert (await client.get("/")).text == "0 bytes"
        assert (await client.request("HEAD", "/")).body == b""
        assert (await client.get("/stream")).text == "ab"
        assert (await client.get("/204")).status == 204
        assert (await client.get("/", server=("/run/app.sock", None), client=None)).status == 200

    all_of(flask, scenario)
    gc.collect()
    assert errors == []


@on_a_loop
async def test_an_exception_before_the_first_byte_is_flasks_to_answer_and_a_plain_500_otherwise() -> None:
    flask = make()

    @flask.get("/view")
    def view() -> str:
        raise LookupError

    @flask.get("/stream")
    def stream() -> Any:
        def generate() -> Iterator[str]:
            raise LookupError
            yield ""

        return generate()

    @flask.errorhandler(500)
    def handle(error: Exception) -> tuple[str, int]:
        return "the app's page", 500

    async with served(flask) as client:
        response = await client.get("/view")
        assert (response.status, response.text) == (500, "the app's page")
        response = await client.get("/stream")
        assert (response.status, response.text, response.complete) == (500, "Internal Server Error", True)


@on_a_loop
async def test_an_exception_after_the_first_byte_is_logged_and_leaves_the_response_cut_off(
    caplog: pytest.LogCaptureFixture,
) -> None:
    flask = make()

    @flask.get("/")
    def view() -> Any:
        def generate() -> Iterator[str]:
            yield "first"
            raise LookupError("late")

        return generate()

    async with served(flask) as client:
        response = await client.get("/")
        assert (response.status, response.text, response.complete) == (200, "first", False)
    (record,) = [record for record in caplog.records if record.exc_info]
    assert (record.getMessage(), repr(record.exc_info[1])) == (  # type: ignore[index]
        "a request failed: GET",
        "LookupError('late')",
    )


@on_a_loop
async def test_a_generator_is_not_run_ahead_of_a_slow_reader() -> None:
    flask = make()
    made: list[int] = []

    @flask.get("/")
    def view() -> Any:
        def generate() -> Iterator[str]:
            for number in range(100):
                made.append(number)
                yield "chunk"

        return generate()

    async with served(flask) as client:
        exchange = client.open("GET", "/")
        exchange.reading.clear()
        exchange.upload(b"")
        await until(lambda: made)
        # Whatever else was going to happen by itself has happened after a round through a thread.
        await asyncio.to_thread(lambda: None)
        assert len(made) == 1
        exchange.reading.set()
        assert len((await exchange.done()).body) == 500


@on_a_loop
async def test_each_chunk_is_sent_as_it_is_made() -> None:
    flask = make()
    go_on = threading.Semaphore(0)

    @flask.get("/")
    def view() -> Any:
        def generate() -> Iterator[str]:
            for number in range(3):
                yield str(number)
                go_on.acquire(timeout=20)

        return generate()

    async with served(flask) as client:
        exchange = client.open("GET", "/")
        for number in range(3):
            await until(lambda number=number: exchange.text == "012"[: number + 1])  # type: ignore[misc]
            go_on.release()
        assert (await exchange.done()).complete


@on_a_loop
async def test_a_generator_is_closed_when_its_client_leaves() -> None:
    flask = make()
    closed = threading.Event()

    @flask.get("/")
    def view() -> Any:
        def generate() -> Iterator[str]:
            try:
                while True:
                    yield "event"
            finally:
                closed.set()

        return generate()

    async with served(flask) as client:
        exchange = client.open("GET", "/")
        exchange.upload(b"")
        await until(lambda: len(exchange.messages) > 5)
        exchange.leave()
        await exchange.done()
        assert closed.is_set()
        assert flask.stats.in_flight == 0


@on_a_loop
async def test_a_view_that_does_not_stream_goes_on_when_its_client_leaves() -> None:
    flask = make()
    stored = asyncio.Event()
    go_on = asyncio.Event()

    @flask.get("/")
    async def refresh() -> str:
        await go_on.wait()
        stored.set()
        return "stored"

    async with served(flask) as client:
        exchange = client.open("GET", "/")
        await until(lambda: flask.stats.in_flight)
        exchange.leave()
        go_on.set()
        await exchange.done()
        assert stored.is_set()


@on_a_loop
async def test_a_cancelled_request_is_torn_down_and_answered_if_it_still_can_be() -> None:
    flask = make()
    torn_down: list[object] = []
    entered = asyncio.Event()

    @flask.get("/")
    async def hang() -> str:
        entered.set()
        await asyncio.Event().wait()
        return ""

    @flask.teardown_request
    async def teardown(error: BaseException | None) -> None:
        torn_down.append(error)

    async with served(flask) as client:
        exchange = client.open("GET", "/")
        await entered.wait()
        exchange.task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await exchange.task
        assert exchange.status == 503
        assert [type(error) for error in torn_down] == [asyncio.CancelledError]
        assert flask.stats.in_flight == 0


@on_a_loop
async def test_a_request_that_is_cancelled_while_a_thread_works_for_it_leaves_the_thread_behind() -> None:
    flask = make(SERVER_THREADS=2)
    release = threading.Event()
    closed = threading.Event()
    at_work: list[str] = []

    @flask.get("/view")
    def view() -> str:
        at_work.append("view")
        release.wait(20)
        return ""

    @flask.get("/stream")
    def stream() -> Any:
        def generate() -> Iterator[str]:
            try:
                yield "first"
                at_work.append("stream")
                release.wait(20)
                yield "second"
            finally:
                closed.set()

        return generate()

    async with served(flask) as client:
        exchanges = [client.open("GET", path) for path in ("/view", "/stream")]
        # Not only handed to a thread: one that has not begun with it yet leaves out what was given up.
        await until(lambda: len(at_work) == 2)
        for exchange in exchanges:
            exchange.task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await exchange.task
        assert (flask.stats.in_flight, flask.stats.threads_busy) == (0, 2)
        release.set()
        await until(lambda: flask.stats.threads_busy == 0)
        assert closed.is_set(), "the generator is closed by the thread that was in it"


class Chunks:
    """A body without an end that notes what is done with it."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        self.calls.append("next")
        return b"chunk"

    def close(self) -> None:
        self.calls.append("close")


@on_a_loop
async def test_a_stream_that_is_given_up_while_it_waits_for_a_thread_is_closed_and_not_gone_on_with() -> None:
    flask = make(SERVER_THREADS=1)
    chunks, release, at_work = Chunks(), threading.Event(), threading.Event()

    @flask.get("/view")
    def view() -> str:
        at_work.set()
        release.wait(20)
        return ""

    @flask.get("/stream")
    async def stream() -> Response:
        return Response(chunks)

    async with served(flask) as client:
        streamed = client.open("GET", "/stream")
        streamed.reading.clear()
        await until(lambda: chunks.calls)
        viewed = client.open("GET", "/view")
        await until(at_work.is_set)
        streamed.reading.set()
        await until(lambda: flask.stats.queued == 1)
        streamed.task.cancel()
        # The call that was given up, and the one that closes.
        await until(lambda: flask.stats.queued == 2)
        release.set()
        with contextlib.suppress(asyncio.CancelledError):
            await streamed.task
        await viewed.done()
        assert chunks.calls == ["next", "close"]


@on_a_loop
async def test_a_thread_that_comes_to_a_stream_when_it_is_closed_leaves_it_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    flask = make(SERVER_THREADS=2)
    chunks, late, go_on = Chunks(), threading.Event(), threading.Event()
    go_on_with = _Stream.next

    def comes_late(stream: _Stream) -> Any:
        # Where a thread may be stopped for another: it has the call already, and has not touched the stream yet.
        if chunks.calls:
            late.set()
            go_on.wait(20)
        return go_on_with(stream)

    monkeypatch.setattr(_Stream, "next", comes_late)

    @flask.get("/")
    async def stream() -> Response:
        return Response(chunks)

    async with served(flask) as client:
        streamed = client.open("GET", "/")
        await until(late.is_set)
        streamed.task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await streamed.task
        go_on.set()
        await until(lambda: flask.stats.threads_busy == 0)
        assert chunks.calls == ["next", "close"]


@on_a_loop
async def test_files_are_sent() -> None:
    flask = make()
    content = bytes(range(256)) * 1000

    @flask.get("/")
    def view() -> Response:
        return flask_.send_file(io.BytesIO(content), "application/octet-stream", conditional=True)

    async with served(flask) as client:
        assert (await client.get("/")).body == content
        part = await client.get("/", [(b"range", b"bytes=10-19")])
        assert (part.status, part.body) == (206, content[10:20])


@on_a_loop
async def test_an_abort_in_a_hook_is_an_http_error() -> None:
    flask = make()

    @flask.before_request
    async def before() -> None:
        abort(403)

    async with served(flask) as client:
        assert (await client.get("/")).status == 403


@on_a_loop
async def test_a_websocket_is_refused_and_an_unknown_scope_is_an_error() -> None:
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    async with served(make()) as client:
        await client.app({"type": "websocket"}, receive, send)
        assert sent == [{"type": "websocket.close", "code": 1008}]
        with pytest.raises(ValueError, match="'mystery' is not served"):
            await client.app({"type": "mystery"}, receive, send)
