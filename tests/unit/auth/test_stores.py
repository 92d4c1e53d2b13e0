"""The SDK's stores over `flask.session`: what a login changes, what a refresh leaves, how a login in progress ends."""

from collections.abc import Callable
from typing import Any

import pytest
from auth0_server_python.auth_types import StateData, TransactionData
from auth0_server_python.utils.helpers import State
from flask import session
from flask.testing import FlaskClient
from pydantic import ValidationError

from app import create_app, sessions
from app.auth import FlaskSessionStateStore, FlaskSessionTransactionStore
from app.server import LoopFlask, await_
from app.settings import Settings
from tests.unit.browsing import STATE, client_of, state_of
from tests.unit.guide import FlaskSessionStateStore as GuidesStateStore

# The SDK's own, and the guide's: `dict()` is the name of `model_dump()` in pydantic 1.
pytestmark = pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecatedSince20")
ANSWER = {"access_token": "new", "scope": "openid", "expires_in": 60, "refresh_token": "rotated"}
TOKENS = [{"audience": "default", "access_token": "old", "scope": "openid", "expires_at": 1}]


@pytest.fixture
def app(settings: Settings) -> LoopFlask:
    return create_app(settings)


@pytest.fixture
def store() -> FlaskSessionStateStore:
    return FlaskSessionStateStore(secret="not used")


def begun() -> tuple[str, int]:
    """The id and the beginning of the current session."""
    current = session._get_current_object()  # type: ignore[attr-defined]
    return current.sid, current.created_at


def refreshed(kept: StateData | None) -> dict[str, Any]:
    """What the SDK stores after a refresh without an audience."""
    state: dict[str, Any] = State.update_state_data(None, kept, dict(ANSWER))
    return state


def test_a_login_begins_a_session_under_a_new_id(app: LoopFlask, store: FlaskSessionStateStore) -> None:
    with app.test_request_context():
        before = begun()[0]
        await_(store.set(STATE, state_of("Jane")))
        first = begun()[0]
        # Within the same second, at the provider's same session: all that the SDK's states say is equal.
        await_(store.set(STATE, state_of("Jane")))
        assert len({before, first, begun()[0]}) == 3


def test_a_refresh_leaves_the_sessions_id_and_beginning(app: LoopFlask, store: FlaskSessionStateStore) -> None:
    with app.test_request_context():
        await_(store.set(STATE, state_of("Jane", token_sets=TOKENS)))
        session._get_current_object().created_at -= 100  # type: ignore[attr-defined]
        before = begun()
        await_(store.set(STATE, refreshed(await_(store.get(STATE)))))
        assert begun() == before


def test_after_a_refresh_without_an_audience_the_state_can_still_be_read(
    app: LoopFlask, store: FlaskSessionStateStore
) -> None:
    """As the SDK leaves it, no `get_user` can: its own model refuses the `audience=None` that it has written."""
    naive = refreshed(state_of("Jane", token_sets=TOKENS))
    with pytest.raises(ValidationError, match="audience"):
        StateData(**naive)
    with app.test_request_context():
        await_(store.set(STATE, state_of("Jane", token_sets=TOKENS)))
        await_(store.set(STATE, refreshed(await_(store.get(STATE)))))
        found = await_(store.get(STATE))
        assert found is not None
        assert [(kept.audience, kept.access_token) for kept in found.token_sets] == [("default", "new")]
        assert found.refresh_token == "rotated"


def test_tokens_for_other_audiences_stay(app: LoopFlask, store: FlaskSessionStateStore) -> None:
    tokens = [*TOKENS, {"audience": "https://api", "access_token": "for the API", "scope": "read", "expires_at": 1}]
    with app.test_request_context():
        await_(store.set(STATE, state_of("Jane", token_sets=tokens)))
        await_(store.set(STATE, refreshed(await_(store.get(STATE)))))
        found = await_(store.get(STATE))
        assert found is not None
        assert {kept.audience: kept.access_token for kept in found.token_sets} == {
            "default": "new",
            "https://api": "for the API",
        }


def test_another_users_login_takes_nothing_over_and_ones_own_keeps_what_was_there(
    app: LoopFlask, store: FlaskSessionStateStore
) -> None:
    with app.test_request_context():
        session["cart"] = "anonymous"
        await_(store.set(STATE, state_of("Jane")))
        assert session["cart"] == "anonymous"
        await_(store.set(STATE, state_of("Jane")))
        assert session["cart"] == "anonymous"
        await_(store.set(STATE, state_of("John")))
        assert "cart" not in session


def test_the_guides_own_store_hands_one_users_data_to_the_next(app: LoopFlask) -> None:
    naive = GuidesStateStore(secret="a secret of the guide's store")
    with app.test_request_context():
        before = begun()[0]
        await_(naive.set(STATE, state_of("Jane")))
        session["cart"] = "Jane's"
        await_(naive.set(STATE, state_of("John")))
        assert session["cart"] == "Jane's"
        assert begun()[0] == before, "and a planted session is the victim's"


def test_a_logout_empties_the_session_whatever_pages_kept(app: LoopFlask, store: FlaskSessionStateStore) -> None:
    with app.test_request_context():
        await_(store.set(STATE, state_of("Jane")))
        session["cart"] = "Jane's"
        await_(store.delete(STATE))
        assert not session
        assert "cart" not in session


def test_what_a_page_keeps_after_a_logout_is_in_another_session(app: LoopFlask, store: FlaskSessionStateStore) -> None:
    with app.test_request_context():
        await_(store.set(STATE, state_of("Jane")))
        before = begun()[0]
        await_(store.delete(STATE))
        session["message"] = "Good bye"
        assert begun()[0] != before


def test_another_login_begins_a_session_in_whatever_form_it_comes(
    app: LoopFlask, store: FlaskSessionStateStore
) -> None:
    with app.test_request_context():
        await_(store.set(STATE, state_of("Jane")))
        before = begun()[0]
        later = {**state_of("Jane").model_dump(), "internal": {"sid": "another", "created_at": 2}}
        await_(store.set(STATE, later))
        assert begun()[0] != before


def test_a_logout_of_a_stranger_leaves_the_anonymous_session(app: LoopFlask, store: FlaskSessionStateStore) -> None:
    with app.test_request_context():
        session["cart"] = "anonymous"
        await_(store.delete(STATE))
        assert session["cart"] == "anonymous"


@pytest.fixture
def client(app: LoopFlask) -> FlaskClient:
    """Routes that begin a login, and that look for one and end it."""
    store = FlaskSessionTransactionStore(secret="not used")

    @app.post("/begin/<key>")
    async def begin(key: str) -> str:
        await store.set(key, TransactionData(code_verifier=f"verifier of {key}", app_state={"return_to": "/x"}))
        return ""

    @app.get("/take/<key>")
    async def take(key: str) -> dict[str, Any]:
        found = await store.get(key)
        return {"found": None if found is None else found.code_verifier}

    @app.post("/end/<key>")
    async def end(key: str) -> str:
        await store.delete(key)
        return ""

    return client_of(app)


def found(client: FlaskClient, key: str) -> str | None:
    """The transaction that the browser has, which is taken by that."""
    answer = client.get(f"/take/{key}").json
    assert answer is not None
    verifier: str | None = answer["found"]
    return verifier


def test_a_login_in_progress_is_found_once(client: FlaskClient) -> None:
    client.post("/begin/one")
    assert found(client, "one") == "verifier of one"
    assert found(client, "one") is None


def test_a_login_in_progress_is_known_to_its_own_browser_alone(app: LoopFlask, client: FlaskClient) -> None:
    client.post("/begin/one")
    assert found(client_of(app), "one") is None
    assert found(client, "other") is None


def test_a_login_in_progress_is_no_other_one_by_another_name(client: FlaskClient) -> None:
    """Else whoever puts cookies into a browser chooses which of its logins a state stands for."""
    names = {}
    for key in ("one", "two"):
        header = client.post(f"/begin/{key}").headers["Set-Cookie"]
        names[key] = header.partition("=")[0]
    one = client.get_cookie(names["one"], "app.example.com")
    assert one is not None
    client.set_cookie(names["two"], one.value, domain="app.example.com", secure=True)
    assert found(client, "two") is None
    assert found(client, "one") == "verifier of one"


def test_a_login_that_is_ended_is_gone(client: FlaskClient) -> None:
    client.post("/begin/one")
    client.post("/end/one")
    assert found(client, "one") is None


@pytest.mark.parametrize(("seconds", "there"), [(590, True), (601, False)])
def test_a_login_lives_ten_minutes_though_the_browser_keeps_its_cookie(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch, seconds: int, there: bool
) -> None:
    import time

    client.post("/begin/one")
    later = time.time() + seconds
    monkeypatch.setattr("app.sessions.transient.time.time", lambda: later)
    assert (found(client, "one") is not None) == there


def test_of_six_logins_the_one_that_ends_first_gives_way(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    start = time.time()
    for number, offset in enumerate([50, 0, 10, 20, 30, 40]):
        monkeypatch.setattr("app.sessions.transient.time.time", lambda at=start + offset: at)
        client.post(f"/begin/{number}")
    assert [number for number in range(6) if found(client, str(number)) is not None] == [0, 2, 3, 4, 5]


def test_beginning_a_login_touches_no_session(client: FlaskClient) -> None:
    answer = client.post("/begin/one")
    assert "Vary" not in answer.headers
    assert [header.partition("=")[0].partition(".")[0] for header in answer.headers.getlist("Set-Cookie")] == [
        "__Host-login"
    ]


def test_the_session_of_a_login_ends_at_its_absolute_age(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    from tests.unit.browsing import allow_sign_in, sign_in

    # Used all the time, as far as that goes.
    app = create_app(settings.model_copy(update={"session_idle_seconds": settings.session_absolute_seconds}))
    allow_sign_in(app)
    client = client_of(app)
    sign_in(client)
    now = time.time()
    age: Callable[[int], None] = lambda seconds: monkeypatch.setattr(  # noqa: E731
        "app.sessions.model.time.time", lambda: now + seconds
    )
    age(settings.session_absolute_seconds - 60)
    assert client.get("/profile").status_code == 200
    age(settings.session_absolute_seconds + 60)
    assert client.get("/profile").status_code == 303


def test_the_profile_says_when_the_session_ends(app: LoopFlask, settings: Settings) -> None:
    with app.test_request_context():
        lifetime = sessions.ends_at().timestamp() - begun()[1]
    assert lifetime == settings.session_absolute_seconds
