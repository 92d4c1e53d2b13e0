"""Tokens that were renewed here and that others may not have: no cookie has them yet, or Redis did not take them."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, TypeVar

from app.sessions import StoreUnavailable

State = dict[str, Any]
T = TypeVar("T")

# Soon at first and then less often: whoever comes to another worker meanwhile has a refresh token that is used up.
_SOON_SECONDS, _LATER_SECONDS = 0.25, 5.0
_GIVEN_UP_SECONDS = 600.0
_REMEMBERED = 1000
_random = random.SystemRandom()


class RenewedHere:
    """The newest state of sessions by their name, of a thousand at most."""

    def __init__(self) -> None:
        self._states: dict[str, State] = {}
        self._offers: dict[str, asyncio.Task[None]] = {}

    def __len__(self) -> int:
        return len(self._states)

    def newer_than(self, state: State, session: str) -> State | None:
        """What is known of *session* and newer than *state*."""
        known = self._states.get(session, state)
        return known if known.get("renewed", 0) > state.get("renewed", 0) else None

    def keep(self, session: str, state: State) -> None:
        """Keep *state*; the oldest of the others goes where there are too many."""
        remember(self._states, session, state)

    def drop(self, session: str) -> None:
        """Everybody has it now."""
        self._states.pop(session, None)

    def offer(self, session: str, write: Callable[[State], Awaitable[bool]], ended: Callable[[State], None]) -> None:
        """Let Redis have what is kept of *session* as soon as it takes it, unless a request has brought it before.

        :param write: writes the state, or raises `StoreUnavailable`; False if the session has ended.
        :param ended: called with the state if it has.
        """
        if session not in self._offers:
            task = asyncio.get_running_loop().create_task(self._offered(session, write, ended))
            self._offers[session] = task
            task.add_done_callback(lambda _task: self._offers.pop(session))

    async def close(self) -> None:
        """Offer nothing any more."""
        offers = list(self._offers.values())
        for offer in offers:
            offer.cancel()
        await asyncio.gather(*offers, return_exceptions=True)

    async def _offered(
        self, session: str, write: Callable[[State], Awaitable[bool]], ended: Callable[[State], None]
    ) -> None:
        pause, given_up = _SOON_SECONDS, time.monotonic() + _GIVEN_UP_SECONDS
        while time.monotonic() < given_up:
            await asyncio.sleep(_random.uniform(0.5, 1.5) * pause)
            pause = min(2 * pause, _LATER_SECONDS)
            state = self._states.get(session)
            if state is None:
                return
            with suppress(StoreUnavailable):
                stored = await write(state)
                if self._states.get(session) is state:
                    self.drop(session)
                if not stored:
                    ended(state)
                return


def remember(what: dict[str, T], session: str, value: T) -> None:
    """Put *value* under *session*; the oldest goes where there are too many."""
    what.pop(session, None)
    what[session] = value
    if len(what) > _REMEMBERED:
        del what[next(iter(what))]
