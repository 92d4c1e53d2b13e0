"""Waiting for a coroutine from synchronous code, wherever that runs."""

import asyncio
import contextvars
import gc
import os
import signal
import threading
import weakref
from collections.abc import Generator
from typing import Any

import pytest

from app.server import await_
from app.server.bridge import RequestGreenlet, the_loop
from tests.unit.server.client import make, on_a_loop, served, until

VARIABLE: contextvars.ContextVar[str] = contextvars.ContextVar("VARIABLE", default="unset")


async def answer() -> int:
    await asyncio.sleep(0)
    return 42


async def where() -> tuple[asyncio.AbstractEventLoop, int]:
    await asyncio.sleep(0)
    return asyncio.get_running_loop(), threading.get_ident()


async def fail() -> None:
    await asyncio.sleep(0)
    raise LookupError("from the coroutine")


@on_a_loop
async def test_in_a_request_it_is_awaited_in_the_requests_own_task() -> None:
    async def task() -> "asyncio.Task[object] | None":
        await asyncio.sleep(0)
        return asyncio.current_task()

    assert await RequestGreenlet(lambda: await_(task())).drive() is asyncio.current_task()


@on_a_loop
async def test_a_future_and_any_other_awaitable_can_be_waited_for() -> None:
    class Awaitable:
        def __await__(self) -> Generator[Any, Any, str]:
            yield from asyncio.sleep(0).__await__()
            return "awaited"

    future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(future.set_result, "resolved")
    assert await RequestGreenlet(lambda: (await_(future), await_(Awaitable()))).drive() == ("resolved", "awaited")


@on_a_loop
async def test_exceptions_arrive_where_they_belong() -> None:
    def inside() -> str:
        with pytest.raises(LookupError, match="from the coroutine"):
            await_(fail())
        raise KeyError("out of the greenlet")

    with pytest.raises(KeyError, match="out of the greenlet"):
        await RequestGreenlet(inside).drive()


@on_a_loop
async def test_a_coroutine_may_call_synchronous_code_that_waits_in_its_turn() -> None:
    def synchronous() -> int:
        return await_(answer())

    async def outer() -> int:
        await asyncio.sleep(0)
        inner = synchronous()
        await asyncio.sleep(0)
        return inner + 1

    assert await RequestGreenlet(lambda: await_(outer())).drive() == 43


@on_a_loop
async def test_a_coroutine_and_the_code_that_waits_for_it_share_their_context_variables() -> None:
    async def change() -> str:
        await asyncio.sleep(0)
        seen = VARIABLE.get()
        VARIABLE.set("by the coroutine")
        return seen

    def inside() -> tuple[str, str]:
        VARIABLE.set("by the code")
        return await_(change()), VARIABLE.get()

    assert await RequestGreenlet(inside).drive() == ("by the code", "by the coroutine")
    assert VARIABLE.get() == "unset", "a request's variables stay its own"


@on_a_loop
async def test_cancelling_the_task_unwinds_the_greenlet() -> None:
    unwound: list[str] = []

    async def hang() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            unwound.append("coroutine")

    def inside() -> None:
        try:
            await_(hang())
        finally:
            unwound.append("greenlet")

    task = asyncio.create_task(RequestGreenlet(inside).drive())
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert unwound == ["coroutine", "greenlet"]


@on_a_loop
async def test_an_interruption_is_raised_where_the_greenlet_waits_and_the_task_goes_on() -> None:
    unwound: list[str] = []

    async def hang() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            unwound.append("cancelled")
            raise

    def inside() -> int:
        with pytest.raises(TimeoutError, match="too long"):
            await_(hang())
        return await_(answer())

    greenlet = RequestGreenlet(inside)
    task = asyncio.create_task(greenlet.drive())
    await asyncio.sleep(0.01)
    greenlet.interrupt(TimeoutError("too long"))
    assert await task == 42
    assert task.cancelling() == 0
    assert unwound == ["cancelled"]


def test_a_greenlet_that_is_never_finished_does_not_leak() -> None:
    class Held:
        pass

    held: list[weakref.ref[Held]] = []
    unwound: list[str] = []

    def inside() -> None:
        mine = Held()
        held.append(weakref.ref(mine))
        try:
            await_(asyncio.get_running_loop().create_future())
        finally:
            unwound.append("unwound")

    async def scenario() -> None:
        coroutine = RequestGreenlet(inside).drive()
        coroutine.send(None)
        # Nobody ever resumes it.
        coroutine.close()

    asyncio.run(scenario())
    gc.collect()
    assert unwound == ["unwound"]
    assert held[0]() is None


@on_a_loop
async def test_a_finished_request_leaves_no_work_for_the_garbage_collector() -> None:
    flask = make()

    @flask.get("/")
    async def view() -> str:
        await asyncio.sleep(0)
        return "hello"

    @flask.get("/plain")
    def plain() -> str:
        return "hello"

    contexts: list[weakref.ref[contextvars.Context]] = []
    original = RequestGreenlet.drive

    def drive(self: RequestGreenlet, *arguments: object) -> object:
        # The greenlet itself is used again.
        contexts.append(weakref.ref(self.context))
        return original(self, *arguments)

    async with served(flask) as client:
        gc.collect()
        gc.disable()
        try:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(RequestGreenlet, "drive", drive)
                for path in ("/", "/plain"):
                    await client.get(path)
                # A pool thread lets go of it a moment after it has handed over its result.
                await until(lambda: [context() for context in contexts] == [None, None])
        finally:
            gc.enable()


@on_a_loop
async def test_in_a_coroutine_outside_a_request_it_is_refused_with_the_fix() -> None:
    with pytest.raises(RuntimeError, match="await it instead"):
        await_(answer())


@on_a_loop
async def test_the_task_of_a_request_may_not_wait_synchronously_elsewhere() -> None:
    async def child() -> int:
        return await_(answer())

    async def view() -> int:
        return await asyncio.create_task(child())

    def inside() -> int:
        with pytest.raises(RuntimeError, match="await it instead"):
            await_(view())
        return await_(answer())

    assert await RequestGreenlet(inside).drive() == 42


@on_a_loop
async def test_a_request_that_began_eagerly_in_another_greenlet_is_resumed_from_the_loop() -> None:
    async def inner() -> int:
        return await RequestGreenlet(lambda: await_(answer())).drive()

    def outer() -> int:
        # As an eager task does: the first step is made here, in this greenlet, and the rest by the loop.
        steps = inner()
        steps.send(None)
        finished: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        def resume() -> None:
            try:
                steps.send(None)
            except StopIteration as stop:
                finished.set_result(stop.value)

        asyncio.get_running_loop().call_soon(resume)
        return await_(finished)

    assert await RequestGreenlet(outer).drive() == 42


@on_a_loop
async def test_any_thread_of_a_served_process_reaches_the_servers_loop() -> None:
    async with served(make()):
        result: list[tuple[asyncio.AbstractEventLoop, int]] = []
        thread = threading.Thread(target=lambda: result.append(await_(where())))
        thread.start()
        await asyncio.to_thread(thread.join)
        assert result == [(asyncio.get_running_loop(), threading.get_ident())]


@on_a_loop
async def test_a_thread_and_the_coroutine_that_it_waits_for_share_their_context_variables() -> None:
    async def change() -> str:
        await asyncio.sleep(0)
        seen = VARIABLE.get()
        VARIABLE.set("by the coroutine")
        return seen

    def thread() -> tuple[str, str]:
        VARIABLE.set("by the thread")
        return await_(change()), VARIABLE.get()

    async with served(make()):
        assert await asyncio.to_thread(thread) == ("by the thread", "by the coroutine")


@on_a_loop
async def test_exceptions_cross_from_the_loop_to_the_thread() -> None:
    def thread() -> None:
        with pytest.raises(LookupError, match="from the coroutine"):
            await_(fail())

    async with served(make()):
        await asyncio.to_thread(thread)


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt()])
@pytest.mark.parametrize("serves", [True, False])
def test_what_would_end_the_loop_ends_the_thread_that_waits_alone(error: BaseException, serves: bool) -> None:
    async def leave() -> None:
        await asyncio.sleep(0)
        raise error

    def thread() -> None:
        with pytest.raises(type(error)):
            await_(leave())
        assert await_(answer()) == 42

    @on_a_loop
    async def with_a_server() -> None:
        async with served(make()):
            await asyncio.to_thread(thread)

    if serves:
        with_a_server()
    else:
        thread()


def test_without_a_server_there_is_one_loop_in_a_thread_of_its_own() -> None:
    first, second = await_(where()), await_(where())
    assert first == second
    assert first[1] != threading.get_ident()


def test_without_a_server_every_thread_uses_the_same_loop() -> None:
    loops: list[object] = []
    threads = [threading.Thread(target=lambda: loops.append(await_(where()))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(loops) == {await_(where())}


# CPython 3.12 warns of any fork in a process with threads; that the child can cope is what this is about.
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_gets_a_loop_of_its_own() -> None:
    assert await_(answer()) == 42
    parents = the_loop()
    child = os.fork()
    if child == 0:
        # It must not outlive the test if it cannot cope.
        signal.alarm(20)
        own = await_(where())[0] is not parents
        os._exit(0 if own and await_(answer()) == 42 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert await_(where())[0] is parents
