"""The process that is counted: `python -m tests.load.counting.process WAY [PART...]`, with the ways' environment.

It has the server's protocol, loop and application, and a real Redis; no socket towards the client, whose reading and
writing is the kernel's. Says `ready`; for each number on standard input it answers so many rounds, and says so.
"""

import asyncio
import importlib
import sys
from collections.abc import Awaitable
from http.cookies import SimpleCookie
from typing import Any

import uvloop
from uvicorn.config import Config
from uvicorn.server import ServerState

from app.server import ASGI, heap
from app.server.bridge import serve_on
from app.server.protocol import Protocol
from app.server.worker import Worker
from tests.load.counting.parts import LEFT_OUT
from tests.load.users import ADA
from tests.load.ways import ORIGIN_HOST

AT_A_TIME = 16


class Client(asyncio.Transport):
    """One kept-open connection, from the server's side."""

    def __init__(self, protocol: Protocol) -> None:
        super().__init__()
        self._protocol = protocol
        self._answer: asyncio.Future[bytes] | None = None
        protocol.connection_made(self)

    def ask(self, request: bytes) -> Awaitable[bytes]:
        """Send the request; the answer, once it was written."""
        self._answer = asyncio.get_running_loop().create_future()
        self._protocol.data_received(request)
        return self._answer

    def write(self, data: Any) -> None:
        assert self._answer is not None
        self._answer.set_result(bytes(data))

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return {"peername": ("127.0.0.1", 40_000), "sockname": ("127.0.0.1", 8000)}.get(name, default)

    def is_closing(self) -> bool:
        return False

    def close(self) -> None:
        raise AssertionError("the server closes the connection")


async def run(app: ASGI) -> None:
    """Sign in, then answer as many rounds as standard input says."""
    loop = asyncio.get_running_loop()
    serve_on(loop)
    for hook in app.flask.start_hooks:
        await hook()
    config = Config(app, **Worker.CONFIG_KWARGS)
    config.load()
    state = ServerState()
    clients = [Client(Protocol(config=config, server_state=state, app_state={}, _loop=loop)) for _ in range(AT_A_TIME)]
    head, _, _ = (await clients[0].ask(_request("/sign-in/ada"))).decode().partition("\r\n\r\n")
    values = [line.partition(": ")[2] for line in head.splitlines() if line.lower().startswith("set-cookie")]
    cookies = [morsel for value in values for morsel in SimpleCookie(value).values()]
    request = _request("/profile", "; ".join(f"{cookie.key}={cookie.value}" for cookie in cookies))
    heap.settle()
    print("ready", flush=True)
    while line := sys.stdin.readline():
        for _ in range(int(line)):
            answers = await asyncio.gather(*[client.ask(request) for client in clients])
            if not all(answer.endswith(ADA.page.encode()) for answer in answers):
                sys.exit(f"A page is not the user's: {answers[0].decode()}")
        print("done", flush=True)


def _request(path: str, cookie: str = "") -> bytes:
    lines = [f"GET {path} HTTP/1.1", f"Host: {ORIGIN_HOST}:8443", *([f"Cookie: {cookie}"] if cookie else [])]
    return "\r\n".join([*lines, "", ""]).encode()


def main(module: str, parts: list[str]) -> None:
    """Serve the ASGI application `app` of *module*."""
    app: ASGI = importlib.import_module(module).app
    for part in parts:
        LEFT_OUT[part].leave_out(app.flask)
    uvloop.run(run(app))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
