"""One request and its response: calls the WSGI application in the request's greenlet and sends what it returns."""

import asyncio
import logging
import re
import threading
from collections.abc import Awaitable, Callable, Iterable, Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from werkzeug.exceptions import HTTPException

from .answer import ANSWER, NOTHING, Answer
from .body import Body, Message
from .bridge import await_
from .limit import Overdue
from .pool import Pool
from .protocol import SendAtOnce

if TYPE_CHECKING:
    from types import TracebackType

    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment
    from flask import Request

Send = Callable[[Message], Awaitable[None]]
Headers = list[tuple[str, str]]
ExcInfo = tuple[type[BaseException], BaseException, "TracebackType"] | tuple[None, None, None]

log = logging.getLogger(__name__)
# What uvicorn would refuse after it has begun to answer, or cannot be encoded.
_ILLEGAL = re.compile("[\x00-\x08\x0a-\x1f\x7f]|[^\x00-\xff]")
# RFC 9110, 5.6.2, in lower case.
_TOKEN = re.compile("[!#$%&'*+.^_`|~0-9a-z-]+")
_END = object()


@lru_cache(512)
def _name(given: str) -> str:
    """A header's name in lower case; ValueError if HTTP does not allow it."""
    name = given.lower()
    if not _TOKEN.fullmatch(name):
        raise ValueError(f"The response header {given!r} has a name that HTTP does not allow.")
    return name


class Exchange:
    """Runs in the request's greenlet; its methods may be called from a pool thread too."""

    __slots__ = (
        "_answer",
        "_at_once",
        "_body",
        "_environ",
        "_headers",
        "_on_first_byte",
        "_pool",
        "_preset",
        "_request",
        "_send",
        "_sent",
        "_status",
    )

    def __init__(
        self,
        environ: "WSGIEnvironment",
        body: Body,
        send: Send,
        pool: Pool,
        on_first_byte: Callable[[], None],
        *,
        at_once: SendAtOnce | None = None,
    ) -> None:
        self._environ = environ
        self._body = body
        self._send = send
        self._at_once = at_once
        self._pool = pool
        self._on_first_byte = on_first_byte
        self._status = 0
        self._headers: Headers = []
        self._preset = NOTHING
        self._answer = environ[ANSWER] = Answer()
        self._request: Request | None = None
        self._sent = False

    def run(self, application: "WSGIApplication") -> None:
        """Answer the request. An error before the first byte is a plain page; after it, the response stays cut off."""
        try:
            self._respond(application)
        except asyncio.CancelledError:
            self._answer_plainly(503, "Service Unavailable")
            raise
        except HTTPException as error:
            self._answer_plainly(error.code or 500, error.name)
        except Overdue:
            self._log_failure()
            self._answer_plainly(504, "Gateway Timeout")
        except BaseException:  # noqa: BLE001 - also SystemExit: a view must not end the worker
            self._log_failure()
            self._answer_plainly(500, "Internal Server Error")

    def _log_failure(self) -> None:
        # Not the path: it is whatever the client has sent, a query behind `%3F` as well.
        log.exception("a request failed: %s", self._environ["REQUEST_METHOD"])

    def _respond(self, application: "WSGIApplication") -> None:
        iterable = application(self._environ, self._start_response)
        if isinstance(iterable, list | tuple):
            try:
                self._send_whole(iterable)
            finally:
                close = getattr(iterable, "close", None)
                if close is not None:
                    close()
        else:
            self._stream(iterable)

    def _start_response(
        self, status: str, headers: Headers, exc_info: ExcInfo | None = None
    ) -> Callable[[bytes], object]:
        # Flask puts its request there, and has forgotten it, and the route with it, when the answer begins.
        self._request = self._environ.get("werkzeug.request")
        if exc_info is not None:
            try:
                if self._sent:
                    raise exc_info[1].with_traceback(exc_info[2])  # type: ignore[union-attr]
            finally:
                exc_info = None
        elif self._status:
            raise RuntimeError("start_response() was called a second time, without exc_info.")
        code = int(status[:3])
        if code < 200:
            raise ValueError(f"A response cannot have the status {code}: it is informational.")
        named = [(_name(name), value) for name, value in headers]
        names = [name for name, _ in named]
        for header in self._answer.own:
            if header[0] in names:
                named = [other for other in named if other[0] != header[0]]
            named.append(header)
        # One look at all of them. The expression takes ten times as long, and is for what is not plain.
        values = "".join([value for _, value in named])
        if not (values.isascii() and values.isprintable()) and _ILLEGAL.search(values):
            illegal = next(name for name, value in named if _ILLEGAL.search(value))
            raise ValueError(f"The response header {illegal!r} has a character that HTTP does not allow.")
        self._headers, self._preset = named, self._answer.preset.without(names)
        self._status = code
        return self._write

    def _write(self, data: bytes) -> None:
        # PEP 3333's imperative way of sending, for old frameworks.
        if self._has_body:
            self._send_chunk(data)

    @property
    def _has_body(self) -> bool:
        return self._environ["REQUEST_METHOD"] != "HEAD" and self._status not in (204, 304)

    def _send_whole(self, chunks: "list[bytes] | tuple[bytes, ...]") -> None:
        body = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        if not self._has_body:
            body = b""
        elif not self._sent:
            self._declare_length(len(body))
        if not self._sent:
            headers = self._begin()
            if self._at_once is not None and self._at_once(self._status, headers, self._preset.lines, body):
                return
            self._send_head(headers)
        await_(self._send({"type": "http.response.body", "body": body}))

    def _declare_length(self, length: int) -> None:
        for name, value in self._headers:
            if name == "content-length":
                if int(value) != length:
                    raise ValueError(f"The response declares {int(value)} bytes of body and has {length}.")
                return
        self._headers.append(("content-length", str(length)))

    def _stream(self, iterable: Iterable[bytes]) -> None:
        stream = _Stream(iterable)
        watch: asyncio.Task[None] | None = None
        try:
            chunk = self._pool.call(stream.next)
            if not self._status:
                raise RuntimeError("The application returned a body before it called start_response().")
            if self._has_body:
                watch = asyncio.get_running_loop().create_task(self._body.watch())
                while chunk is not _END and not self._body.disconnected:
                    if chunk:
                        self._send_chunk(chunk)
                    chunk = self._pool.call(stream.next)
            self._send_start()
            await_(self._send({"type": "http.response.body", "body": b""}))
        finally:
            if watch is not None:
                watch.cancel()
            if stream.may_close():
                self._pool.call(stream.close)

    def _send_chunk(self, chunk: bytes) -> None:
        if not self._sent:
            self._send_start()
        await_(self._send({"type": "http.response.body", "body": chunk, "more_body": True}))

    def _send_start(self) -> None:
        if not self._sent:
            self._send_head(self._begin())

    def _begin(self) -> Headers:
        if not self._status:
            raise RuntimeError("The application returned without calling start_response().")
        # Taken out, lest they and the environment hold each other.
        begins = self._answer.begins
        while begins:
            begins.pop()(self._status, self._request)
        self._sent = True
        self._on_first_byte()
        headers = self._headers
        if self._status in (204, 304):
            headers = [header for header in headers if header[0] != "content-length"]
        if "HTTP_EXPECT" in self._environ and not self._body.begun:
            # The client was not told to go on, so it may or may not send the body: the next request cannot be found.
            headers.append(("connection", "close"))
        return headers

    def _send_head(self, headers: Headers) -> None:
        lines = [*headers, *self._preset.headers]
        encoded = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in lines]
        await_(self._send({"type": "http.response.start", "status": self._status, "headers": encoded}))

    def _answer_plainly(self, code: int, text: str) -> None:
        if self._sent:
            return
        self._status, self._headers = code, [("content-type", "text/plain; charset=utf-8")]
        self._preset = NOTHING
        self._send_whole([text.encode()])


class _Stream:
    """A response's iterable, used by one pool thread at a time and closed once, by whoever has it last."""

    def __init__(self, iterable: Iterable[bytes]) -> None:
        self._iterable = iterable
        self._iterator: Iterator[bytes] | None = None
        self._lock = threading.Lock()
        self._running = False
        self._abandoned = False

    def next(self) -> Any:
        with self._lock:
            # A thread may come to it only now, when the request has been given up and the iterable is being closed.
            if self._abandoned:
                return _END
            self._running = True
        try:
            if self._iterator is None:
                self._iterator = iter(self._iterable)
            return next(self._iterator, _END)
        finally:
            with self._lock:
                self._running = False
                left_to_close = self._abandoned
            if left_to_close:
                self.close()

    def may_close(self) -> bool:
        with self._lock:
            self._abandoned = True
            return not self._running

    def close(self) -> None:
        close = getattr(self._iterable, "close", None)
        if close is not None:
            close()
