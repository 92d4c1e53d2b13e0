"""Requests of several users on the same sessions, interleaved command by command in a real Redis, in any order.

The invariants, checked after each command:

1. A session that has ended stays ended: by its own logout, by its label, by its name, or by going on under another id.
2. A login whose label is ended while it is under way does not come to be; one that begins later does.
3. What a request changed is there once its write has succeeded, whatever others wrote in between, until somebody
   changes the same key: different keys both survive, of the same key the later write does.
4. Of two tokens the newer one stays, whichever was written last.
5. A session holds nothing of another user.
6. A session that lives stands under its labels, so that it can be ended.
7. A session that nobody has ended lives, whatever becomes of another user's that was in the same browser before it.
"""

import asyncio
import itertools
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.server import LoopFlask
from app.sessions.entries import Entries, key_of, name_of
from app.sessions.index import Index
from app.sessions.keyring import KeyRing
from app.sessions.model import Session
from app.sessions.redis import RedisSessions
from tests.servers.redis import RedisServer

Result = Callable[[], Any]


class SteppedStore:
    """Sends a command when the test says so."""

    def __init__(self, redis: RedisServer) -> None:
        self.waiting: list[tuple[asyncio.Task[Any] | None, tuple[Any, ...], asyncio.Future[Any]]] = []
        self._client = redis.client

    async def execute(self, *command: Any) -> Any:
        answer = asyncio.get_running_loop().create_future()
        self.waiting.append((asyncio.current_task(), command, answer))
        return await answer

    def send(self, position: int) -> asyncio.Task[Any] | None:
        """Send the command at *position* of those that wait, and tell whose it was."""
        task, command, answer = self.waiting.pop(position)
        answer.set_result(raw(self._client, *command))
        return task


def raw(client: Any, *command: Any) -> Any:
    """Redis' own answer, with nothing of the client's."""
    connection = client.connection_pool.get_connection()
    try:
        connection.send_command(*command)
        return connection.read_response()
    finally:
        client.connection_pool.release(connection)


async def spin() -> None:
    """Let every task go as far as it can."""
    for _ in range(8):
        await asyncio.sleep(0)


@dataclass
class Life:
    """One login's session, whatever its id is."""

    user: str
    labels: dict[str, int]
    data: dict[str, Any] = field(default_factory=dict)
    sids: list[str] = field(default_factory=list)
    """Ids that it had, has, or may get."""
    cookie: str | None = None
    """The id that the browser was told."""
    disturbed: bool = False
    """Whether anything has begun that ends it, or its id."""
    before: "Life | None" = None
    """The other user's that was in the browser when this one began; what ends that one may keep this from beginning."""


@dataclass(eq=False)
class Request:
    """A request that is under way."""

    life: Life
    session: Session
    changed: dict[str, Any] = field(default_factory=dict)
    leaves: bool = False
    task: "asyncio.Task[bool] | None" = None


class Interleavings:
    """What may happen, in any order."""

    redis: RedisServer

    def __init__(self) -> None:
        self.redis.client.flushall()
        app = LoopFlask("interleaved")
        self.loop = asyncio.new_event_loop()
        self.store = SteppedStore(self.redis)
        keyring = KeyRing(["a secret of the test " * 2])
        entries = Entries(self.store, 10**6, 10**6)  # type: ignore[arg-type]
        self.index = Index(self.store, keyring, entries)  # type: ignore[arg-type]
        self.sessions = RedisSessions(app, keyring, entries, self.index)
        # Not random, so that a failure can be shown once more: the index orders sessions by their names, too.
        numbers = itertools.count()
        self.sessions._new_sid = lambda: f"sid-{next(numbers)}"  # type: ignore[method-assign]
        self.sessions.resolvers["token"] = lambda theirs, mine: max(theirs or 0, mine or 0)
        self.requests: list[Request] = []
        self.lives: list[Life] = []
        self.endings: dict[asyncio.Task[Any], tuple[str, int | str]] = {}
        self.ended_labels: list[tuple[str, int]] = []
        self.ended_sids: set[str] = set()
        self.owners: dict[asyncio.Task[Any] | None, Request] = {}
        self.values: dict[str, bytes | None] = {}
        self.seen_under_labels: set[bytes | None] = set()
        self.began = int(time.time())
        self.clock = 1
        self.serial = 0

    def teardown(self) -> None:
        for task in asyncio.all_tasks(self.loop):
            task.cancel()
        self.settle()
        self.loop.close()

    # What people and their browsers do.

    def log_in(self, user: str) -> None:
        self.clock += 1
        self.serial += 1
        session = Session(self.sessions._new_sid())
        session.update(user=user, token=self.serial)
        self.sessions.regenerate(session)
        # Of the same second, whenever that is: the index orders sessions by when they end.
        session.created_at = self.began
        labels = {f"sub:{user}": self.clock, f"sid:{self.clock}": 0}
        session.labels, session.note = labels, {"browser": user}
        life = Life(user, labels, disturbed=self.is_being_ended(labels))
        life.sids.append(session.sid)
        self.lives.append(life)
        self.begin(Request(life, session, dict(session)))

    def sign_in_with_tabs(self, tabs: int) -> None:
        """Jane is signed in, and *tabs* of her pages have read her session."""
        self.log_in("jane")
        self.drain()
        for _ in range(tabs):
            self.open(self.lives[0])

    def open(self, life: Life) -> None:
        session = self.run(self.sessions.find(life.cookie or life.sids[-1]))
        if session is not None:
            assert session["user"] == life.user
            self.requests.append(Request(life, session))

    def change(self, keys: str, new_id: bool) -> None:
        request = self.requests.pop(0)
        for key in keys.split("+"):
            self.serial += 1
            request.session[key] = request.changed[key] = self.serial
        if new_id:
            self.sessions.move(request.session)
            request.life.disturbed = True
        self.begin(request)

    def log_in_over(self, user: str) -> None:
        """Another user signs in, in a browser where somebody has a session already."""
        before = self.requests.pop(0)
        self.clock += 1
        self.serial += 1
        session = before.session
        session.clear()
        session.update(user=user, token=self.serial)
        self.sessions.regenerate(session)
        session.created_at = self.began
        labels = {f"sub:{user}": self.clock, f"sid:{self.clock}": 0}
        session.labels, session.note = labels, {"browser": user}
        before.life.disturbed = True
        life = Life(user, labels, disturbed=self.is_being_ended(labels), before=before.life)
        life.sids.append(session.sid)
        self.lives.append(life)
        self.begin(Request(life, session, dict(session)))

    def log_out(self) -> None:
        request = self.requests.pop(0)
        request.session.clear()
        self.sessions.regenerate(request.session)
        request.leaves = True
        self.disturb(request.life)
        self.begin(request)

    def is_being_ended(self, labels: dict[str, int]) -> bool:
        """Whether an end of one of them is under way, which may come before or after what begins now."""
        return any(label in labels for label, _what in self.endings.values())

    def disturb(self, life: Life) -> None:
        """Who ends a session means the browser that it is in, whoever has signed in there meanwhile."""
        for one in self.lives:
            one.disturbed = one.disturbed or life in (one, one.before)

    def end_label(self, label: str) -> None:
        self.clock += 1
        for life in self.lives:
            life.disturbed = life.disturbed or label in life.labels
        task = self.loop.create_task(self.index.end(label, self.clock, 3600))
        self.endings[task] = (label, self.clock)
        self.settle()

    def end_one(self) -> None:
        life = self.lives[0]
        if life.cookie is not None:
            life.disturbed = True
            task = self.loop.create_task(self.index.end_one(f"sub:{life.user}", name_of(life.cookie)))
            self.endings[task] = ("", life.cookie)
            self.settle()

    def act(self, what: str) -> None:
        """Begin one of `ACTS`; those of a page need one that has read the session, and are left out without."""
        kind, _, detail = what.partition(" ")
        if kind == "login":
            self.log_in(detail)
        elif kind == "login-over":
            if self.requests:
                self.log_in_over(detail)
        elif kind == "end":
            self.end_label(detail)
        elif kind == "end-one":
            self.end_one()
        elif kind == "open":
            self.open(self.lives[0])
        elif self.requests:
            if kind == "logout":
                self.log_out()
            else:
                self.change(detail, new_id=kind == "move")

    def drain(self, most: int = 1_000) -> None:
        """Send what waits, the first first; at most so many commands."""
        while self.store.waiting and most:
            self.send(0)
            self.check()
            most -= 1

    def check(self) -> None:
        """Every invariant."""
        self.what_has_ended_stays_ended()
        self.what_lives_is_what_was_written()
        self.what_lives_stands_under_its_labels()
        self.what_nobody_has_ended_lives()

    # What must hold.

    def what_has_ended_stays_ended(self) -> None:
        for sid in self.ended_sids:
            assert not self.lives_in_redis(sid)
        for label, at in self.ended_labels:
            for life in self.lives:
                if life.labels.get(label, at + 1) <= at:
                    assert not any(map(self.lives_in_redis, life.sids)), label

    def what_lives_is_what_was_written(self) -> None:
        for life in self.lives:
            live = [sid for sid in life.sids if self.lives_in_redis(sid)]
            assert len(live) <= 1
            if live:
                blob = self.values[live[0]]
                assert blob is not None
                session = self.sessions._opened(live[0], blob)
                assert session is not None
                assert dict(session) == life.data

    def what_lives_stands_under_its_labels(self) -> None:
        for life in self.lives:
            for sid in filter(self.lives_in_redis, life.sids):
                if self.values[sid] not in self.seen_under_labels:
                    self.seen_under_labels.add(self.values[sid])
                    for label in life.labels:
                        listed = self.run(self.index.listed(label, current=""))
                        assert name_of(sid) in [one.name for one in listed]
                        assert all(one.note == {"browser": life.user} for one in listed)

    def what_nobody_has_ended_lives(self) -> None:
        for life in self.lives:
            if life.cookie is not None and not life.disturbed:
                assert self.lives_in_redis(life.cookie), life.user

    # How the test does it.

    def unborn(self, life: Life) -> set[str]:
        """Ids that requests which are under way may still give it."""
        return {request.session.sid for request in self.owners.values() if request.life is life}

    def begin(self, request: Request) -> None:
        request.task = self.loop.create_task(self.sessions.save(request.session))
        if request.session.sid not in request.life.sids and not request.leaves:
            request.life.sids.append(request.session.sid)
        self.owners[request.task] = request
        self.settle()

    def send(self, position: int) -> None:
        before = self.values
        task = self.store.send(position)
        self.look()
        for sid in self.values:
            if self.values[sid] != before.get(sid) and self.lives_in_redis(sid):
                # This command wrote it: from here on its changes count.
                request = self.owners[task]
                assert sid in request.life.sids
                data = request.life.data
                newest = max(data.get("token", 0), request.changed.get("token", 0))
                data.update(request.changed, token=newest)
        self.settle()

    def settle(self) -> None:
        """Run all tasks until each waits for Redis, and note what has come to an end."""
        self.loop.run_until_complete(spin())
        for task, request in list(self.owners.items()):
            if task is not None and task.done() and not task.cancelled():
                del self.owners[task]
                life = request.life
                if request.leaves:
                    self.ended_sids.update(life.sids)
                    life.cookie = None
                elif task.result():
                    self.ended_sids.update(set(life.sids) - {request.session.sid} - self.unborn(life))
                    life.cookie = request.session.sid
                    if life.before is not None:
                        self.ended_sids.update(life.before.sids)
                else:
                    assert life.disturbed or (life.before and life.before.disturbed), "refused without a reason"
                    assert not request.session
        for task, (label, what) in list(self.endings.items()):
            if task.done() and not task.cancelled():
                del self.endings[task]
                if isinstance(what, int):
                    self.ended_labels.append((label, what))
                elif task.result():
                    self.ended_sids.add(what)

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Run it at once, with its own commands ahead of all others."""
        task = self.loop.create_task(coroutine)
        others = len(self.store.waiting)
        while not task.done():
            self.loop.run_until_complete(spin())
            while len(self.store.waiting) > others:
                self.store.send(others)
        return task.result()

    def look(self) -> None:
        """See what Redis has for each id."""
        sids = [sid for life in self.lives for sid in life.sids]
        if sids:
            found = raw(self.redis.client, "MGET", *(key_of(name_of(sid)) for sid in sids))
            self.values = dict(zip(sids, found, strict=True))

    def lives_in_redis(self, sid: str) -> bool:
        value = self.values.get(sid)
        return value is not None and not value.startswith(b"\0")


ACTS = [
    *("change a", "change a", "change b", "change a+b", "change token", "change token", "change a+token"),
    *("move a", "move token", "logout", "open", "end sub:jane", "end sid:2", "end-one", "login jane", "login eve"),
    *("login-over eve", "login-over eve"),
]


@settings(max_examples=400, derandomize=True, suppress_health_check=list(HealthCheck))
@given(
    tabs=st.integers(2, 4),
    acts=st.lists(st.sampled_from(ACTS), min_size=2, max_size=6),
    order=st.lists(st.integers(0, 6), max_size=30),
)
def test_any_order_keeps_the_invariants(redis: RedisServer, tabs: int, acts: list[str], order: list[int]) -> None:
    """*order* says, again and again, which waiting command is sent next, or that the next act begins."""
    Interleavings.redis = redis
    machine = Interleavings()
    try:
        machine.sign_in_with_tabs(tabs)
        todo = list(acts)
        for number in order:
            choices = len(machine.store.waiting) + bool(todo)
            if not choices:
                break
            chosen = number % choices
            if chosen < len(machine.store.waiting):
                machine.send(chosen)
            else:
                machine.act(todo.pop(0))
            machine.check()
        for act in todo:
            machine.act(act)
        machine.drain()
    finally:
        machine.teardown()


@pytest.mark.parametrize("how", ["logs out", "is ended by its name"])
def test_a_session_that_ends_between_the_halves_of_a_new_id_does_not_go_on_under_it(
    redis: RedisServer, how: str
) -> None:
    """The old id has ended and the new one is not written: the mark on the old one says what it goes on as."""
    Interleavings.redis = redis
    machine = Interleavings()
    machine.sign_in_with_tabs(2)
    moving, leaving = machine.requests
    machine.sessions.move(moving.session)
    machine.begin(moving)
    while len(machine.store.waiting) > 1 or machine.lives_in_redis(machine.lives[0].sids[0]):
        machine.send(0)
    if how == "logs out":
        leaving.session.clear()
        machine.run(machine.sessions.save(leaving.session))
    else:
        name = name_of(machine.lives[0].sids[0])
        assert machine.run(machine.index.end_one("sub:jane", name))
    machine.lives[0].disturbed = True
    while machine.store.waiting:
        machine.send(0)
    assert not any(map(machine.lives_in_redis, machine.lives[0].sids))
    machine.teardown()


@pytest.mark.parametrize("label", ["sub:jane", "sid:2"])
@pytest.mark.parametrize("of_the_end", range(5))
@pytest.mark.parametrize("of_the_login", range(4))
def test_a_login_does_not_survive_the_end_of_its_label_wherever_the_two_meet(
    redis: RedisServer, label: str, of_the_login: int, of_the_end: int
) -> None:
    """So many commands of the login are sent, then so many of the end, then all that is left."""
    Interleavings.redis = redis
    machine = Interleavings()
    machine.log_in("jane")
    machine.drain(of_the_login)
    others = len(machine.store.waiting)
    machine.end_label(label)
    for _ in range(of_the_end):
        if len(machine.store.waiting) > others:
            machine.send(others)
    machine.drain()
    assert not any(map(machine.lives_in_redis, machine.lives[0].sids))
    machine.log_in("jane")
    machine.drain()
    assert machine.lives[1].cookie is not None, "who begins afterwards is let in"
    machine.teardown()
