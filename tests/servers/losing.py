"""What is in between a client and Redis when an answer gets lost: the command was carried out, and nobody knows."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

_SECONDS = 20


@dataclass
class Losing:
    """Listens at `url` and passes on what it gets; `lost` has the commands whose answer it kept."""

    folder: Path
    upstream: Path
    lost: list[bytes] = field(default_factory=list)
    _next: bytes = b""

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"unix://{self.folder / 'losing.sock'}"

    def lose(self, text: bytes) -> None:
        """Close the connection in place of the answer to the next command that has *text* in it."""
        self._next = text

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection."""
        upstream_reader, upstream_writer = await asyncio.open_unix_connection(self.upstream)
        try:
            while command := await reader.read(1_000_000):
                upstream_writer.write(command)
                # These tests send nothing else over a connection before they have the answer.
                answer = await upstream_reader.read(1_000_000)
                if self._next and self._next in command:
                    self._next = b""
                    self.lost.append(command)
                    break
                writer.write(answer)
        finally:
            for side in (upstream_writer, writer):
                side.close()
                with suppress(ConnectionError):
                    await side.wait_closed()


@contextmanager
def losing(folder: Path, upstream: Path) -> Iterator[Losing]:
    """Run one in front of the Redis whose socket is *upstream*."""
    between = Losing(folder, upstream)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    async def begin() -> asyncio.AbstractServer:
        return await asyncio.start_unix_server(between.serve, folder / "losing.sock")

    async def end(server: asyncio.AbstractServer) -> None:
        server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    server = asyncio.run_coroutine_threadsafe(begin(), loop).result(_SECONDS)
    try:
        yield between
    finally:
        asyncio.run_coroutine_threadsafe(end(server), loop).result(_SECONDS)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
