"""The guide's app on an event loop with asgiref's adapter: each request in a thread of its own."""

from typing import Any, ClassVar

from asgiref.sync import ThreadSensitiveContext
from asgiref.wsgi import WsgiToAsgi
from uvicorn_worker import UvicornWorker

from .guide import app as flask_app

_wsgi = WsgiToAsgi(flask_app)


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Without the context, asgiref runs one request after the other."""
    async with ThreadSensitiveContext():
        await _wsgi(scope, receive, send)


class Worker(UvicornWorker):
    """uvicorn as this project sets it. Without `reset_contextvars` four in ten answers are a 500."""

    CONFIG_KWARGS: ClassVar[dict[str, Any]] = {
        "loop": "uvloop",
        "http": "httptools",
        "ws": "none",
        "lifespan": "off",
        "access_log": False,
        "reset_contextvars": True,
    }
