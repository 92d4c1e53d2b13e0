"""A small app with nothing but sessions."""

from typing import Any

import pytest
from flask import request, session

from app import sessions
from app.server import LoopFlask
from app.settings import Settings


def make_app(settings: Settings) -> LoopFlask:
    """An app whose routes read, write, clear and regenerate the session."""
    app = LoopFlask("sessions-under-test")
    app.config["TESTING"] = True
    sessions.init_app(app, settings)

    @app.get("/untouched")
    async def untouched() -> str:
        return "no session here"

    @app.get("/get")
    async def get() -> dict[str, Any]:
        return dict(session)

    @app.post("/set")
    async def set_() -> str:
        session.update(request.get_json())
        return "set"

    @app.post("/clear")
    async def clear() -> str:
        session.clear()
        return "cleared"

    @app.post("/regenerate")
    async def regenerate() -> str:
        sessions.regenerate()
        session["regenerated"] = True
        return "regenerated"

    return app


@pytest.fixture
def app(settings: Settings) -> LoopFlask:
    """The app with sessions in cookies."""
    return make_app(settings)
