"""The floor: what this server, Flask and one GET from Redis cost, with no session, no sign-in, no logs and no headers.

The session's name is the key of what Redis holds; it begins with the page, and is as large as a sealed session.
"""

import os

from flask import Response, request

from app.server import ASGI, LoopFlask
from app.sessions.connect import Connection
from app.sessions.store import RedisStore
from tests.load.users import TOKEN_BYTES, USERS

_SEALED_BYTES = 2 * TOKEN_BYTES + 700
_COOKIE = "floor"

flask_app = LoopFlask("floor", static_folder=None)
store = RedisStore(Connection(os.environ["REDIS_URL"], 10.0))
flask_app.on_stop(store.close)


@flask_app.get("/")
async def home() -> str:
    return "Welcome!"


@flask_app.get("/profile")
async def profile() -> bytes:
    blob: bytes = await store.execute("GET", request.cookies[_COOKIE])
    return blob[: blob.index(b"\0")]


@flask_app.get("/sign-in/<key>")
async def sign_in(key: str) -> Response:
    await store.execute("SET", f"floor:{key}", USERS[key].page.encode().ljust(_SEALED_BYTES, b"\0"))
    response = Response("signed in")
    response.set_cookie(_COOKIE, f"floor:{key}")
    return response


app = ASGI(flask_app)
