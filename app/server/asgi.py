"""The ASGI 3 application around a `LoopFlask`."""

import functools
from typing import Any

from .body import Body, Message, Receive
from .environ import BadScope, Scope, environ_of
from .exchange import Exchange, Send
from .flask import LoopFlask
from .greenlets import Greenlets
from .lifespan import lifespan
from .limit import TimeLimit
from .pool import RETRY_AFTER_SECONDS, Pool
from .protocol import AT_ONCE


class ASGI:
    """Serves `flask`. Its configuration (`SERVER_THREADS`, `SERVER_CONCURRENCY` and `SERVER_REQUEST_TIMEOUT_SECONDS`)
    is read here, once.
    """

    def __init__(self, flask: LoopFlask) -> None:
        self.flask = flask
        self._stats = flask.stats
        self._concurrency: int = flask.config.setdefault("SERVER_CONCURRENCY", 128)
        self._timeout_seconds: float = flask.config.setdefault("SERVER_REQUEST_TIMEOUT_SECONDS", 30.0)
        self._pool = flask.pool = Pool(flask.config.setdefault("SERVER_THREADS", 8), flask.stats)
        self._greenlets = Greenlets()
        self._overload: list[Message] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind = scope["type"]
        if kind == "http":
            await self._http(scope, receive, send)
        elif kind == "lifespan":
            await lifespan(self.flask, receive, send)
        elif kind == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008})
        else:
            raise ValueError(f"The ASGI scope {kind!r} is not served.")

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._stats.in_flight >= self._concurrency:
            self._stats.refused_at_door += 1
            await self._send_all(self._overload_messages(), send)
            return
        self._stats.in_flight += 1
        try:
            await self._answer(scope, receive, send)
        finally:
            self._stats.in_flight -= 1

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = Body(receive, self._timeout_seconds)
        try:
            environ = environ_of(scope, body)
        except BadScope as error:
            await self._send_all(_messages(400, [("Connection", "close")], f"Bad Request: {error}".encode()), send)
            return
        limit = TimeLimit(self._timeout_seconds, self._stats)
        at_once = scope.get("extensions", {}).get(AT_ONCE)
        exchange = Exchange(environ, body, send, self._pool, limit.cancel, at_once=at_once)
        request = self._greenlets.take()
        limit.start(request)
        try:
            await request.drive(functools.partial(exchange.run, self.flask.wsgi_app))
        finally:
            limit.cancel()
            self._greenlets.give_back(request)

    async def _send_all(self, messages: list[Message], send: Send) -> None:
        for message in messages:
            await send(message)

    def _overload_messages(self) -> list[Message]:
        # Made once: an answer to too many requests must cost next to nothing.
        if not self._overload:
            make = self.flask.overload_response
            headers: Any = [("Content-Type", "text/plain; charset=utf-8")]
            body = b"Service Unavailable"
            if make is not None:
                with self.flask.app_context():
                    response = make()
                    headers, body = response.headers, response.get_data()
            kept = [(name, value) for name, value in headers if name.lower() not in ("retry-after", "content-length")]
            self._overload = _messages(503, [*kept, ("Retry-After", str(RETRY_AFTER_SECONDS))], body)
        return self._overload


def _messages(status: int, headers: list[tuple[str, str]], body: bytes) -> list[Message]:
    headers = [*headers, ("Content-Length", str(len(body)))]
    encoded = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
    return [
        {"type": "http.response.start", "status": status, "headers": encoded},
        {"type": "http.response.body", "body": body},
    ]
