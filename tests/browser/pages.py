"""The project's pages and those that only tests need: `APP_PAGES=tests.browser.pages`."""

import hashlib
import random

from flask import (
    Blueprint,
    Flask,
    Response,
    abort,
    make_response,
    redirect,
    render_template_string,
    request,
    session,
    url_for,
)
from werkzeug.wrappers import Response as Redirection

from app import pages as own

extra = Blueprint("extra", __name__, url_prefix="/test")

_PAGE = """{% extends "layout.html" %}{% block title %}Test{% endblock %}
{% block content %}<h1>Test</h1>{{ content }}{% endblock %}"""


def init_app(app: Flask) -> None:
    """Register both."""
    own.init_app(app)
    app.register_blueprint(extra)


@extra.get("/error/<int:status>")
def error(status: int) -> None:
    """Fail with any status."""
    abort(status)


@extra.get("/picture")
def picture() -> str:
    """Show a picture from anywhere."""
    return render_template_string(_PAGE.replace("{{ content }}", '<img src="{{ request.args.src }}" alt="Picture">'))


@extra.route("/form", methods=["GET", "POST"])
def form() -> str | Redirection:
    """A form whose answer leads to the provider."""
    if request.method == "POST":
        return redirect(url_for("auth.login"), 303)
    return render_template_string(_PAGE.replace("{{ content }}", '<form method="post"><button>Sign in</button></form>'))


@extra.get("/keep")
def keep() -> str:
    """Keep that many characters in the session, and say which; without a number say what is kept."""
    size = request.args.get("size", type=int)
    if size is not None:
        # Random enough that nothing makes it smaller.
        session["kept"] = random.Random(size).randbytes(size // 2 + 1).hex()[:size]
    kept = session.get("kept", "")
    return f"{len(kept)} {hashlib.sha256(kept.encode()).hexdigest()}"


@extra.get("/speculation")
def speculation() -> Response:
    """A page that has the browser fetch a link in advance, as it would if somebody went there."""
    response = make_response(render_template_string(_PAGE.replace("{{ content }}", "")))
    response.headers["Speculation-Rules"] = '"/test/rules"'
    return response


@extra.get("/rules")
def rules() -> Response:
    """The rules of that page."""
    response = make_response('{"prefetch": [{"urls": ["/logout"], "eagerness": "immediate"}]}')
    response.mimetype = "application/speculationrules+json"
    return response


@extra.get("/text")
def text() -> Response:
    """Text that would be a script if the browser guessed."""
    response = make_response("document.title = 'the text ran as a script'")
    response.mimetype = "text/plain"
    return response


@extra.get("/script")
def script() -> str:
    """A page that asks for the text as a script."""
    return render_template_string(_PAGE.replace("{{ content }}", '<script src="/test/text"></script>'))
