"""An ASGI server made of a queue each way, in the test's own loop: what a client sends, when, and what it gets."""

import asyncio
import functools
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import unquote

from app.server import ASGI, LoopFlask

Header = tuple[bytes, bytes]
SECONDS = 20


def on_a_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run an `async def` test, with an end to it and nothing left to asyncio's log."""

    @functools.wraps(test)
    def run(*arguments: Any, **options: Any) -> None:
        unhandled: list[dict[str, Any]] = []

        async def bounded() -> None:
            asyncio.get_running_loop().set_exception_handler(lambda _, context: unhandled.append(context))
            async with asyncio.timeout(SECONDS):
                await test(*arguments, **options)

        asyncio.run(bounded())
        assert unhandled == [], "asyncio would only have logged it"

    return run


async def until(condition: Callable[[], object], seconds: float = SECONDS) -> None:
    """Wait until `condition()` is true."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - there is no event for whatever a test waits for
            await asyncio.sleep(0.002)


class Exchange:
    """One request on its way; `send` is held up while `reading` is not set."""

    def __init__(self, app: ASGI, scope: dict[str, Any]) -> None:
        self.incoming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.messages: list[dict[str, Any]] = []
        self.received = 0
        self.gone = False
        self.reading = asyncio.Event()
        self.reading.set()
        self.task = asyncio.create_task(self._run(app, scope))

    async def _run(self, app: ASGI, scope: dict[str, Any]) -> None:
        await app(scope, self._receive, self._send)

    async def _receive(self) -> dict[str, Any]:
        self.received += 1
        if self.gone:
            return {"type": "http.disconnect"}
        return await self.incoming.get()

    async def _send(self, message: dict[str, Any]) -> None:
        await self.reading.wait()
        if not self.gone:
            self.messages.append(message)

    def upload(self, body: bytes, more: bool = False) -> None:
        self.incoming.put_nowait({"type": "http.request", "body": body, "more_body": more})

    def leave(self) -> None:
        self.gone = True
        self.incoming.put_nowait({"type": "http.disconnect"})

    async def done(self) -> "Exchange":
        await self.task
        return self

    @property
    def status(self) -> int:
        status: int = self.messages[0]["status"]
        return status

    @property
    def headers(self) -> list[Header]:
        headers: list[Header] = self.messages[0]["headers"]
        return headers

    def header(self, name: str) -> str | None:
        return next((value.decode("latin-1") for key, value in self.headers if key.decode() == name.lower()), None)

    @property
    def body(self) -> bytes:
        return b"".join(message["body"] for message in self.messages[1:])

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def complete(self) -> bool:
        return len(self.messages) > 1 and not self.messages[-1].get("more_body", False)


class Client:
    def __init__(self, app: ASGI) -> None:
        self.app = app
        self.cookies: dict[str, str] = {}

    def open(self, method: str, target: str, headers: Iterable[Header] = (), **scope: Any) -> Exchange:
        """Begin a request; its body is still to come."""
        raw_path, _, query = target.partition("?")
        return Exchange(
            self.app,
            {
                "type": "http",
                "asgi": {"version": "3.0"},
                "http_version": "1.1",
                "method": method,
                "scheme": "http",
                "path": unquote(raw_path),
                "raw_path": raw_path.encode("latin-1"),
                "query_string": query.encode(),
                "root_path": "",
                "headers": [(b"host", b"localhost"), *headers],
                "client": ("127.0.0.1", 50000),
                "server": ("127.0.0.1", 8000),
                **scope,
            },
        )

    async def request(
        self, method: str, target: str, headers: Iterable[Header] = (), body: bytes = b"", **scope: Any
    ) -> Exchange:
        """A whole request and its whole response; keeps cookies."""
        headers = list(headers)
        if self.cookies:
            headers.append((b"cookie", "; ".join(f"{k}={v}" for k, v in self.cookies.items()).encode()))
        if body:
            headers.append((b"content-length", str(len(body)).encode()))
        exchange = self.open(method, target, headers, **scope)
        exchange.upload(body)
        await exchange.done()
        for name, value in exchange.headers:
            if name == b"set-cookie":
                key, _, rest = value.decode().partition("=")
                self.cookies[key] = rest.partition(";")[0]
        return exchange

    async def get(self, target: str, headers: Iterable[Header] = (), **scope: Any) -> Exchange:
        return await self.request("GET", target, headers, **scope)


@asynccontextmanager
async def served(flask: LoopFlask) -> AsyncIterator[Client]:
    """Serve `flask` on the running loop, start and stop hooks included."""
    app = ASGI(flask)
    incoming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    outgoing: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    lifespan: Awaitable[None] = asyncio.create_task(app({"type": "lifespan"}, incoming.get, outgoing.put))
    incoming.put_nowait({"type": "lifespan.startup"})
    assert (await outgoing.get())["type"] == "lifespan.startup.complete"
    try:
        yield Client(app)
    finally:
        incoming.put_nowait({"type": "lifespan.shutdown"})
        assert (await outgoing.get())["type"] == "lifespan.shutdown.complete"
        await lifespan


def make(**config: Any) -> LoopFlask:
    """An app without anything in it."""
    flask = LoopFlask(__name__)
    flask.config.update(SECRET_KEY="for-tests", **config)
    return flask
