"""Requests that take too long, and too many at once."""

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Response, g, request

import app.server.limit
from app.server import await_, on_loop
from tests.unit.server.client import make, on_a_loop, served, until

SOON = 0.05


@on_a_loop
async def test_an_async_view_over_the_limit_is_cancelled_and_the_app_renders_504() -> None:
    flask = make(SERVER_REQUEST_TIMEOUT_SECONDS=SOON)
    unwound: list[str] = []

    @flask.get("/")
    async def view() -> str:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            unwound.append("cancelled")
            raise
        finally:
            unwound.append("finally")
        return ""

    @flask.errorhandler(504)
    async def handle(error: Exception) -> tuple[str, int]:
        await asyncio.sleep(0)
        return "the app's page", 504

    @flask.teardown_request
    def teardown(error: BaseException | None) -> None:
        unwound.append("teardown")

    async with served(flask) as client:
        response = await client.get("/")
        assert (response.status, response.text) == (504, "the app's page")
        assert unwound == ["cancelled", "finally", "teardown"]
        assert flask.stats.timed_out == 1
        assert flask.stats.in_flight == 0


@on_a_loop
async def test_a_plain_view_over_the_limit_is_given_up_and_its_thread_stays_counted() -> None:
    # Not before the hook has run, which a busy machine may keep waiting for its thread.
    flask = make(SERVER_REQUEST_TIMEOUT_SECONDS=10 * SOON, SERVER_THREADS=2)
    release = threading.Event()
    torn_down: list[str] = []

    @flask.get("/")
    def view() -> str:
        release.wait(20)
        return request.path

    @flask.before_request
    def before() -> None:
        g.mine = request.path

    @flask.teardown_request
    def teardown(error: BaseException | None) -> None:
        torn_down.append(g.mine)

    async with served(flask) as client:
        assert (await client.get("/")).status == 504
        # The hook had a context to run in although the view's thread has not left it.
        assert torn_down == ["/"]
        assert (flask.stats.in_flight, flask.stats.threads_busy) == (0, 1)
        release.set()
        await until(lambda: flask.stats.threads_busy == 0)


@on_a_loop
async def test_a_thread_that_is_given_up_while_it_waits_for_the_loop_is_free_again() -> None:
    flask = make(SERVER_REQUEST_TIMEOUT_SECONDS=SOON, SERVER_THREADS=1)
    unwound: list[type[BaseException]] = []

    @flask.get("/")
    def view() -> str:
        try:
            await_(asyncio.sleep(1000))
        except Exception:  # noqa: BLE001 - to show that this does not catch it
            unwound.append(Exception)
        except BaseException as error:
            unwound.append(type(error))
            raise
        return ""

    async with served(flask) as client:
        assert (await client.get("/")).status == 504
        await until(lambda: flask.stats.threads_busy == 0)
        assert unwound == [asyncio.CancelledError]


@on_a_loop
async def test_a_thread_that_was_given_up_cannot_begin_to_wait_for_the_loop() -> None:
    flask = make(SERVER_REQUEST_TIMEOUT_SECONDS=SOON, SERVER_THREADS=1)
    release = threading.Event()

    @flask.get("/")
    def view() -> str:
        release.wait(20)
        await_(asyncio.sleep(1000))
        return ""

    async with served(flask) as client:
        assert (await client.get("/")).status == 504
        release.set()
        await until(lambda: flask.stats.threads_busy == 0)


@on_a_loop
async def test_a_call_that_is_given_up_before_a_thread_took_it_never_runs() -> None:
    flask = make(SERVER_REQUEST_TIMEOUT_SECONDS=SOON, SERVER_THREADS=1)
    release = threading.Event()
    ran: list[str] = []

    @flask.get("/block")
    def block() -> str:
        release.wait(20)
        return ""

    @flask.get("/queued")
    def queued() -> str:
        ran.append("queued")
        return ""

    async with served(flask) as client:
        responses = await asyncio.gather(client.get("/block"), client.get("/queued"))
        assert [response.status for response in responses] == [504, 504]
        release.set()
        await until(lambda: flask.stats.threads_busy == 0)
        assert ran == []


@on_a_loop
async def test_an_error_page_that_hangs_too_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app.server.limit, "ERROR_PAGE_SECONDS", SOON)
    flask = make(SERVER_REQUEST_TIMEOUT_SECONDS=SOON)

    @flask.get("/")
    async def view() -> str:
        await asyncio.Event().wait()
        return ""

    @flask.errorhandler(504)
    async def handle(error: Exception) -> str:
        await asyncio.Event().wait()
        return ""

    async with served(flask) as client:
        exchange = client.open("GET", "/")
        assert (await exchange.done()).status == 504
        assert flask.stats.in_flight == 0


@on_a_loop
async def test_a_body_that_never_comes_is_over_the_limit() -> None:
    flask = make(SERVER_REQUEST_TIMEOUT_SECONDS=SOON)

    @flask.post("/")
    async def view() -> str:
        return str(len(request.get_data()))

    async with served(flask) as client:
        exchange = client.open("POST", "/", [(b"content-length", b"10")])
        assert (await exchange.done()).status == 504


@on_a_loop
async def test_the_limit_ends_with_the_first_byte_of_a_stream() -> None:
    flask = make(SERVER_REQUEST_TIMEOUT_SECONDS=0.2)
    go_on = threading.Event()

    @flask.get("/late")
    def late() -> Any:
        def generate() -> Iterator[str]:
            go_on.wait(20)
            yield "late"

        return generate()

    @flask.get("/long")
    def long() -> Any:
        def generate() -> Iterator[str]:
            yield "first "
            go_on.wait(20)
            yield "last"

        return generate()

    async with served(flask) as client:
        exchange = client.open("GET", "/long")
        late_one = await client.get("/late")
        assert (late_one.status, late_one.text) == (504, "Gateway Timeout")
        go_on.set()
        assert (await exchange.done()).text == "first last"
        assert exchange.complete


@on_a_loop
async def test_the_views_own_timeouts_are_its_own() -> None:
    flask = make()

    @flask.get("/")
    async def view() -> str:
        try:
            await asyncio.wait_for(asyncio.sleep(1000), SOON)
        except TimeoutError:
            return "its own"
        return ""

    async with served(flask) as client:
        assert (await client.get("/")).text == "its own"
        assert flask.stats.timed_out == 0


@on_a_loop
async def test_one_request_too_many_is_refused_without_the_app_and_without_its_body() -> None:
    flask = make(SERVER_CONCURRENCY=2)
    go_on = asyncio.Event()
    entered: list[str] = []

    @flask.before_request
    @on_loop
    def before() -> None:
        entered.append(request.path)

    @flask.route("/", methods=["GET", "POST"])
    async def view() -> str:
        await go_on.wait()
        return "done"

    async with served(flask) as client:
        tasks = [asyncio.create_task(client.get("/")) for _ in range(2)]
        await until(lambda: len(entered) == 2)
        exchange = client.open("POST", "/", [(b"content-length", b"1000000")])
        await exchange.done()
        assert (exchange.status, exchange.text) == (503, "Service Unavailable")
        assert exchange.header("retry-after") == "1"
        assert (exchange.received, len(entered)) == (0, 2)
        assert (flask.stats.refused_at_door, flask.stats.refused_at_pool) == (1, 0)
        go_on.set()
        assert [(await task).text for task in tasks] == ["done", "done"]
        assert (await client.get("/")).text == "done"


@on_a_loop
async def test_the_app_says_what_its_refusal_looks_like() -> None:
    flask = make(SERVER_CONCURRENCY=0)
    made: list[Response] = []

    def busy() -> Response:
        made.append(flask.make_response(("<p>Busy</p>", 503, {"X-Frame-Options": "DENY"})))
        return made[0]

    flask.overload_response = busy
    async with served(flask) as client:
        for _ in range(3):
            response = await client.get("/")
            assert (response.status, response.text) == (503, "<p>Busy</p>")
            assert response.header("x-frame-options") == "DENY"
            assert response.header("content-length") == "11"
            assert response.header("retry-after") == "1"
    assert len(made) == 1


@on_a_loop
async def test_a_failed_request_is_in_flight_no_longer() -> None:
    flask = make()

    @flask.get("/")
    async def view() -> str:
        raise LookupError

    async with served(flask) as client:
        await client.get("/")
        await client.get("/missing")
        assert flask.stats.in_flight == 0
