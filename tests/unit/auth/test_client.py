"""The SDK's client as it is used here: one TLS context, limits on time, one HTTP library."""

import asyncio
import importlib.util
import re
import ssl
import time
from pathlib import Path

import httpx
import jwt
import pytest
from auth0_server_python.auth_server.server_client import ServerClient
from auth0_server_python.error import ApiError
from cryptography.hazmat.primitives.asymmetric import rsa

from app import create_app
from app.auth import Auth0Client
from app.auth.discovery import Document
from app.server import LoopFlask, await_
from app.settings import Settings

LOCK = Path(__file__).parents[3] / "requirements" / "app.txt"
SETS = [{"audience": "default", "access_token": "t", "scope": "openid profile", "expires_at": 1}]


@pytest.fixture
def app(settings: Settings) -> LoopFlask:
    return create_app(settings.model_copy(update={"auth0_timeout_seconds": 3.0}))


@pytest.fixture
def client(app: LoopFlask) -> Auth0Client:
    made: Auth0Client = app.extensions["auth0"]
    return made


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Grows with each time that the certificate bundle is loaded."""
    loads: list[str] = []
    load = ssl.create_default_context

    def counting(*arguments: object, **options: object) -> object:
        loads.append("loaded")
        return load(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(ssl, "create_default_context", counting)
    return loads


def test_a_call_to_auth0_loads_no_certificates(client: Auth0Client, loaded: list[str]) -> None:
    """The SDK's own client loads them for each call: 15 ms in which nobody else is answered."""
    for made in (client._get_http_client(), client.http_client()):
        await_(made.aclose())
    assert loaded == []
    await_(ServerClient._get_http_client(client, verify=True).aclose())
    assert loaded == ["loaded"]


def test_every_call_ends_within_the_settings_time(client: Auth0Client) -> None:
    limit = httpx.Timeout(3.0)
    assert client._get_http_client().timeout == limit
    assert client.http_client().timeout == limit
    assert client._oauth.timeout == limit


def test_an_answer_that_comes_in_very_many_pieces_ends_within_it_too(settings: Settings) -> None:
    app = create_app(settings.model_copy(update={"auth0_timeout_seconds": 0.1}))
    with pytest.raises(TimeoutError):
        await_(app.extensions["auth0"]._in_time("keys", asyncio.sleep(60)))


@pytest.mark.parametrize("answer", [[], "text", None, 7])
def test_a_document_of_auth0s_that_is_no_object_is_refused(client: Auth0Client, answer: object) -> None:
    with pytest.raises(ApiError):
        await_(client._in_time("metadata", asyncio.sleep(0, answer)))


@pytest.mark.parametrize(("party", "ours"), [(None, True), ("another", False)])
def test_the_id_token_of_a_login_was_issued_to_this_client(client: Auth0Client, party: str | None, ours: bool) -> None:
    key, now = rsa.generate_private_key(public_exponent=65_537, key_size=2048), int(time.time())
    public = {**jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key(), as_dict=True), "kid": "one"}
    claims = {"iss": "https://i/", "sub": "s", "aud": client._client_id, "iat": now, "exp": now + 60}
    token = jwt.encode(claims | ({"azp": party} if party else {}), key, "RS256", {"kid": "one"})
    client._keys[client._domain] = Document("keys", lambda: asyncio.sleep(0, {"keys": [public]}), 600)
    verified = client._verify_and_decode_jwt(token, {})
    if ours:
        assert await_(verified)["sub"] == "s"
    else:
        with pytest.raises(jwt.InvalidTokenError):
            await_(verified)


def test_httpx2_is_kept_out() -> None:
    """authlib would switch to it as soon as it can be imported, while the SDK stays on httpx."""
    assert importlib.util.find_spec("httpx2") is None
    assert not re.search(r"(?im)^httpx2==", LOCK.read_text())


@pytest.mark.parametrize(
    ("granted", "wanted", "found"),
    [
        ("openid profile", "openid profile", True),
        ("openid profile email", "openid profile", True),
        ("openid", "openid profile", False),
        ("openid profile", "openid profile offline_access", True),
        ("", "openid profile", True),
        (None, "openid profile offline_access", True),
        ("openid", None, True),
    ],
)
def test_which_token_is_one_for_what_is_wanted(
    client: Auth0Client, granted: str | None, wanted: str | None, found: bool
) -> None:
    sets = [{**SETS[0], "scope": granted}]
    assert (client._find_matching_token_set(sets, None, wanted) is not None) == found


def test_a_token_for_another_audience_is_never_taken(client: Auth0Client) -> None:
    assert client._find_matching_token_set(SETS, "https://api", "openid") is None
