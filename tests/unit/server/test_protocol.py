"""uvicorn's protocol with the way to send a whole response at once, over a transport that keeps what is written."""

import asyncio
from typing import Any

import pytest
from uvicorn.config import Config
from uvicorn.server import ServerState

from app.server import ANSWER, ASGI, LoopFlask, Preset
from app.server.protocol import Protocol

from .client import on_a_loop, until


class Transport(asyncio.Transport):
    """What a client would get, write by write."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []
        self.closed = False

    def write(self, data: Any) -> None:
        self.writes.append(bytes(data))

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None:
        """Nothing is read here."""

    def resume_reading(self) -> None:
        """Nothing is read here."""


def connected(flask: LoopFlask) -> tuple[Protocol, Transport]:
    config = Config(ASGI(flask), lifespan="off", log_config=None)
    state = ServerState()
    state.default_headers = [(b"date", b"today")]
    protocol, transport = Protocol(config, state, {}, asyncio.get_running_loop()), Transport()
    protocol.connection_made(transport)
    return protocol, transport


def an_app(headers: dict[str, str] | None = None) -> LoopFlask:
    flask = LoopFlask("whole")

    @flask.route("/", methods=["GET", "POST"])
    async def page() -> tuple[str, dict[str, str]]:
        return "päge", {"Content-Type": "text/plain", **(headers or {})}

    return flask


async def answer(protocol: Protocol, transport: Transport, request: str) -> list[bytes]:
    transport.writes.clear()
    protocol.data_received(request.encode())
    await until(lambda: protocol.cycle.response_complete)
    return transport.writes


GET = "GET / HTTP/1.1\r\nHost: localhost\r\n"
WHOLE = "HTTP/1.1 200 OK\r\ndate: today\r\ncontent-type: text/plain\r\ncontent-length: 5\r\n"


@on_a_loop
async def test_a_whole_response_is_one_write_and_the_connection_goes_on() -> None:
    protocol, transport = connected(an_app())
    for _ in range(2):
        assert await answer(protocol, transport, GET + "\r\n") == [f"{WHOLE}\r\npäge".encode()]
    assert not transport.closed
    assert protocol.server_state.total_requests == 2


@on_a_loop
async def test_head_has_the_length_and_no_body() -> None:
    assert await answer(*connected(an_app()), GET.replace("GET", "HEAD") + "\r\n") == [f"{WHOLE}\r\n".encode()]


@on_a_loop
async def test_headers_that_are_the_same_each_time_are_in_the_one_write() -> None:
    flask = an_app()
    application, preset = flask.wsgi_app, Preset([("X-Frame-Options", "DENY"), ("Referrer-Policy", "same-origin")])

    def with_preset(environ: Any, start_response: Any) -> Any:
        environ[ANSWER].preset = preset
        return application(environ, start_response)

    flask.wsgi_app = with_preset  # type: ignore[method-assign]
    protocol, transport = connected(flask)
    same = "x-frame-options: DENY\r\nreferrer-policy: same-origin\r\n"
    assert await answer(protocol, transport, GET + "\r\n") == [f"{WHOLE}{same}\r\npäge".encode()]


@pytest.mark.parametrize("request_", [GET + "Connection: close\r\n\r\n", "GET / HTTP/1.0\r\n\r\n"])
@on_a_loop
async def test_a_connection_that_the_client_does_not_keep_is_closed(request_: str) -> None:
    protocol, transport = connected(an_app())
    assert await answer(protocol, transport, request_) == [f"{WHOLE}connection: close\r\n\r\npäge".encode()]
    assert transport.closed


@on_a_loop
async def test_an_app_that_ends_the_connection_ends_it() -> None:
    protocol, transport = connected(an_app({"Connection": "close"}))
    written = b"".join(await answer(protocol, transport, GET + "\r\n"))
    assert written.count(b"connection: close") == 1
    assert written.endswith(b"\r\n\r\np\xc3\xa4ge")
    assert transport.closed


@on_a_loop
async def test_a_client_that_does_not_read_is_waited_for() -> None:
    protocol, transport = connected(an_app())
    protocol.pause_writing()
    protocol.data_received(f"{GET}\r\n".encode())
    await until(lambda: protocol.cycle is not None)
    for _ in range(10):
        await asyncio.sleep(0)
    assert transport.writes == []
    protocol.resume_writing()
    await until(lambda: protocol.cycle.response_complete)
    assert b"".join(transport.writes) == f"{WHOLE}\r\npäge".encode()


@on_a_loop
async def test_pipelined_requests_are_answered_in_order() -> None:
    protocol, transport = connected(an_app())
    protocol.data_received(f"{GET}\r\n".encode() * 3)
    await until(lambda: protocol.server_state.total_requests == 3)
    assert transport.writes == [f"{WHOLE}\r\npäge".encode()] * 3
