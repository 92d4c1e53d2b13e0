"""Which lines are written together, and when: on a real pipe, which keeps each writing apart."""

import asyncio
import json
import logging
import os
import select
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from app.ops.logs import JsonFormatter, LineRecord
from app.ops.standard_error import StandardError
from tests.unit.server.client import on_a_loop

_made = LineRecord.like("test", "request", ("number", "text"))


def numbers(text: bytes) -> list[int | str]:
    """Those of the lines, `other` for one of no request."""
    return [json.loads(line).get("number", "other") for line in text.splitlines()]


class Writings:
    """A log on a pipe in packet mode (pipe(2), O_DIRECT), which does not run writings together."""

    def __init__(self) -> None:
        self.read_end, self.write_end = os.pipe2(os.O_DIRECT)
        self.handler = StandardError()
        self.handler.setFormatter(JsonFormatter())

    def request(self, number: int, text: str = "") -> None:
        """Log a request's line."""
        self.handler.handle(_made({"number": number, "text": text}))

    def warn(self) -> None:
        """Log a line of something else."""
        self.handler.handle(logging.makeLogRecord({"name": "test", "msg": "careful", "levelno": logging.WARNING}))

    def raw(self) -> list[bytes]:
        """The writings since the last time."""
        writings = []
        while select.select([self.read_end], [], [], 0)[0]:
            writings.append(os.read(self.read_end, 1_000_000))
        return writings

    def so_far(self) -> list[list[int | str]]:
        """The same, as numbers."""
        return [numbers(writing) for writing in self.raw()]

    async def next(self) -> list[int | str]:
        """Wait for a writing, while the loop goes on."""
        loop, ready = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(self.read_end, ready.set)
        try:
            await asyncio.wait_for(ready.wait(), 30)
        finally:
            loop.remove_reader(self.read_end)
        [writing] = self.so_far()
        return writing


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Iterator[Writings]:
    """A log of the test's own."""
    writings = Writings()
    monkeypatch.setattr("app.ops.standard_error._STDERR", writings.write_end)
    yield writings
    for end in (writings.read_end, writings.write_end):
        os.close(end)


@on_a_loop
async def test_lines_of_requests_are_written_together_while_the_loop_goes_on(log: Writings) -> None:
    for number in range(5):
        log.request(number)
        await asyncio.sleep(0)
    assert log.so_far() == []
    assert await log.next() == [0, 1, 2, 3, 4]
    # The time begins anew.
    log.request(5)
    assert await log.next() == [5]


@on_a_loop
async def test_no_writing_is_longer_than_a_pipe_takes_in_one_piece(log: Writings) -> None:
    for number in range(40):
        log.request(number, "x" * 200)
    log.handler.flush()
    writings = log.raw()
    assert [number for writing in writings for number in numbers(writing)] == list(range(40))
    assert max(map(len, writings)) <= select.PIPE_BUF
    assert len(writings) < 10


@on_a_loop
async def test_a_line_that_is_longer_comes_in_its_turn(log: Writings) -> None:
    log.request(0)
    log.request(1, "x" * 2 * select.PIPE_BUF)
    log.request(2)
    log.handler.flush()
    # The pipe keeps apart what does not fit into one piece of it.
    assert numbers(b"".join(log.raw())) == [0, 1, 2]


@on_a_loop
async def test_any_other_line_is_written_at_once_after_those_that_wait(log: Writings) -> None:
    log.request(0)
    log.request(1)
    log.warn()
    assert log.so_far() == [[0, 1], ["other"]]


def test_without_a_loop_a_line_is_written_at_once(log: Writings) -> None:
    log.request(0)
    assert log.so_far() == [[0]]


@on_a_loop
async def test_a_line_from_a_thread_is_written_at_once_after_those_that_wait(log: Writings) -> None:
    log.request(0)
    thread = threading.Thread(target=log.request, args=(1,))
    thread.start()
    thread.join()
    assert log.so_far() == [[0], [1]]


def test_lines_wait_no_longer_in_a_second_loop(log: Writings) -> None:
    async def first() -> None:
        log.request(0)

    async def second() -> None:
        log.request(1)
        assert await log.next() == [0, 1]

    asyncio.run(first())
    asyncio.run(second())


@on_a_loop
async def test_nobody_is_disturbed_when_nothing_can_be_written(log: Writings) -> None:
    os.set_blocking(log.write_end, False)
    while select.select([], [log.write_end], [], 0)[1]:
        os.write(log.write_end, b"x" * select.PIPE_BUF)
    over = asyncio.Event()
    log.request(0)
    # After the log's own timer. What it raised there would fail the test (`on_a_loop`).
    asyncio.get_running_loop().call_later(0.2, over.set)
    await over.wait()


def test_lines_that_wait_are_written_when_the_process_ends() -> None:
    program = """
import asyncio, logging.config, sys
from app.ops.logs import LineRecord, configuration
logging.config.dictConfig(configuration("info", True))
async def main():
    logging.getLogger("test").handle(LineRecord.like("test", "request", ("number",))({"number": 0}))
    sys.exit(3)
asyncio.run(main())
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=60, check=False)
    assert ended.returncode == 3
    assert json.loads(ended.stderr)["number"] == 0
