"""What the answer to a refresh token must be before anything of it is kept (OpenID Connect Core 12.2, RFC 6749)."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask, session
from flask.testing import FlaskClient

from app import create_app
from app.auth import auth0
from app.auth.events import refresh_ended
from app.server import LoopFlask, await_
from app.settings import Settings
from scripts.certificates import CA
from tests.servers.answering import Answering, answering
from tests.unit.browsing import STATE, client_of, state_of

TIMES = {"auth_time": 1_700_000_000}
Told = list[dict[str, Any]]
SignIn = Callable[..., FlaskClient]


@pytest.fixture(scope="module")
def running(ca: CA) -> Iterator[Answering]:
    with answering(ca) as provider:
        yield provider


@pytest.fixture
def provider(running: Answering, settings: Settings) -> Answering:
    running.asked, running.failing, running.client_id = [], set(), settings.auth0_client_id
    running.answer = answer(running)
    return running


@pytest.fixture
def app(provider: Answering, ca: CA, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopFlask]:
    monkeypatch.setenv("SSL_CERT_FILE", str(ca.path))
    app = create_app(settings.model_copy(update={"auth0_domain": provider.domain}))

    @app.get("/token")
    async def token() -> str:
        return await auth0.get_access_token()

    @app.get("/kept")
    async def kept() -> dict[str, Any]:
        """What the session has of tokens."""
        state = session[STATE]
        return {"refresh_token": state["refresh_token"], "id_token": state.get("id_token")}

    yield app
    await_(app.extensions["auth0"].close())


@pytest.fixture
def told(app: LoopFlask) -> Iterator[Told]:
    """What is told of renewals."""
    events: Told = []

    def listen(_app: Flask, **arguments: Any) -> None:
        events.append(arguments)

    with refresh_ended.connected_to(listen, sender=app):
        yield events


@pytest.fixture
def sign_in(app: LoopFlask) -> SignIn:
    """Makes Jane's browser, whose access token has ended; the changes are of the claims of her login."""

    def signed_in(**claims: Any) -> FlaskClient:
        user = {"sub": "auth0|Jane", "iss": f"https://{app.extensions['auth0']._domain}/", **claims}
        known = {name: value for name, value in user.items() if value is not None}
        client = client_of(app)
        with client.session_transaction(base_url=app.config["ORIGIN"]) as kept:
            state = state_of("Jane", user=known, refresh_token="first", id_token="before")
            kept[STATE] = state.model_dump(exclude_none=True)
        return client

    return signed_in


def answer(provider: Answering, **claims: Any) -> dict[str, Any]:
    """A good one, with an ID token; the changes are of its claims."""
    tokens = {"access_token": "new", "refresh_token": "second", "expires_in": 3600, "token_type": "Bearer"}
    return tokens | {"id_token": provider.id_token(**claims)}


def assert_refused(client: FlaskClient, told: Told, code: str, *, operator: bool) -> None:
    """The page of any refused renewal, and nothing of the answer kept; told once."""
    page = client.get("/token")
    assert (page.status_code, "Please sign in again" in page.text) == (403, True)
    assert client.get("/kept").json == {"refresh_token": "first", "id_token": "before"}
    [event] = told
    assert (event["outcome"], event["code"], event["operator"]) == ("refused", code, operator)
    assert event["user"] is not None


@pytest.mark.parametrize(
    ("login", "renewal"),
    [
        ({}, {}),
        # Of a session that does not know them.
        ({"iss": None}, {}),
        ({}, {"azp": "the client", **TIMES, "nonce": "n"}),
        ({"azp": "the client", **TIMES, "nonce": "n"}, {"azp": "the client", **TIMES, "nonce": "n"}),
        # Both may be left out.
        ({**TIMES, "nonce": "n"}, {}),
        ({"aud": "the client"}, {"aud": ["the client"]}),
        ({"aud": "the client"}, {"aud": ["the client", "an API"], "azp": "the client"}),
        ({"aud": ["the client", "an API"]}, {"aud": ["an API", "the client"], "azp": "the client"}),
    ],
)
def test_the_tokens_of_the_login_that_is_renewed_are_taken(
    provider: Answering, sign_in: SignIn, told: Told, login: Any, renewal: Any
) -> None:
    client = sign_in(**_named(login, provider))
    provider.answer = answer(provider, **_named(renewal, provider))
    assert client.get("/token").text == "new"
    assert client.get("/kept").json == {"refresh_token": "second", "id_token": provider.answer["id_token"]}
    assert [event["outcome"] for event in told] == ["renewed"]


@pytest.mark.parametrize(
    ("claims", "code"),
    [
        (({}, {"sub": "auth0|John"}), "AnotherLogin"),
        (({}, {"iss": "https://evil.example/"}), "AnotherLogin"),
        (({"iss": None}, {"iss": "https://evil.example/"}), "AnotherLogin"),
        (({"iss": "https://before.example/"}, {}), "AnotherLogin"),
        (({}, {"azp": "another client"}), "InvalidTokenError"),
        (({}, {"aud": ["the client", "an API"]}), "InvalidTokenError"),
        (({"azp": "the client"}, {}), "AnotherLogin"),
        (({"aud": ["the client", "an API"]}, {"aud": "the client"}), "AnotherLogin"),
        ((TIMES, {"auth_time": 1_700_000_001}), "AnotherLogin"),
        (({"nonce": "n"}, {"nonce": "m"}), "AnotherLogin"),
        # As of any ID token.
        (({}, {"aud": "another client"}), "InvalidAudienceError"),
        (({}, {"exp": 1}), "ExpiredSignatureError"),
        (({}, {"iat": None}), "MissingRequiredClaimError"),
    ],
)
def test_an_id_token_that_is_not_of_that_login_is_refused(
    provider: Answering, sign_in: SignIn, told: Told, claims: tuple[Any, Any], code: str
) -> None:
    """The SDK looks at none of it."""
    login, renewal = claims
    client = sign_in(**_named(login, provider))
    provider.answer = answer(provider, **_named(renewal, provider))
    assert_refused(client, told, code, operator=True)


@pytest.mark.parametrize(
    "changes",
    [
        {"access_token": None},
        {"access_token": 7},
        {"refresh_token": 7},
        {"id_token": ["a"]},
        {"scope": ["openid"]},
        {"expires_in": -1},
        {"expires_in": 3600.5},
        {"expires_in": 10**30},
    ],
)
def test_what_is_no_answer_of_a_token_endpoint_is_refused(
    provider: Answering, sign_in: SignIn, told: Told, changes: dict[str, Any]
) -> None:
    provider.answer = answer(provider) | changes
    assert_refused(sign_in(), told, "invalid_response", operator=False)


@pytest.mark.parametrize(
    ("other", "code"),
    [
        ([], "invalid_response"),
        ("text", "invalid_response"),
        ({}, "invalid_response"),
        (None, "refresh_token_error"),
        ({"access_token": "new", "expires_in": "soon"}, "refresh_token_error"),
    ],
)
def test_nor_is_any_other_json_more_than_a_refusal(
    provider: Answering, sign_in: SignIn, told: Told, other: Any, code: str
) -> None:
    provider.answer = other
    page = sign_in().get("/token")
    assert (page.status_code, [(event["outcome"], event["code"]) for event in told]) == (403, [("refused", code)])


@pytest.mark.parametrize("away", ["/jwks", "/.well-known/openid-configuration"])
def test_a_refresh_token_is_not_used_up_while_its_answer_could_not_be_verified(
    provider: Answering, sign_in: SignIn, told: Told, away: str
) -> None:
    """One that rotates works once: whoever comes with it again has the provider end them all."""
    provider.failing = {away}
    client = sign_in()
    assert (client.get("/token").status_code, provider.asked) == (503, [])
    provider.failing = set()
    assert client.get("/token").text == "new"
    assert [form["refresh_token"] for form in provider.asked] == ["first"]
    assert [event["outcome"] for event in told] == ["provider_down", "renewed"]


def _named(claims: dict[str, Any], provider: Answering) -> dict[str, Any]:
    """The claims, with the client's id in place of "the client"."""
    own = {"the client": provider.client_id}

    def named(value: Any) -> Any:
        return [named(one) for one in value] if isinstance(value, list) else own.get(value, value)

    return {name: named(value) for name, value in claims.items()}
