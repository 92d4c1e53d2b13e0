"""A request that has to build on the latest state reads its session anew, and writes it before its answer."""

from collections.abc import Callable, Coroutine
from typing import Any, cast

import pytest

from app.server import LoopFlask, await_
from app.sessions import Session, StoreUnavailable
from app.sessions.events import session_created
from app.sessions.model import UnavailableSession
from app.sessions.redis import RedisSessions
from tests.servers.redis import RedisServer

Scenario = Callable[[], Coroutine[Any, Any, None]]


@pytest.fixture
def sessions(app: LoopFlask) -> RedisSessions:
    return cast(RedisSessions, app.session_interface)


@pytest.fixture
def run(app: LoopFlask) -> Callable[[Scenario], None]:
    """Run a scenario as a request would, on the loop."""

    def in_context(scenario: Scenario) -> None:
        with app.test_request_context():
            await_(scenario())

    return in_context


async def begun(sessions: RedisSessions, **data: Any) -> Session:
    session = Session("an id")
    session.update(data)
    assert await sessions.save(session)
    return session


async def read(sessions: RedisSessions) -> Session:
    found = await sessions.find("an id")
    assert found is not None
    return found


def test_it_brings_what_others_wrote_and_keeps_what_is_ones_own(
    sessions: RedisSessions, run: Callable[[Scenario], None]
) -> None:
    async def scenario() -> None:
        await begun(sessions, both=0)
        mine, theirs = await read(sessions), await read(sessions)
        theirs.update(theirs=1, both=1)
        await sessions.save(theirs)
        mine.update(mine=2, both=2)
        assert await sessions.reload(mine)
        assert dict(mine) == {"theirs": 1, "mine": 2, "both": 2}
        assert await sessions.save(mine)
        assert dict(await read(sessions)) == {"theirs": 1, "mine": 2, "both": 2}

    run(scenario)


def test_it_says_that_the_session_has_ended_and_leaves_nothing_of_it(
    sessions: RedisSessions, redis: RedisServer, run: Callable[[Scenario], None]
) -> None:
    async def scenario() -> None:
        session = await begun(sessions, a=1)
        redis.client.flushdb()
        session["b"] = 2
        assert not await sessions.reload(session)
        assert dict(session) == {}
        assert await sessions.save(session)
        assert redis.client.keys("session:*") == []

    run(scenario)


def test_of_a_session_that_was_never_written_nobody_is_asked(
    sessions: RedisSessions, redis: RedisServer, run: Callable[[Scenario], None]
) -> None:
    async def scenario() -> None:
        session = Session("an id")
        session["a"] = 1
        assert await sessions.reload(session)
        assert dict(session) == {"a": 1}

    run(scenario)


def test_where_redis_was_away_at_first_there_is_nothing_to_read_anew(
    sessions: RedisSessions, run: Callable[[Scenario], None]
) -> None:
    async def scenario() -> None:
        with pytest.raises(StoreUnavailable):
            await sessions.reload(UnavailableSession())

    run(scenario)


def test_saving_what_has_not_changed_asks_nobody_and_a_session_is_new_once(
    app: LoopFlask, sessions: RedisSessions, redis: RedisServer, run: Callable[[Scenario], None]
) -> None:
    told: list[LoopFlask] = []

    async def scenario() -> None:
        session = await begun(sessions, a=1)
        session["a"] = 2
        assert await sessions.save(session)
        unchanged = await read(sessions)
        commands = redis.client.info("stats")["total_commands_processed"]  # type: ignore[index]
        assert await sessions.save(unchanged)
        # The other question is this one.
        assert redis.client.info("stats")["total_commands_processed"] == commands + 1  # type: ignore[index]

    def created(app: LoopFlask, **_told: Any) -> None:
        told.append(app)

    with session_created.connected_to(created, sender=app):
        run(scenario)
    assert told == [app]
