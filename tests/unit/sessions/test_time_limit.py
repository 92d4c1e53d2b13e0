"""A time limit that counts others' silence, and not that nobody has listened."""

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
import uvloop

from app.sessions.time_limit import TimeLimit

# Of the limit, how much is left to whoever answers late; the rest of the time nothing listens.
LIMIT = 0.2
Run = Callable[[Callable[[], Coroutine[Any, Any, None]]], None]


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    """Run a scenario on each kind of loop: they see timers and sockets in another order."""

    def in_loop(scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
        with asyncio.Runner(loop_factory=request.param) as runner:
            runner.run(scenario())

    return in_loop


def test_it_ends_what_takes_longer(run: Run) -> None:
    async def scenario() -> None:
        started = time.monotonic()
        with pytest.raises(TimeoutError):
            async with TimeLimit(LIMIT):
                await asyncio.Event().wait()
        assert LIMIT <= time.monotonic() - started < LIMIT + 5

    run(scenario)


def test_it_leaves_alone_what_is_done_in_time_and_what_fails_by_itself(run: Run) -> None:
    async def scenario() -> None:
        async with TimeLimit(LIMIT):
            await asyncio.sleep(0)
        with pytest.raises(ZeroDivisionError):
            async with TimeLimit(LIMIT):
                raise ZeroDivisionError
        # Nothing of it is left that would end what comes later.
        await asyncio.sleep(2 * LIMIT)

    run(scenario)


def test_a_request_that_is_given_up_is_no_timeout(run: Run) -> None:
    async def scenario() -> None:
        async def wait() -> None:
            async with TimeLimit(LIMIT):
                await asyncio.Event().wait()

        waiting = asyncio.create_task(wait())
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    run(scenario)


@pytest.mark.parametrize("listened", [0.0, 0.9], ids=["from the start", "at the end"])
def test_an_answer_that_came_while_the_loop_was_held_up_is_read(run: Run, listened: float) -> None:
    answer = b"x" * 2_000_000

    async def scenario() -> None:
        near, far = socket.socketpair()
        reader, writer = await asyncio.open_connection(sock=near)
        sender = threading.Thread(target=far.sendall, args=(answer,), daemon=True)

        def hold_up() -> None:
            sender.start()
            time.sleep(2 * LIMIT)

        asyncio.get_running_loop().call_later(listened * LIMIT, hold_up)
        async with TimeLimit(LIMIT):
            # More than the loop reads at once.
            assert await reader.readexactly(len(answer)) == answer
        writer.close()
        await writer.wait_closed()
        sender.join()
        far.close()

    run(scenario)


def test_what_the_loop_was_held_up_for_is_no_silence_of_others(run: Run) -> None:
    async def scenario() -> None:
        answered = asyncio.Event()
        loop = asyncio.get_running_loop()

        def hold_up() -> None:
            time.sleep(0.9 * LIMIT)
            loop.call_later(LIMIT / 2, answered.set)

        loop.call_soon(hold_up)
        async with TimeLimit(LIMIT):
            await answered.wait()

    run(scenario)


def test_a_loop_that_is_held_up_again_and_again_ends_it_all_the_same(run: Run) -> None:
    async def scenario() -> None:
        async def hold_up() -> None:
            while True:
                time.sleep(LIMIT / 2)  # noqa: ASYNC251 - as a page that blocks
                await asyncio.sleep(0)

        busy = asyncio.create_task(hold_up())
        with pytest.raises(TimeoutError):
            async with TimeLimit(LIMIT):
                await asyncio.Event().wait()
        busy.cancel()

    run(scenario)
