"""Sessions in cookies: encrypted, split, bounded, and gone when they should be."""

import base64
import datetime
import logging
import time
from http.cookies import SimpleCookie
from typing import Any

import pytest
from flask.testing import FlaskClient

from app.server import LoopFlask
from app.settings import Settings
from tests.unit.sessions.conftest import make_app

NAME = "__Host-session"
USED = f"{NAME}.used"


@pytest.fixture
def client(app: LoopFlask) -> FlaskClient:
    return app.test_client()


def values(client: FlaskClient) -> dict[str, str]:
    """The session's cookies in the client's jar."""
    names = [NAME, *(f"{NAME}.{part}" for part in range(1, 9)), USED]
    return {name: cookie.value for name in names if (cookie := client.get_cookie(name)) is not None}


def test_what_a_page_keeps_is_there_on_the_next_request(client: FlaskClient) -> None:
    kept = {"cart": [1, 2], "name": "Zoë", "deep": {"a": None, "b": True, "c": 1.5}}
    client.post("/set", json=kept)
    assert client.get("/get").json == kept


def test_the_cookie_is_host_only_secure_httponly_and_lax(client: FlaskClient) -> None:
    header = client.post("/set", json={"a": 1}).headers["Set-Cookie"]
    attributes = {part.strip().lower().partition("=")[0] for part in header.split(";")[1:]}
    assert header.startswith(f"{NAME}=")
    assert attributes == {"secure", "httponly", "path", "samesite", "max-age", "expires"}
    assert "SameSite=Lax" in header
    assert "Path=/;" in header


def test_the_cookie_shows_nothing_of_what_it_holds(client: FlaskClient) -> None:
    client.post("/set", json={"marker-key": "marker-value"})
    raw = base64.urlsafe_b64decode(values(client)[NAME] + "==")
    assert b"marker" not in raw


def test_an_unchanged_session_is_not_sent_again(client: FlaskClient) -> None:
    client.post("/set", json={"a": 1})
    assert "Set-Cookie" not in client.get("/get").headers


def test_a_response_that_depends_on_the_session_says_so(client: FlaskClient) -> None:
    assert client.get("/get").headers["Vary"] == "Cookie"
    assert "Vary" not in client.get("/untouched").headers


def test_an_emptied_session_leaves_no_cookie(client: FlaskClient) -> None:
    client.post("/set", json={"a": "x" * 9000})
    assert len(values(client)) > 1
    response = client.post("/clear")
    assert values(client) == {}
    for header in response.headers.getlist("Set-Cookie"):
        # A browser refuses to let a `__Host-` cookie be removed without them.
        assert "Secure" in header
        assert "SameSite=Lax" in header


def test_a_large_session_is_split_and_read_again(client: FlaskClient) -> None:
    client.post("/set", json={"a": "x" * 9000})
    cookies = values(client)
    assert list(cookies) == [NAME, f"{NAME}.1", f"{NAME}.2", f"{NAME}.3", USED]
    assert all(len(name) + len(value) < 4093 for name, value in cookies.items())
    assert client.get("/get").json == {"a": "x" * 9000}


def test_a_session_that_shrinks_leaves_no_part_behind(client: FlaskClient) -> None:
    client.post("/set", json={"a": "x" * 9000})
    client.post("/set", json={"a": "small"})
    assert list(values(client)) == [NAME, USED]
    assert client.get("/get").json == {"a": "small"}


def test_a_part_that_is_left_over_where_others_are_lost_does_not_get_into_the_next_session(client: FlaskClient) -> None:
    client.post("/set", json={"a": "x" * 9000})
    # A browser that has too many cookies drops some.
    for lost in (f"{NAME}.1", f"{NAME}.2"):
        client.delete_cookie(lost)
    client.post("/set", json={"b": "y" * 3000})
    assert list(values(client)) == [NAME, f"{NAME}.1", USED]
    assert client.get("/get").json == {"b": "y" * 3000}


def test_a_session_past_the_limit_is_a_clear_error_and_the_old_one_stays(
    app: LoopFlask, caplog: pytest.LogCaptureFixture
) -> None:
    app.config.update(TESTING=False)
    client = app.test_client()
    client.post("/set", json={"a": "kept"})
    with caplog.at_level(logging.ERROR):
        assert client.post("/set", json={"b": "x" * 20_000}).status_code == 500
    assert "set SESSION_BACKEND=redis" in caplog.text
    assert "finalizing failed" not in caplog.text
    assert client.get("/get").json == {"a": "kept"}


@pytest.mark.parametrize("change", ["flip", "truncate", "extend", "empty", "not base64", "swap parts"])
def test_a_forged_cookie_is_an_anonymous_session(client: FlaskClient, change: str) -> None:
    client.post("/set", json={"a": "x" * 9000})
    first, second = values(client)[NAME], values(client)[f"{NAME}.1"]
    forged = {
        "flip": first[:40] + ("A" if first[40] != "A" else "B") + first[41:],
        "truncate": first[:-10],
        "extend": first + "AAAA",
        "empty": "",
        "not base64": "\u00e4!" * 20,
        "swap parts": second,
    }[change]
    client.set_cookie(NAME, forged)
    if change == "swap parts":
        client.set_cookie(f"{NAME}.1", first)
    response = client.get("/get")
    assert (response.status_code, response.json) == (200, {})


def test_an_id_is_that_of_its_own_blob_alone(settings: Settings) -> None:
    """Also where no idle time is noted, in a cookie that has the id too."""
    app = make_app(settings.model_copy(update={"session_idle_seconds": settings.session_absolute_seconds}))
    client = app.test_client()
    client.post("/set", json={"a": 1})
    client.set_cookie(NAME, "A" * 21 + values(client)[NAME][21:])
    assert client.get("/get").json == {}


def test_one_users_parts_do_not_complete_anothers(app: LoopFlask) -> None:
    jane, eve = app.test_client(), app.test_client()
    jane.post("/set", json={"who": "jane", "a": "x" * 9000})
    eve.post("/set", json={"who": "eve", "a": "x" * 9000})
    eve.set_cookie(f"{NAME}.1", values(jane)[f"{NAME}.1"])
    assert eve.get("/get").json == {}


def test_a_session_ends_at_its_absolute_age_though_the_browser_keeps_the_cookie(
    variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    values_ = {name.lower(): value for name, value in variables.items()}
    app = make_app(Settings.model_validate(values_ | {"session_absolute_seconds": "60"}))
    client = app.test_client()
    client.post("/set", json={"a": 1})
    cookie = values(client)[NAME]
    client.post("/set", json={"b": 2})
    now = datetime.datetime.now().timestamp()
    monkeypatch.setattr("app.sessions.model.time.time", lambda: now + 45)
    assert client.get("/get").json == {"a": 1, "b": 2}
    monkeypatch.setattr("app.sessions.model.time.time", lambda: now + 61)
    client.set_cookie(NAME, cookie)
    assert client.get("/get").json == {}


class Idle:
    """An app whose sessions end after ten idle minutes, and its clock."""

    ahead = 0.0

    def __init__(self, variables: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
        values_ = {name.lower(): value for name, value in variables.items()}
        self.app = make_app(Settings.model_validate(values_ | {"session_idle_seconds": "600"}))
        now = time.time
        monkeypatch.setattr("app.sessions.model.time.time", lambda: now() + self.ahead)


@pytest.fixture
def idle(variables: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Idle:
    return Idle(variables, monkeypatch)


def test_a_session_that_nobody_uses_ends_though_the_browser_keeps_its_cookies(idle: Idle) -> None:
    client = idle.app.test_client()
    client.post("/set", json={"a": 1})
    cookies = values(client)
    idle.ahead = 601
    for name, value in cookies.items():
        client.set_cookie(name, value)
    assert client.get("/get").json == {}


def test_a_session_that_is_used_lives_on_and_says_so_once_a_minute(idle: Idle) -> None:
    client = idle.app.test_client()
    client.post("/set", json={"a": 1})
    session = values(client)[NAME]
    for _ in range(4):
        idle.ahead += 300
        answers = [client.get("/get") for _ in range(2)]
        assert [answer.json for answer in answers] == [{"a": 1}] * 2
        assert [len(answer.headers.getlist("Set-Cookie")) for answer in answers] == [1, 0]
    assert values(client)[NAME] == session


def test_a_page_that_does_not_look_at_the_session_does_not_note_its_use(idle: Idle) -> None:
    client = idle.app.test_client()
    client.post("/set", json={"a": 1})
    idle.ahead += 300
    assert "Set-Cookie" not in client.get("/untouched").headers


@pytest.mark.parametrize("used", ["", "9999999999-00", "another's", "later"])
def test_when_a_session_was_used_cannot_be_made_up(idle: Idle, used: str) -> None:
    client, other = idle.app.test_client(), idle.app.test_client()
    client.post("/set", json={"a": 1})
    other.post("/set", json={"b": 2})
    seconds, _, mac = values(client)[USED].partition("-")
    forged = {"another's": values(other)[USED], "later": f"{int(seconds) + 1}-{mac}"}.get(used, used)
    client.set_cookie(USED, forged)
    assert client.get("/get").json == {}


def test_regenerating_changes_the_id_and_keeps_the_data(client: FlaskClient) -> None:
    client.post("/set", json={"a": 1})
    before = base64.urlsafe_b64decode(values(client)[NAME] + "==")[:16]
    client.post("/regenerate")
    after = base64.urlsafe_b64decode(values(client)[NAME] + "==")[:16]
    assert before != after
    assert client.get("/get").json == {"a": 1, "regenerated": True}


def test_a_rotated_secret_reads_old_sessions_and_a_removed_one_does_not(variables: dict[str, str]) -> None:
    def app_with(secret: str) -> LoopFlask:
        return make_app(
            Settings.model_validate(
                {name.lower(): value for name, value in variables.items()} | {"auth0_secret": secret}
            )
        )

    old, new = variables["AUTH0_SECRET"], variables["AUTH0_SECRET"][::-1]
    client = app_with(old).test_client()
    client.post("/set", json={"a": 1})
    cookies = values(client)

    def read(secret: str) -> Any:
        reader = app_with(secret).test_client()
        for name, value in cookies.items():
            reader.set_cookie(name, value)
        return reader.get("/get").json

    assert read(f"{new},{old}") == {"a": 1}
    assert read(new) == {}


def test_a_value_that_cannot_be_kept_is_named_in_the_error(app: LoopFlask) -> None:
    from flask import session

    @app.get("/object")
    async def keep_an_object() -> str:
        session["thing"] = object()
        return "never sent"

    with pytest.raises(TypeError, match=r"flask\.session holds a value that cannot be kept"):
        app.test_client().get("/object")


def test_over_plain_http_in_development_cookies_have_no_prefix_and_are_not_secure(variables: dict[str, str]) -> None:
    plain = variables | {"APP_ENV": "development", "AUTH0_REDIRECT_URI": "http://localhost:5000/callback"}
    app = make_app(Settings.model_validate({name.lower(): value for name, value in plain.items()}))
    cookie = SimpleCookie(app.test_client().post("/set", json={"a": 1}).headers["Set-Cookie"])["session"]
    assert cookie["secure"] == ""
    assert cookie["httponly"] is True
