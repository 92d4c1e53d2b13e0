"""The app that the server's tests serve with the real gunicorn."""

import asyncio
import contextvars
import gc
import os
import threading
import time
from collections.abc import Iterator
from typing import Any

from flask import Response, flash, g, get_flashed_messages, request, session, stream_with_context
from prometheus_client import Counter

from app.server import ASGI, LoopFlask, on_loop

flask = LoopFlask(__name__)
flask.config.update(
    SECRET_KEY="for-tests",
    MAX_CONTENT_LENGTH=int(os.environ.get("SERVER_MAX_BODY_BYTES", "1048576")),
    SERVER_THREADS=int(os.environ.get("SERVER_THREADS", "8")),
    SERVER_CONCURRENCY=int(os.environ.get("SERVER_CONCURRENCY", "128")),
    SERVER_REQUEST_TIMEOUT_SECONDS=float(os.environ.get("SERVER_REQUEST_TIMEOUT_SECONDS", "30")),
    SERVER_DRAIN_SECONDS=float(os.environ.get("SERVER_DRAIN_SECONDS", "0")),
)
made: list[int] = []
variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")

if os.environ.get("COUNT_REQUESTS"):
    seen = Counter("http_requests_seen", "Requests.")

    @flask.before_request
    @on_loop
    def see() -> None:
        seen.inc()


@flask.on_start
async def start() -> None:
    if os.environ.get("FAIL_TO_START"):
        raise ConnectionError("no database")
    print("on_start has run", flush=True)


@flask.on_stop
async def stop() -> None:
    print("on_stop has run", flush=True)


@flask.get("/")
async def hello() -> str:
    return "hello"


@flask.get("/ready")
@on_loop
def ready() -> tuple[str, int]:
    return ("draining", 503) if flask.stats.draining else ("ready", 200)


@flask.get("/stats")
@on_loop
def stats() -> dict[str, Any]:
    return {
        **vars(flask.stats),
        "pid": os.getpid(),
        "made": len(made),
        "heap": [gc.get_freeze_count(), *gc.get_threshold()],
    }


@flask.get("/sleep/<float:seconds>")
async def sleep(seconds: float) -> str:
    print("sleep has begun", flush=True)
    await asyncio.sleep(seconds)
    return "slept"


@flask.get("/block/<float:seconds>")
def block(seconds: float) -> str:
    print("block has begun", flush=True)
    time.sleep(seconds)
    return "blocked"


@flask.get("/stubborn")
async def stubborn() -> str:
    print("stubborn has begun", flush=True)
    while True:
        try:
            await asyncio.sleep(1000)
        except asyncio.CancelledError:
            print("stubborn was cancelled", flush=True)


@flask.get("/executor")
async def executor() -> str:
    # asyncio waits for the threads of its own executor when the loop ends.
    print("executor has begun", flush=True)
    await asyncio.to_thread(time.sleep, 1000)
    return ""


@flask.post("/upload")
async def upload() -> dict[str, Any]:
    return {"bytes": len(request.get_data())}


@flask.post("/plain-upload")
def plain_upload() -> dict[str, Any]:
    return {"bytes": len(request.get_data())}


@flask.post("/ignore")
async def ignore() -> str:
    return "not read"


@flask.get("/stream/<int:chunks>")
def stream(chunks: int) -> Any:
    made.clear()

    def generate() -> Iterator[bytes]:
        try:
            for number in range(chunks):
                made.append(number)
                yield b"x" * 65536
        finally:
            print("the stream is closed", flush=True)

    return generate()


@flask.get("/events")
def events() -> Response:
    @stream_with_context
    def generate() -> Iterator[str]:
        try:
            while True:
                yield f"data: {request.path}\n\n"
                time.sleep(0.01)
        finally:
            print("the events are closed", flush=True)

    return Response(generate(), mimetype="text/event-stream")


@flask.get("/fails/<when>")
def fails(when: str) -> Any:
    def generate() -> Iterator[bytes]:
        if when == "before":
            raise LookupError("before the first byte")
        yield b"first"
        raise LookupError("after the first byte")

    return generate()


@flask.get("/informational")
async def informational() -> Response:
    return Response("", 103)


@flask.get("/status/<int:code>")
async def status(code: int) -> Response:
    return Response("body", code)


@flask.get("/cookies")
async def cookies() -> Response:
    response = Response("cookies")
    response.set_cookie("a", "1")
    response.set_cookie("b", "2")
    return response


@flask.get("/echo")
async def echo() -> dict[str, Any]:
    return {
        "path": request.path,
        "url": request.url,
        "headers": sorted([name, value] for name, value in request.headers),
        "remote": request.remote_addr,
    }


@flask.get("/path/<path:name>")
async def path(name: str) -> str:
    return ascii(name)


# Who is who: each step looks at the session of its own user, in every kind of function.


@flask.before_request
def note_user() -> None:
    g.user = session.get("user")


@flask.get("/login/<user>")
async def login(user: str) -> str:
    await asyncio.sleep(0)
    session["user"] = user
    flash(f"welcome {user}")
    return "ok"


@flask.get("/who/async")
async def who_async() -> str:
    before = session["user"]
    await asyncio.sleep(0.001)
    return f"{g.user} {before} {session['user']}"


@flask.get("/who/plain")
def who_plain() -> str:
    before = session["user"]
    time.sleep(0.001)
    return f"{g.user} {before} {session['user']}"


@flask.get("/who/stream")
def who_stream() -> Any:
    @stream_with_context
    def generate() -> Iterator[str]:
        yield f"{g.user} "
        yield f"{session['user']} "
        time.sleep(0.001)
        yield f"{session['user']}"

    return generate()


@flask.get("/flashed")
def flashed() -> str:
    return ",".join(get_flashed_messages())


@flask.get("/thread")
@on_loop
def thread() -> str:
    return threading.current_thread().name


@flask.get("/variable")
async def set_variable() -> str:
    before = variable.get()
    variable.set("set by another request")
    return before


@flask.get("/loop")
async def loop() -> str:
    return f"{id(asyncio.get_running_loop())} {threading.get_ident()}"


app = ASGI(flask)
