"""`/healthz/live` and `/healthz/ready`, for the machine's own network: nginx answers 404 for them."""

from flask import Blueprint, Flask, current_app

from app import sessions

health = Blueprint("health", __name__, url_prefix="/healthz")


def init_app(app: Flask) -> None:
    """Register the routes."""
    app.register_blueprint(health)


@health.get("/live")
async def live() -> dict[str, str]:
    """Whether the process answers. Nothing else: a restart mends neither Redis nor Auth0."""
    return {"status": "live"}


@health.get("/ready")
async def ready() -> tuple[dict[str, str], int]:
    """Whether requests should be sent here: the session store answers, and the process is not stopping.

    Auth0 is not asked: its outage must not take down the pages that need no login.
    """
    if current_app.extensions["server"].draining:
        return {"status": "stopping"}, 503
    try:
        await sessions.ping()
    except sessions.StoreUnavailable:
        return {"status": "the session store does not answer"}, 503
    return {"status": "ready"}, 200
