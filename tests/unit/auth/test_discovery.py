"""A document of the provider's: fetched once for all who wait, kept for a day while it cannot be had."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from app.auth import discovery
from app.auth.discovery import Document


class Source:
    """What the document is fetched from: counts, and answers when it is let."""

    def __init__(self) -> None:
        self.fetches = 0
        self.down = False
        self.open = asyncio.Event()
        self.open.set()

    async def fetch(self) -> dict[str, Any]:
        self.fetches += 1
        number = self.fetches
        await self.open.wait()
        if self.down:
            raise ConnectionError("down")
        return {"number": number}


@pytest.fixture
def elapse(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Let time pass."""
    now = 1000.0

    def pass_by(seconds: float) -> None:
        nonlocal now
        now += seconds

    monkeypatch.setattr(discovery.time, "monotonic", lambda: now)
    return pass_by


Case = Callable[[Source, Document, Callable[[float], None]], Coroutine[Any, Any, None]]


@pytest.fixture
def run(elapse: Callable[[float], None]) -> Callable[[Case], None]:
    def run(case: Case) -> None:
        async def in_loop() -> None:
            source = Source()
            await case(source, Document("keys", source.fetch, 600), elapse)

        asyncio.run(in_loop())

    return run


def test_who_began_a_fetch_may_leave_and_the_others_still_get_it(run: Callable[[Case], None]) -> None:
    async def case(source: Source, document: Document, _elapse: object) -> None:
        source.open.clear()
        first, second = asyncio.create_task(document.get()), asyncio.create_task(document.get())
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.sleep(0)
        source.open.set()
        assert await second == {"number": 1}
        assert first.cancelled()

    run(case)


def test_a_fetch_that_fails_is_everybodys_failure_where_there_is_nothing_to_fall_back_on(
    run: Callable[[Case], None],
) -> None:
    async def case(source: Source, document: Document, _elapse: object) -> None:
        source.down = True
        results = await asyncio.gather(*(document.get() for _ in range(5)), return_exceptions=True)
        assert [type(result) for result in results] == [ConnectionError] * 5
        assert source.fetches == 1
        source.down = False
        assert await document.get() == {"number": 2}, "and the next one tries again"

    run(case)


def test_an_outage_of_a_day_is_outlived_with_a_fetch_now_and_then(run: Callable[[Case], None]) -> None:
    async def case(source: Source, document: Document, elapse: Callable[[float], None]) -> None:
        await document.get()
        source.down = True
        elapse(601)
        for _ in range(100):
            assert await document.get() == {"number": 1}
        assert source.fetches == 2
        elapse(discovery.RETRY_SECONDS)
        assert await document.get() == {"number": 1}
        assert source.fetches == 3
        elapse(discovery.STALE_SECONDS)
        with pytest.raises(ConnectionError):
            await document.get()

    run(case)


def test_a_flood_of_unknown_keys_is_one_fetch_and_takes_nothing_from_another_reason(
    run: Callable[[Case], None],
) -> None:
    async def case(source: Source, document: Document, elapse: Callable[[float], None]) -> None:
        await document.get()
        for _ in range(100):
            assert await document.renew("strangers", 30) == {"number": 2}
        assert await document.renew("login", 2) == {"number": 3}
        elapse(29)
        assert await document.renew("strangers", 30) == {"number": 3}
        assert await document.renew("login", 2) == {"number": 4}
        elapse(1)
        assert await document.renew("strangers", 30) == {"number": 5}

    run(case)


def test_who_meets_an_unknown_key_while_the_keys_are_being_fetched_waits_for_them(run: Callable[[Case], None]) -> None:
    async def case(source: Source, document: Document, _elapse: object) -> None:
        await document.get()
        source.open.clear()
        waiting = [asyncio.create_task(document.renew("login", 2)) for _ in range(3)]
        await asyncio.sleep(0)
        source.open.set()
        assert await asyncio.gather(*waiting) == [{"number": 2}] * 3

    run(case)


def test_a_document_that_is_closed_leaves_no_fetch_behind(run: Callable[[Case], None]) -> None:
    async def case(source: Source, document: Document, _elapse: object) -> None:
        source.open.clear()
        waiting = asyncio.create_task(document.get())
        await asyncio.sleep(0)
        await document.close()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await document.close()

    run(case)
