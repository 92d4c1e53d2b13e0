"""One holder at a time in the fleet: the lease of a live one renews itself, that of a dead one ends."""

import asyncio
import time
from collections.abc import Iterator

import pytest

from app.server import await_
from app.sessions import LockTimeout
from app.sessions.connect import Connection
from app.sessions.locks import FleetLocks, LocalLocks
from app.sessions.store import RedisStore
from tests.servers.redis import RedisServer
from tests.servers.redis_fleets import until


@pytest.fixture
def two(redis: RedisServer) -> Iterator[list[FleetLocks]]:
    """The locks of two processes."""
    stores = [RedisStore(Connection(redis.url, 5)) for _ in range(2)]
    yield [FleetLocks(store) for store in stores]
    for store in stores:
        await_(store.close())


def key(redis: RedisServer) -> bytes:
    [found] = redis.client.keys("session:lock:*")  # type: ignore[misc]
    return bytes(found)


def test_one_after_the_other_whichever_process_they_are_in(two: list[FleetLocks]) -> None:
    inside = 0

    async def work(locks: FleetLocks) -> None:
        nonlocal inside
        async with locks.hold("a", 10, 60):
            inside += 1
            assert inside == 1
            await asyncio.sleep(0.001)
            inside -= 1

    async def all_of_them() -> None:
        await asyncio.gather(*(work(two[number % 2]) for number in range(20)))

    await_(all_of_them())


def test_locks_of_different_names_do_not_wait_for_each_other(two: list[FleetLocks]) -> None:
    async def both() -> None:
        async with two[0].hold("a", 10, 1), two[1].hold("b", 10, 1), two[0].hold("c", 10, 1):
            pass

    await_(both())


def test_who_waits_too_long_is_told_so_though_the_lease_was_shorter(two: list[FleetLocks], redis: RedisServer) -> None:
    async def hold_on() -> None:
        async with two[0].hold("a", 1.0, 1):
            # Far beyond the lease, which the holder renews.
            with pytest.raises(LockTimeout):
                async with two[1].hold("a", 1.0, 3.0):
                    pytest.fail("there were two")
            with pytest.raises(LockTimeout):
                async with two[0].hold("a", 1.0, 0.1):
                    pytest.fail("there were two in one process")

    await_(hold_on())
    assert redis.client.keys("*") == []


def test_a_holder_that_died_is_replaced_within_its_lease(two: list[FleetLocks], redis: RedisServer) -> None:
    async def take_over() -> float:
        holding = two[0].hold("a", 1.0, 1)
        await holding.__aenter__()
        # As it stands in Redis when the process is gone: with nobody to renew it.
        lock, left = key(redis), redis.client.get(key(redis))
        await holding.__aexit__(None, None, None)
        redis.client.set(lock, left, px=1000)  # type: ignore[arg-type]
        started = time.monotonic()
        async with two[1].hold("a", 1.0, 30):
            return time.monotonic() - started

    assert await_(take_over()) > 0.8


def test_who_has_lost_a_lock_does_not_let_go_of_anothers(two: list[FleetLocks], redis: RedisServer) -> None:
    async def lose_it() -> None:
        async with two[0].hold("a", 60, 1):
            redis.client.set(key(redis), "another")

    await_(lose_it())
    assert redis.client.get(key(redis)) == b"another"


def test_a_lease_that_another_has_is_not_renewed(two: list[FleetLocks], redis: RedisServer) -> None:
    async def lose_it() -> None:
        async with two[0].hold("a", 0.3, 1):
            redis.client.set(key(redis), "another", px=60_000)
            await asyncio.sleep(0.4)
            assert redis.client.pttl(key(redis)) > 50_000  # type: ignore[operator]

    await_(lose_it())


@pytest.mark.parametrize("locks", ["local", "fleet"])
def test_a_block_that_fails_lets_go(two: list[FleetLocks], locks: str) -> None:
    either: LocalLocks | FleetLocks = LocalLocks() if locks == "local" else two[0]

    async def fail() -> None:
        for _ in range(2):
            with pytest.raises(ValueError, match="as it does"):
                async with either.hold("a", 10, 1):
                    raise ValueError("as it does")

    await_(fail())


async def once(locks: LocalLocks | FleetLocks, name: str, seconds: int) -> bool:
    async with locks.once(name, seconds) as first:
        return first


@pytest.mark.parametrize("locks", ["local", "fleet"])
def test_what_has_failed_has_not_happened(two: list[FleetLocks], locks: str) -> None:
    either: LocalLocks | FleetLocks = LocalLocks() if locks == "local" else two[0]

    async def fail() -> None:
        async with either.once("x", 600) as first:
            assert first
            assert not await once(either, "x", 600), "there were two at a time"
            raise ValueError("as it does")

    with pytest.raises(ValueError, match="as it does"):
        await_(fail())
    until(lambda: await_(once(either, "x", 600)))
    assert not await_(once(either, "x", 600))


def test_in_one_process_too_they_go_one_after_the_other() -> None:
    locks = LocalLocks()

    async def both() -> None:
        async with locks.hold("a", 10, 1):
            with pytest.raises(LockTimeout):
                async with locks.hold("a", 10, 0.01):
                    pytest.fail("there were two")
        assert await once(locks, "x", 60)
        assert not await once(locks, "x", 60)
        assert await once(locks, "y", 0)
        assert await once(locks, "y", 0)

    await_(both())
