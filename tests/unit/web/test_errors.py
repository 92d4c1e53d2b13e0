"""Error pages: every error looks like the app, tells nothing, and carries the reference that the log has."""

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from flask import abort, redirect
from flask.testing import FlaskClient
from werkzeug.exceptions import HTTPException, NotFound, TooManyRequests, Unauthorized
from werkzeug.wrappers import Response

from app import create_app
from app.ops.logs import JsonFormatter
from app.settings import Settings
from tests.unit.browsing import client_of, reference

HEADINGS = {
    400: "This request cannot be answered",
    403: "No access",
    404: "Page not found",
    405: "This does not work here",
    413: "Too much at once",
    429: "Too many requests",
    500: "Something went wrong",
    502: "Not available",
    503: "Not available",
    504: "This took too long",
}


class Choices(HTTPException):
    """No error, though Flask hands it over as one."""

    code = 300


class Labelled(HTTPException):
    """One whose headers are about a body of its own."""

    code = 409

    def get_headers(self, *_arguments: Any) -> list[tuple[str, str]]:
        """Say of what kind and how long that is, and something of the error."""
        return [("Content-Type", "application/json"), ("Content-Length", "2"), ("X-Limit", "7")]


@pytest.fixture
def client(settings: Settings) -> FlaskClient:
    app = create_app(settings)

    @app.get("/abort/<int:status>")
    async def stop(status: int) -> None:
        abort(status, "marked-detail")

    @app.get("/plain-abort/<int:status>")
    def stop_plainly(status: int) -> None:
        abort(status, "marked-detail")

    @app.get("/bug")
    async def bug() -> None:
        raise LookupError("marked-detail")

    @app.get("/limited")
    async def limited() -> None:
        raise TooManyRequests(retry_after=7)

    @app.get("/unauthorized")
    async def unauthorized() -> None:
        raise Unauthorized(www_authenticate=None, description="marked-detail")

    @app.get("/own")
    async def own() -> Response:
        abort(Response("the view's own answer", 404))

    @app.get("/own-of-an-error")
    async def own_of_an_error() -> Response:
        raise NotFound(response=Response("the error's own answer", 404))

    @app.get("/choices")
    async def choices() -> None:
        raise Choices("one or the other")

    @app.get("/labelled")
    async def labelled() -> None:
        raise Labelled

    @app.get("/away")
    async def away() -> Response:
        return redirect("/elsewhere")

    @app.post("/upload")
    async def upload() -> str:
        from flask import request

        return str(len(request.get_data()))

    return client_of(app)


@pytest.fixture
def log() -> Iterator[list[dict[str, Any]]]:
    """What the log gets, as production writes it."""
    lines: list[dict[str, Any]] = []

    class Kept(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(json.loads(self.format(record)))

    handler = Kept()
    handler.setFormatter(JsonFormatter())
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    yield lines
    root.removeHandler(handler)
    root.setLevel(level)


@pytest.mark.parametrize("kind", ["abort", "plain-abort"])
@pytest.mark.parametrize("status", HEADINGS)
def test_each_error_is_a_page_in_the_apps_look_with_a_reference(client: FlaskClient, kind: str, status: int) -> None:
    answer = client.get(f"/{kind}/{status}")
    assert answer.status_code == status
    assert answer.content_type == "text/html; charset=utf-8"
    assert f"<h1>{HEADINGS[status]}</h1>" in answer.text
    assert "/static/style.css" in answer.text
    assert 'href="/"' in answer.text
    assert "marked-detail" not in answer.text
    assert reference(answer) == answer.headers["X-Request-ID"]


@pytest.mark.parametrize("status", [401, 406, 409, 410, 418, 501])
def test_any_other_error_is_a_page_too(client: FlaskClient, status: int) -> None:
    answer = client.get(f"/abort/{status}")
    assert answer.status_code == status
    assert "<h1>This did not work</h1>" in answer.text
    assert "marked-detail" not in answer.text


def test_a_bug_is_a_500_page_and_in_the_log_alone_with_its_traceback(
    client: FlaskClient, log: list[dict[str, Any]]
) -> None:
    answer = client.get("/bug")
    assert answer.status_code == 500
    assert "marked-detail" not in answer.text
    assert "LookupError" not in answer.text
    [line] = [line for line in log if "exception" in line]
    assert "LookupError: marked-detail" in line["exception"]
    assert line["level"] == "error"
    assert line["request_id"] == reference(answer)


def test_every_error_has_one_line_with_its_reference(client: FlaskClient, log: list[dict[str, Any]]) -> None:
    for path in ("/abort/403", "/no-such-page", "/bug"):
        answer = client.get(path)
        found = [line for line in log if line["message"] == "request" and line["request_id"] == reference(answer)]
        assert [(line["path"], line["status"]) for line in found] == [(path, answer.status_code)]


def test_an_error_keeps_the_headers_that_say_what_to_do(client: FlaskClient) -> None:
    assert client.get("/limited").headers["Retry-After"] == "7"
    assert set(client.post("/abort/404").headers["Allow"].split(", ")) == {"GET", "HEAD", "OPTIONS"}


def test_an_answer_that_a_view_made_itself_stays(client: FlaskClient) -> None:
    answer = client.get("/own")
    assert (answer.status_code, answer.text) == (404, "the view's own answer")


def test_an_answer_that_an_error_brings_stays(client: FlaskClient) -> None:
    answer = client.get("/own-of-an-error")
    assert (answer.status_code, answer.text) == (404, "the error's own answer")


def test_the_page_says_itself_what_it_is_and_how_long(client: FlaskClient) -> None:
    answer = client.get("/labelled")
    assert (answer.status_code, answer.headers["X-Limit"]) == (409, "7")
    assert (answer.content_type, answer.content_length) == ("text/html; charset=utf-8", len(answer.data))
    assert reference(answer)


def test_a_redirect_is_no_error(client: FlaskClient) -> None:
    answer = client.get("/away")
    assert (answer.status_code, answer.location) == (302, "/elsewhere")


def test_nor_is_anything_else_below_400(client: FlaskClient) -> None:
    answer = client.get("/choices")
    assert (answer.status_code, "one or the other" in answer.text, "Reference" in answer.text) == (300, True, False)


def test_a_body_beyond_the_limit_is_a_413_page(client: FlaskClient, settings: Settings) -> None:
    limit = settings.server_max_body_bytes
    assert client.post("/upload", data=b"x" * limit).text == str(limit)
    answer = client.post("/upload", data=b"x" * (limit + 1))
    assert (answer.status_code, reference(answer)) == (413, answer.headers["X-Request-ID"])


def test_pages_may_bring_an_error_page_of_their_own(settings: Settings, tmp_path: Any) -> None:
    from flask import Blueprint

    (tmp_path / "error.html").write_text("{{ title }}: {{ reference }}")
    app = create_app(settings)
    # As pages do, which are registered before the look.
    own = Blueprint("own", __name__, template_folder=str(tmp_path))
    app.blueprints = {"own": own, **app.blueprints}
    answer = client_of(app).get("/no-such-page")
    assert answer.text == f"Page not found: {answer.headers['X-Request-ID']}"


def test_the_page_for_a_request_that_is_one_too_many_is_complete_and_names_no_reference(settings: Settings) -> None:
    app = create_app(settings)
    assert app.overload_response is not None
    with app.app_context():
        page = app.overload_response()
    assert page.status_code == 503
    assert "<h1>Not available</h1>" in page.get_data(as_text=True)
    assert "Reference" not in page.get_data(as_text=True)
    assert page.headers["Content-Security-Policy"]
    assert page.headers["Cache-Control"] == "no-store"
