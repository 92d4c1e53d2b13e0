"""The example of docs/pages.md runs, and what that page says is so."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient

import app.auth
from app import create_app
from app.settings import Settings
from tests.unit.browsing import allow_sign_in, client_of, sign_in

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "pages.md").read_text()


@pytest.fixture
def client(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[FlaskClient]:
    monkeypatch.syspath_prepend(DOCS / "examples")
    example = create_app(settings.model_copy(update={"app_pages": "pages"}))
    allow_sign_in(example)
    yield client_of(example)
    for name in [name for name in sys.modules if name.split(".")[0] == "pages"]:
        del sys.modules[name]


def test_everybody_sees_the_start_page_in_the_apps_look(client: FlaskClient) -> None:
    page = client.get("/").text
    assert "<h1>Keep your notes</h1>" in page
    assert "/static/style.css" in page


def test_a_stranger_is_sent_to_login_and_a_strangers_form_is_not_taken(client: FlaskClient) -> None:
    assert client.get("/notes/").location == "/login?return_to=/notes/"
    assert client.post("/notes/", data={"note": "a"}).location == "/login"
    sign_in(client)
    assert "<li>" not in client.get("/notes/").text


def test_notes_are_kept_shown_as_text_and_gone_after_logout(client: FlaskClient) -> None:
    sign_in(client)
    assert client.post("/notes/", data={"note": "<b>milk</b>"}).location == "/notes/"
    page = client.get("/notes/").text
    assert "<h1>Notes of Jane</h1>" in page
    assert "<li>&lt;b&gt;milk&lt;/b&gt;</li>" in page
    client.get("/logout")
    sign_in(client, "Jane")
    assert "<li>" not in client.get("/notes/").text


@pytest.mark.parametrize("note", ["", "  ", "x" * 201])
def test_a_form_that_makes_no_sense_is_an_error_page(client: FlaskClient, note: str) -> None:
    sign_in(client)
    answer = client.post("/notes/", data={"note": note})
    assert answer.status_code == 400
    assert "This request cannot be answered" in answer.text


def test_the_pages_that_were_there_before_are_gone(client: FlaskClient) -> None:
    sign_in(client)
    assert client.get("/profile").status_code == 404


def test_the_routes_of_the_app_are_there(client: FlaskClient) -> None:
    assert client.get("/healthz/live").status_code == 200
    assert client.get("/callback").status_code == 400


def test_the_names_that_the_page_lists_are_those_that_the_auth_room_exports() -> None:
    named = {re.split(r"[.(]", name)[0] for name in re.findall(r"^\| `([a-z0-9_]+[^`]*)` \|", PAGE, re.MULTILINE)}
    exported = {name for name in app.auth.__all__ if not name[0].isupper()}
    assert named - {"init_app"} == exported - {"init_app"}


def test_the_example_imports_of_the_app_what_the_page_says() -> None:
    sources = "".join(path.read_text() for path in (DOCS / "examples" / "pages").glob("*.py"))
    assert set(re.findall(r"from (app\S*) import", sources)) == {"app.auth"}
