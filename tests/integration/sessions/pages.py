"""Pages that read, change and end the session, for an app under the real gunicorn (`APP_PAGES`)."""

import asyncio
from typing import Any

from flask import Response, request, session

from app import sessions
from app.server import LoopFlask


def init_app(app: LoopFlask) -> None:
    """Register the routes."""
    app.add_url_rule("/get", view_func=get)
    app.add_url_rule("/anonymous", view_func=anonymous)
    app.add_url_rule("/set", view_func=set_, methods=["POST"])
    app.add_url_rule("/clear", view_func=clear, methods=["POST"])
    app.add_url_rule("/counted/<name>", view_func=counted, methods=["POST"])
    app.add_url_rule("/index/<label>", view_func=index, methods=["POST"])
    app.add_url_rule("/end/<label>", view_func=end, methods=["POST"])


async def get() -> dict[str, Any]:
    return dict(session)


async def anonymous() -> str:
    return "the same for everybody"


async def set_() -> str:
    session.update(request.get_json())
    return "set"


async def clear() -> str:
    session.clear()
    sessions.regenerate()
    return "cleared"


async def counted(name: str) -> dict[str, int]:
    """One more, by all workers together: the work is done under the lock, on what was read under it."""
    async with sessions.lock(name):
        await sessions.reload()
        before = session.get(name, 0)
        await asyncio.sleep(0.01)
        session[name] = before + 1
        await sessions.save()
    return {name: session[name]}


async def index(label: str) -> Response:
    session["label"] = label
    sessions.regenerate()
    sessions.index({label: int(request.args["since"])}, {"browser": request.headers.get("User-Agent", "")})
    return Response(status=200 if await sessions.save() else 409)


async def end(label: str) -> dict[str, int]:
    return {"ended": await sessions.end(label, at=int(request.args["at"]))}
