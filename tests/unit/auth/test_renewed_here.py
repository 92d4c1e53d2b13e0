"""Tokens that were not taken are offered again: until they are, until somebody else brings them, until the stop."""

import asyncio

from app.auth.renewed_here import RenewedHere, State
from app.sessions import StoreUnavailable
from tests.unit.server.client import on_a_loop, until


class Store:
    """Takes nothing until it is told to."""

    def __init__(self) -> None:
        self.offered: list[State] = []
        self.taken: list[State] = []
        self.ended: list[State] = []
        self.takes = self.lives = True

    async def write(self, state: State) -> bool:
        self.offered.append(state)
        if not self.takes:
            raise StoreUnavailable
        if self.lives:
            self.taken.append(state)
        return self.lives


def others() -> set["asyncio.Task[object]"]:
    return asyncio.all_tasks() - {asyncio.current_task()}  # type: ignore[arg-type]


@on_a_loop
async def test_it_is_offered_until_it_is_taken_by_one_alone_and_the_newest_is() -> None:
    kept, store = RenewedHere(), Store()
    store.takes = False
    for renewed in (1, 2):
        kept.keep("jane", {"renewed": renewed})
        kept.offer("jane", store.write, store.ended.append)
    assert len(others()) == 1
    await until(lambda: len(store.offered) == 2)
    kept.keep("jane", {"renewed": 3})
    store.takes = True
    await until(lambda: not others())
    assert (store.taken, store.ended, len(kept)) == ([{"renewed": 3}], [], 0)


@on_a_loop
async def test_what_somebody_else_has_brought_is_not_offered() -> None:
    kept, store = RenewedHere(), Store()
    kept.keep("jane", {"renewed": 1})
    kept.offer("jane", store.write, store.ended.append)
    kept.drop("jane")
    await until(lambda: not others())
    assert store.offered == []


@on_a_loop
async def test_of_a_session_that_has_ended_it_is_said_whose_tokens_nobody_has() -> None:
    kept, store = RenewedHere(), Store()
    store.lives = False
    kept.keep("jane", {"renewed": 1})
    kept.offer("jane", store.write, store.ended.append)
    await until(lambda: not others())
    assert (store.ended, len(kept)) == ([{"renewed": 1}], 0)


@on_a_loop
async def test_the_stop_waits_for_no_store() -> None:
    kept, store = RenewedHere(), Store()
    store.takes = False
    kept.keep("jane", {"renewed": 1})
    kept.offer("jane", store.write, store.ended.append)
    await kept.close()
    assert others() == set()


def test_the_newest_thousand_are_kept_and_what_is_no_newer_is_not_told() -> None:
    kept = RenewedHere()
    for number in range(1001):
        kept.keep(f"session {number}", {"renewed": 1})
    assert len(kept) == 1000
    assert kept.newer_than({"renewed": 0}, "session 0") is None
    assert kept.newer_than({"renewed": 0}, "session 1") == {"renewed": 1}
    assert kept.newer_than({}, "session 1000") == {"renewed": 1}
    assert kept.newer_than({"renewed": 1}, "session 1000") is None


def test_what_is_kept_anew_is_among_the_newest() -> None:
    kept = RenewedHere()
    for number in [*range(1000), 0, 1000]:
        kept.keep(f"session {number}", {"renewed": 1})
    assert kept.newer_than({}, "session 0") == {"renewed": 1}
    assert kept.newer_than({}, "session 1") is None


@on_a_loop
async def test_what_came_while_an_older_one_was_written_stays() -> None:
    kept = RenewedHere()

    async def write(_state: dict[str, object]) -> bool:
        kept.keep("jane", {"renewed": 2})
        return True

    kept.keep("jane", {"renewed": 1})
    kept.offer("jane", write, lambda _state: None)
    await until(lambda: not others())
    assert kept.newer_than({"renewed": 1}, "jane") == {"renewed": 2}
