"""The notes of the example, tested without a provider."""

from collections.abc import Callable

from flask.testing import FlaskClient

SignIn = Callable[..., FlaskClient]


def test_a_stranger_is_sent_to_sign_in(client: FlaskClient) -> None:
    assert client.get("/notes/").location == "/login?return_to=/notes/"


def test_each_person_has_notes_of_their_own(sign_in: SignIn) -> None:
    jane, john = sign_in({"name": "Jane", "sub": "auth0|1"}), sign_in({"name": "John", "sub": "auth0|2"})
    jane.post("/notes/", data={"note": "milk"})
    assert "<h1>Notes of Jane</h1>" in jane.get("/notes/").text
    assert "milk" in jane.get("/notes/").text
    assert "milk" not in john.get("/notes/").text


def test_there_are_ten_notes_at_most(sign_in: SignIn) -> None:
    client = sign_in(session={"notes": [f"note {number}" for number in range(10)]})
    client.post("/notes/", data={"note": "one more"})
    page = client.get("/notes/").text
    assert "note 0" not in page
    assert "one more" in page
