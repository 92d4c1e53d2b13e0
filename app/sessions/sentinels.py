"""Sentinels that are all asked at once: redis-py asks one after the other, and waits for each that is away."""

import asyncio
from typing import Any, cast

from .redis_py import MasterNotFoundError, Redis, RedisError, Sentinel

Address = tuple[str, int]


class Sentinels(Sentinel):
    """Where the master is, from whichever sentinel tells first."""

    async def discover_master(self, service_name: str) -> Address:
        """Host and port of the master of that name.

        :raises MasterNotFoundError: no sentinel knows of one.
        """
        asked = [asyncio.create_task(self._told_by(sentinel, service_name)) for sentinel in self.sentinels]
        try:
            for answer in asyncio.as_completed(asked):
                if (address := await answer) is not None:
                    return address
        finally:
            for task in asked:
                task.cancel()
            await asyncio.gather(*asked, return_exceptions=True)
        raise MasterNotFoundError(f"no sentinel knows a master called {service_name}")

    async def _told_by(self, sentinel: Redis, name: str) -> Address | None:
        try:
            masters = cast(dict[str, dict[str, Any]], await sentinel.sentinel_masters())
        except (RedisError, OSError):
            return None
        state = masters.get(name)
        return (state["ip"], state["port"]) if state and self.check_master_state(state, name) else None
