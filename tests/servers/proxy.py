"""A real HTTP proxy for TLS (CONNECT, RFC 9110, 9.3.6), which remembers to whom it was asked to connect."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field


@dataclass
class Proxy:
    """A running proxy: its `url`, the `targets` (host:port) and the `Proxy-Authorization` of each request so far."""

    port: int = 0
    targets: list[str] = field(default_factory=list)
    credentials: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection."""
        request, *headers = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        _method, target, _version = request.split()
        self.targets.append(target)
        sent = dict(header.lower().split(": ", 1) for header in headers if header)
        self.credentials.append(sent.get("proxy-authorization", ""))
        host, _, port = target.rpartition(":")
        upstream_reader, upstream_writer = await asyncio.open_connection(host, int(port))
        try:
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            await asyncio.gather(_copy(reader, upstream_writer), _copy(upstream_reader, writer))
        finally:
            for side in (upstream_writer, writer):
                side.close()
                with suppress(ConnectionError):
                    await side.wait_closed()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.close()


@contextmanager
def http_proxy() -> Iterator[Proxy]:
    """Run a proxy on a free port of 127.0.0.1."""
    proxy = Proxy()
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    def run(coroutine: object) -> object:
        return asyncio.run_coroutine_threadsafe(coroutine, loop).result(20)  # type: ignore[arg-type]

    server = run(asyncio.start_server(proxy.serve, "127.0.0.1", 0))
    assert isinstance(server, asyncio.Server)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        run(_end(server))
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _end(server: asyncio.Server) -> None:
    server.close()
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
