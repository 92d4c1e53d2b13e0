"""The request's body as a file (`wsgi.input`), pulled from the client as it is read."""

import asyncio
import io
from collections.abc import Awaitable, Callable
from typing import Any

from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge

from .bridge import await_

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]


class Body(io.RawIOBase):
    """Reads like a binary file, from the request's code wherever it runs.

    Nothing is asked of the client before the first read, so `Expect: 100-continue` is answered only then. Reading
    raises ClientDisconnected (400) if the client goes away before the end, RequestEntityTooLarge (413) past `limit`
    bytes.
    """

    def __init__(self, receive: Receive, unread_seconds: float = 30.0) -> None:
        super().__init__()
        self.limit: int | None = None
        self.begun = False
        self.disconnected = False
        self._receive = receive
        self._unread_seconds = unread_seconds
        self._more = True
        self._cut = False
        self._received = 0
        # What was received and not read yet begins at `_start`: slicing lines off would copy the rest for each line.
        self._chunk = b""
        self._start = 0
        self._watched: _Watch | None = None

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1, /) -> bytes:
        wanted = None if size is None or size < 0 else size
        if wanted is not None and wanted <= len(self._chunk) - self._start:
            return self._take(wanted)
        # Not bytearray nor a list of chunks: `getvalue` hands out its buffer without a second copy of the body.
        collected = io.BytesIO()
        await_(self._collect(collected, wanted))
        return collected.getvalue()

    def readall(self) -> bytes:
        return self.read()

    def readinto(self, buffer: Any, /) -> int:
        if not self._unread:
            await_(self._fill())
        data = self._take(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def readline(self, size: int | None = -1, /) -> bytes:
        line = bytearray()
        room = None if size is None or size < 0 else size
        while room is None or len(line) < room:
            if not self._unread:
                await_(self._fill())
                if not self._unread:
                    break
            end = self._chunk.find(b"\n", self._start) + 1 or len(self._chunk)
            length = end - self._start
            line += self._take(length if room is None else min(length, room - len(line)))
            if line.endswith(b"\n"):
                break
        return bytes(line)

    @property
    def _unread(self) -> bool:
        return self._start < len(self._chunk)

    def _take(self, size: int) -> bytes:
        taken = self._chunk[self._start : self._start + size]
        self._start += len(taken)
        if not self._unread:
            self._chunk, self._start = b"", 0
        return taken

    async def _collect(self, collected: io.BytesIO, size: int | None) -> None:
        while size is None or collected.tell() < size:
            await self._fill()
            if not self._unread:
                break
            collected.write(self._take(len(self._chunk) if size is None else size - collected.tell()))

    async def _fill(self) -> None:
        """Wait until there is something unread, or the end."""
        self.begun = True
        while not self._unread and self._more and not self._cut:
            if self._watched is None:
                self._accept(await self._receive())
            else:
                await self._watched.next_message()
        if self._cut and not self._unread:
            raise ClientDisconnected
        if self.limit is not None and self._received > self.limit:
            raise RequestEntityTooLarge

    def _accept(self, message: Message) -> None:
        if message["type"] == "http.disconnect":
            self.disconnected = True
            self._cut = self._cut or self._more
            self._more = False
            return
        self._chunk, self._start = message.get("body", b""), 0
        self._received += len(self._chunk)
        self._more = message.get("more_body", False)

    async def watch(self) -> None:
        """Wait for the client to go away, while its response is streamed. Reading goes on meanwhile."""
        self._watched = watch = _Watch()
        try:
            while not self.disconnected:
                if self._unread:
                    # Without an end to it, a client that sends what nobody reads could leave unnoticed.
                    try:
                        await asyncio.wait_for(watch.wanted.wait(), self._unread_seconds)
                    except TimeoutError:
                        self._chunk, self._start, self._cut = b"", 0, True
                watch.wanted.clear()
                message = await self._receive()
                if not self._cut or message["type"] == "http.disconnect":
                    self._accept(message)
                watch.arrived.set()
        finally:
            self._watched = None
            watch.arrived.set()


class _Watch:
    """How a reader and the watch take turns: only one may receive."""

    def __init__(self) -> None:
        self.wanted = asyncio.Event()
        self.arrived = asyncio.Event()

    async def next_message(self) -> None:
        self.wanted.set()
        await self.arrived.wait()
        self.arrived.clear()
