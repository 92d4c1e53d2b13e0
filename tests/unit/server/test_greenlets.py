"""Greenlets that are used again."""

import asyncio
import contextvars
import functools
import gc
import weakref
from collections.abc import Callable
from concurrent import futures

import pytest

from app.server import await_
from app.server.bridge import RequestGreenlet, current_request
from app.server.greenlets import Greenlets
from tests.unit.server.client import on_a_loop

VARIABLE: contextvars.ContextVar[str] = contextvars.ContextVar("VARIABLE", default="unset")


def wait() -> int:
    async def answer() -> int:
        await asyncio.sleep(0)
        return 42

    return await_(answer())


@on_a_loop
async def test_a_greenlet_is_used_again_and_knows_nothing_of_the_request_before() -> None:
    greenlets = Greenlets()

    async def run(function: Callable[[], object]) -> object:
        request = greenlets.take()
        used.append(request)
        contexts.append(weakref.ref(request.context))
        try:
            return await request.drive(function)
        finally:
            greenlets.give_back(request)

    class Held(Exception):
        pass

    def leave_traces() -> int:
        VARIABLE.set("of the request before")
        request = current_request()
        assert request is not None
        request.begun = request.refusable = request.abandoned = True
        return wait()

    def fail() -> None:
        error = Held()
        held.append(weakref.ref(error))
        try:
            raise error
        finally:
            del error

    def look() -> tuple[str, bool, bool, bool]:
        request = current_request()
        assert request is not None
        return VARIABLE.get(), request.begun, request.refusable, request.abandoned

    used: list[RequestGreenlet] = []
    contexts: list[weakref.ref[object]] = []
    held: list[weakref.ref[Held]] = []
    gc.disable()
    try:
        assert await run(leave_traces) == 42
        with pytest.raises(Held):
            await run(fail)
        assert held[0]() is None
        look_ = functools.partial(look)
        looks = weakref.ref(look_)
        assert await run(look_) == ("unset", False, False, False)
        del look_
        assert looks() is None
        assert [context() for context in contexts] == [None] * 3
    finally:
        gc.enable()
    assert used[0] is used[1] is used[2]


@on_a_loop
async def test_two_requests_at_a_time_have_a_greenlet_each() -> None:
    greenlets = Greenlets()
    first, second = greenlets.take(), greenlets.take()
    assert await asyncio.gather(first.drive(wait), second.drive(wait)) == [42, 42]


def test_greenlets_are_not_taken_to_another_thread() -> None:
    greenlets = Greenlets()

    async def run() -> object:
        request = greenlets.take()
        try:
            return await request.drive(wait)
        finally:
            greenlets.give_back(request)

    assert asyncio.run(run()) == 42
    with futures.ThreadPoolExecutor(1) as threads:
        assert threads.submit(asyncio.run, run()).result() == 42


@on_a_loop
async def test_idle_greenlets_end_with_whoever_holds_them() -> None:
    gc.disable()
    try:
        greenlets = Greenlets()
        request = greenlets.take()
        await request.drive(lambda: None)
        greenlets.give_back(request)
        ended = weakref.ref(request)
        del request, greenlets
        assert ended() is None
    finally:
        gc.enable()
