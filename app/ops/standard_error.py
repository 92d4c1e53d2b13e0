"""Standard error, by lines: those of requests a few at a time, all others at once."""

import asyncio
import contextlib
import logging
import os
import select

from .logs import LineRecord

_STDERR = 2
_HELD_SECONDS = 0.1
# A pipe takes so much in one piece (pipe(7)): lines of several processes do not mix.
_TOGETHER = select.PIPE_BUF


class StandardError(logging.Handler):
    """Writes lines with one system call, so that those of several processes do not mix.

    A line of a request waits for up to 0.1 s for others to be written with: whoever reads them, as a container engine,
    is woken for each writing. Any other line is written at once, after those that wait.

    `logging.StreamHandler` writes through two buffers and their flushing, which takes twice as long.
    """

    def __init__(self) -> None:
        super().__init__()
        self._held: list[bytes] = []
        self._size = 0
        self._timed: asyncio.AbstractEventLoop | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Write the line, or have it wait."""
        try:
            line = f"{self.format(record)}\n".encode(errors="backslashreplace")
            loop = _running_loop() if isinstance(record, LineRecord) else None
            if loop is None or self._size + len(line) > _TOGETHER:
                self._write_held()
            if loop is None:
                _write(line)
                return
            self._held.append(line)
            self._size += len(line)
            if self._timed is not loop:
                loop.call_later(_HELD_SECONDS, self._on_time)
                self._timed = loop
        except Exception:  # noqa: BLE001 - as every handler: what logs goes on
            self.handleError(record)

    def flush(self) -> None:
        """Write what waits; `logging.shutdown` calls it when the process ends."""
        # There is nowhere to say that standard error is gone.
        with contextlib.suppress(OSError):
            self.acquire()
            try:
                self._write_held()
            finally:
                self.release()

    def _on_time(self) -> None:
        self._timed = None
        self.flush()

    def _write_held(self) -> None:
        lines, self._held, self._size = self._held, [], 0
        _write(b"".join(lines))


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _write(text: bytes) -> None:
    while text:
        text = text[os.write(_STDERR, text) :]
