"""Commands to Redis: on the event loop, fast to fail, those of one turn of the loop in one pipeline."""

import asyncio
import contextlib
import logging
import time
from typing import Any

from .circuit import Circuit
from .connect import CONNECTIONS, Connection
from .events import circuit_changed, command_answered, store_answered
from .model import StoreUnavailable
from .redis_py import Redis, RedisCluster, RedisClusterException, RedisError
from .time_limit import TimeLimit

log = logging.getLogger(__name__)

_Command = tuple[tuple[Any, ...], "asyncio.Future[Any]"]
# A keyless command would go to any server of a cluster, and to several of them.
_PING = ("GET", "session:ping")


class RedisStore:
    """Sends commands; each answers within the connection's timeout or fails.

    A GET by itself costs 90 µs of CPU, 17 when sixteen requests that wait at the same time share a pipeline, 11 when
    they are one MGET: redis-py goes through four coroutines for each answer, hiredis through none for each value.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._client: Redis | RedisCluster | None = None
        self._waiting: list[_Command] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._circuit = Circuit(self.ping, lambda is_open: circuit_changed.send(self, is_open=is_open))

    async def execute(self, *command: Any) -> Any:
        """Send one command, for example `"GET", key`, and return Redis' answer.

        :raises StoreUnavailable: Redis cannot be reached, is too slow, or refuses.
        """
        if self._circuit.is_open:
            raise StoreUnavailable
        # Whoever watches single commands makes each of them some µs slower.
        return await (self._watched(command) if command_answered.receivers else self._asked(command))

    async def ping(self) -> None:
        """Ask whether it answers, whatever the circuit says.

        :raises StoreUnavailable: it does not.
        """
        await self._asked(_PING)

    async def info(self, section: str) -> str:
        """A section of Redis' INFO, of one server if there are several.

        :raises StoreUnavailable: Redis cannot be reached, or refuses.
        """
        client = self._connected()
        try:
            async with TimeLimit(self._connection.timeout):
                options = {"target_nodes": RedisCluster.RANDOM} if isinstance(client, RedisCluster) else {}
                answer: bytes = await client.execute_command("INFO", section, **options)
        except (TimeoutError, RedisError, RedisClusterException, OSError) as error:
            log.debug("the session store does not tell: %s", _reason(error))
            raise StoreUnavailable from None
        return answer.decode()

    async def close(self) -> None:
        """Finish what was sent and close the connections."""
        await self._circuit.close()
        await asyncio.gather(*self._tasks)
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    async def _asked(self, command: tuple[Any, ...]) -> Any:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Any] = loop.create_future()
        self._waiting.append((command, answer))
        if len(self._waiting) == 1:
            loop.call_soon(self._start)
        return await answer

    async def _watched(self, command: tuple[Any, ...]) -> Any:
        started = time.perf_counter()
        outcome = "ok"
        try:
            return await self._asked(command)
        except StoreUnavailable:
            outcome = "unavailable"
            raise
        except asyncio.CancelledError:
            outcome = "cancelled"
            raise
        finally:
            seconds = time.perf_counter() - started
            command_answered.send(self, command=str(command[0]), outcome=outcome, seconds=seconds)

    def _start(self) -> None:
        # While all connections are in use commands gather; the next one that is free takes them all.
        if self._waiting and len(self._tasks) < CONNECTIONS:
            batch, self._waiting = self._waiting, []
            task = asyncio.get_running_loop().create_task(self._send(batch))
            self._tasks.add(task)
            task.add_done_callback(self._finished)

    def _finished(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        self._start()

    async def _send(self, batch: list[_Command]) -> None:
        started = time.perf_counter()
        outcome, silent = "ok", False
        try:
            answers = await self._answers([command for command, _answer in batch])
        except Exception as error:  # noqa: BLE001 - also what is no `RedisError`, as of a cluster that is all away
            # The circuit's own question must not be broken off by it: nobody would ask again.
            if not self._circuit.is_open:
                log.error("the session store does not answer: %s", _reason(error))
            outcome, silent = "unavailable", isinstance(error, TimeoutError)
            # What waited for a connection meanwhile has waited long enough.
            batch, self._waiting = batch + self._waiting, []
            answers = [StoreUnavailable()] * len(batch)
        except BaseException:
            for _command, answer in batch:
                answer.cancel()
            raise
        seconds = time.perf_counter() - started
        if _hand_over(batch, answers):
            outcome = "refused"
        # Only now, since who is told may raise.
        if outcome == "unavailable":
            self._circuit.failed()
        else:
            self._circuit.succeeded()
        store_answered.send(self, outcome=outcome, seconds=seconds)
        if silent and isinstance(self._client, RedisCluster):
            # It would ask the server that is silent for ever, and not hear which one has taken its place.
            with contextlib.suppress(RedisError, OSError):
                await self._client.aclose()

    async def _answers(self, commands: list[tuple[Any, ...]]) -> list[Any]:
        client = self._connected()
        # Also a single one, lest a right that is missing be missed under load alone. A cluster has keys on several
        # servers: there is no one command for them.
        keys = [] if isinstance(client, RedisCluster) else [command[1] for command in commands if command[0] == "GET"]
        pipeline = client.pipeline(transaction=False)
        for command in commands:
            if not keys or command[0] != "GET":
                pipeline.execute_command(*command)
        if keys:
            # The last, so that who reads finds what was written in the same turn.
            pipeline.execute_command("MGET", *keys)
        # All of it: connecting, asking sentinels, trying again.
        async with TimeLimit(self._connection.timeout):
            answers: list[Any] = await pipeline.execute(raise_on_error=False)
        if not keys:
            return answers
        found = answers.pop()
        # What is refused is refused to each.
        values = iter([found] * len(keys) if isinstance(found, Exception) else found)
        others = iter(answers)
        return [next(values if command[0] == "GET" else others) for command in commands]

    def _connected(self) -> "Redis | RedisCluster":
        if self._client is None:
            self._client = self._connection.client()
        return self._client


def _hand_over(batch: list[_Command], answers: list[Any]) -> bool:
    # Returns whether Redis refuses one of them.
    refused = False
    for (_command, answer), value in zip(batch, answers, strict=True):
        # Whoever waited may be gone: its request was cancelled.
        if answer.done():
            continue
        if isinstance(value, StoreUnavailable):
            answer.set_exception(value)
        elif isinstance(value, Exception):
            refused = True
            log.error("the session store refuses a command: %s", _reason(value))
            answer.set_exception(StoreUnavailable())
        else:
            answer.set_result(value)
    return refused


def _reason(error: Exception) -> str:
    # The first line only, and never the URL: it has the password.
    return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no message'}"
