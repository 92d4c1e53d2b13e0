"""The pages of the tests, and two that keep what they run on busy (`APP_PAGES`)."""

import time

from flask import Blueprint, Flask

from tests.integration import pages

busy = Blueprint("busy", __name__, url_prefix="/busy")


def init_app(app: Flask) -> None:
    """Register them."""
    pages.init_app(app)
    app.register_blueprint(busy)


@busy.get("/thread/<float:seconds>")
def a_thread(seconds: float) -> dict[str, float]:
    time.sleep(seconds)
    return {"seconds": seconds}


@busy.get("/loop/<float:seconds>")
async def the_loop(seconds: float) -> dict[str, float]:
    # What nobody should do is what this is for.
    time.sleep(seconds)  # noqa: ASYNC251
    return {"seconds": seconds}
