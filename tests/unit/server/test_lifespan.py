"""Start and stop of the app with its server."""

import asyncio
from typing import Any

import pytest

from app.server import ASGI, LoopFlask, await_
from app.server.bridge import the_loop
from tests.unit.server.client import make, on_a_loop, served


async def messages_of(flask: LoopFlask) -> list[dict[str, Any]]:
    incoming = iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return next(incoming)

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await ASGI(flask)({"type": "lifespan"}, receive, send)
    return sent


@on_a_loop
async def test_hooks_run_on_the_servers_loop_in_order_and_back() -> None:
    flask = make()
    ran: list[str] = []
    for name in ("first", "second"):

        @flask.on_start
        async def start(name: str = name) -> None:
            assert the_loop() is asyncio.get_running_loop()
            ran.append(f"start {name}")

        @flask.on_stop
        async def stop(name: str = name) -> None:
            assert the_loop() is asyncio.get_running_loop()
            ran.append(f"stop {name}")

    async with served(flask):
        assert ran == ["start first", "start second"]
    assert ran == ["start first", "start second", "stop second", "stop first"]


@on_a_loop
async def test_a_start_that_fails_is_told_clearly(caplog: pytest.LogCaptureFixture) -> None:
    flask = make()

    @flask.on_start
    async def connect() -> None:
        raise ConnectionError("no database")

    (message,) = await messages_of(flask)
    assert message["type"] == "lifespan.startup.failed"
    assert message["message"].endswith("connect: no database")
    (record,) = [record for record in caplog.records if record.levelname == "CRITICAL"]
    assert record.getMessage().startswith("The app did not start: ")
    assert record.getMessage().endswith("connect failed.")


@on_a_loop
async def test_a_stop_that_fails_is_logged_and_the_others_still_run(caplog: pytest.LogCaptureFixture) -> None:
    flask = make()
    ran: list[str] = []

    @flask.on_stop
    async def other() -> None:
        ran.append("other")

    @flask.on_stop
    async def failing() -> None:
        raise LookupError

    assert [message["type"] for message in await messages_of(flask)] == [
        "lifespan.startup.complete",
        "lifespan.shutdown.complete",
    ]
    assert ran == ["other"]
    assert any(record.getMessage().endswith("failing failed.") for record in caplog.records)


def test_the_loop_is_the_servers_only_while_it_serves() -> None:
    loops: list[object] = []

    async def scenario() -> None:
        async with served(make()):
            loops.append(the_loop())
            loops.append(asyncio.get_running_loop())

    asyncio.run(scenario())
    assert loops[0] is loops[1]

    async def running() -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()

    assert await_(running()) is not loops[0]


@on_a_loop
async def test_stop_hooks_wait_for_requests_that_were_cancelled_to_be_torn_down() -> None:
    flask = make()
    order: list[str] = []
    entered = asyncio.Event()

    @flask.get("/")
    async def hang() -> str:
        entered.set()
        await asyncio.Event().wait()
        return ""

    @flask.teardown_request
    async def teardown(error: BaseException | None) -> None:
        await asyncio.sleep(0.02)
        order.append("teardown")

    @flask.on_stop
    async def stop() -> None:
        order.append("stop")

    async with served(flask) as client:
        exchange = client.open("GET", "/")
        await entered.wait()
        exchange.task.cancel()
    assert order == ["teardown", "stop"]
    with pytest.raises(asyncio.CancelledError):
        await exchange.task
