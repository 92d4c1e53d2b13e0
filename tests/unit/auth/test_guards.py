"""Guards: who is not signed in gets to no view, of whatever kind, and comes back to where they were."""

from typing import Any

import pytest
from flask import Blueprint, session
from flask.testing import FlaskClient

from app import create_app
from app.auth import login_required, require_login
from app.settings import Settings
from tests.unit.browsing import allow_sign_in, client_of, sign_in

PATHS = ["/plain/1", "/async/1", "/blueprint/page"]


@pytest.fixture
def reached() -> list[str]:
    """The views that ran."""
    return []


@pytest.fixture
def client(settings: Settings, reached: list[str]) -> FlaskClient:
    app = create_app(settings)
    allow_sign_in(app)

    @app.route("/plain/<int:number>", methods=["GET", "POST"])
    @login_required
    def plain(number: int) -> str:
        """A plain view."""
        reached.append("plain")
        return f"plain {number}"

    @app.route("/async/<int:number>", methods=["GET", "POST", "PUT", "DELETE"])
    @login_required
    async def asynchronous(number: int) -> tuple[dict[str, Any], int]:
        reached.append("async")
        return {"number": number}, 201

    guarded = Blueprint("guarded", __name__, url_prefix="/blueprint")
    guarded.before_request(require_login)

    @guarded.route("/page", methods=["GET", "POST"])
    async def page() -> str:
        reached.append("blueprint")
        session["page"] = "seen"
        return "page"

    app.register_blueprint(guarded)

    @app.get("/open")
    async def unguarded() -> str:
        return "open"

    return client_of(app)


@pytest.mark.parametrize("path", PATHS)
def test_a_stranger_is_sent_to_login_and_the_view_does_not_run(
    client: FlaskClient, reached: list[str], path: str
) -> None:
    answer = client.get(path)
    assert (answer.status_code, answer.location) == (303, f"/login?return_to={path}")
    assert reached == []


@pytest.mark.parametrize("path", PATHS)
def test_who_is_signed_in_gets_to_the_view(client: FlaskClient, path: str) -> None:
    sign_in(client)
    assert client.get(path).status_code in (200, 201)


@pytest.mark.parametrize("path", PATHS)
def test_who_signed_out_is_a_stranger(client: FlaskClient, reached: list[str], path: str) -> None:
    sign_in(client)
    client.get("/logout")
    assert client.get(path).status_code == 303
    assert reached == []


def test_a_view_keeps_its_arguments_its_answer_its_name_and_its_documentation(client: FlaskClient) -> None:
    sign_in(client)
    assert client.get("/plain/7").text == "plain 7"
    answer = client.get("/async/8")
    assert (answer.status_code, answer.json) == (201, {"number": 8})
    view = client.application.view_functions["plain"]
    assert (view.__name__, view.__doc__) == ("plain", "A plain view.")


@pytest.mark.parametrize(
    ("asked", "return_to"),
    [
        ("/plain/1?a=b&c=d", "/plain/1?a%3Db%26c%3Dd"),
        ("/plain/1?", "/plain/1"),
        ("/plain/1?next=//evil.example", "/plain/1?next%3D//evil.example"),
        ("/plain/1?x=%0d%0aSet-Cookie:a", "/plain/1?x%3D%250d%250aSet-Cookie:a"),
    ],
)
def test_the_query_comes_back_too(client: FlaskClient, asked: str, return_to: str) -> None:
    assert client.get(asked).location == f"/login?return_to={return_to}"


@pytest.mark.parametrize("path", PATHS)
def test_a_form_is_not_taken_and_not_asked_for_again(client: FlaskClient, reached: list[str], path: str) -> None:
    answer = client.post(path, data={"a": "b"})
    # 303, not 302 nor 307: the browser must not send the form to /login.
    assert (answer.status_code, answer.location) == (303, "/login")
    assert reached == []


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_any_other_method_is_guarded_as_well(client: FlaskClient, reached: list[str], method: str) -> None:
    assert client.open("/async/1", method=method).status_code == 303
    assert reached == []


def test_a_guarded_blueprint_guards_nothing_else(client: FlaskClient) -> None:
    assert client.get("/open").text == "open"
    assert client.get("/").status_code == 200


def test_a_path_under_a_guarded_blueprint_that_is_not_there_is_a_404(client: FlaskClient) -> None:
    assert client.get("/blueprint/nothing").status_code == 404
