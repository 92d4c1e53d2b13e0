"""What `app.testing` gives to those who write pages, on both kinds of session; and the example that shows it."""

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from flask import session
from pydantic import SecretStr

from app import create_app
from app.auth import MULTI_FACTOR, auth0, login_required
from app.server import LoopFlask, await_
from app.settings import Settings
from app.testing import client_of, sign_in_as
from tests.servers.redis import RedisServer, redis_server

ROOT = Path(__file__).parents[2]
KEPT = {
    "text": "søren 👩🏽‍🚀",
    "number": 7,
    "real": 1.5,
    "flag": True,
    "nothing": None,
    "bytes": b"\x00\xff",
    "date": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    "list": [1, [2, {"three": 4}]],
    "dictionary": {"a": {"b": ["c"]}},
}


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(params=["cookie", "redis"])
def app(request: pytest.FixtureRequest, settings: Settings, redis: RedisServer) -> Iterator[LoopFlask]:
    in_redis = {"session_backend": "redis", "redis_url": SecretStr(redis.url), "redis_timeout_seconds": 5.0}
    app = create_app(settings.model_copy(update=in_redis if request.param == "redis" else {}))

    @app.get("/token")
    @login_required(max_age=300, scopes=["read:orders"], claims={"https://example.com/roles": "editor"})
    async def token() -> dict[str, Any]:
        return {"token": await auth0.get_access_token(), "user": await auth0.get_user()}

    @app.get("/strong")
    @login_required(acr=MULTI_FACTOR)
    async def strong() -> str:
        return "strong"

    @app.post("/keep")
    async def keep() -> str:
        session.update(KEPT)
        return ""

    @app.get("/kept")
    def kept() -> str:
        return str({name: session.get(name) for name in KEPT} == KEPT)

    yield app
    for hook in app.stop_hooks:
        await_(hook())


def test_a_client_is_signed_in_with_the_claims_scopes_and_token_that_are_given(app: LoopFlask) -> None:
    client = client_of(app)
    claims = {"name": "Ada", "https://example.com/roles": ["editor"]}
    sign_in_as(client, claims, access_token="the-token", scope="read:orders")
    answer = client.get("/token").json
    assert answer is not None
    assert (answer["token"], answer["user"]["name"]) == ("the-token", "Ada")
    assert "<h1>Ada</h1>" in client.get("/profile").text
    assert client_of(app).get("/profile").status_code == 303, "and no other"


def test_a_client_that_is_signed_in_weakly_meets_the_guards(app: LoopFlask) -> None:
    client = client_of(app)
    sign_in_as(client, {"name": "Ada"})
    assert client.get("/token").status_code == 403
    sign_in_as(client, {"amr": ["mfa"]})
    assert client.get("/strong").text == "strong"


def test_a_client_signs_out_and_in_as_somebody_else(app: LoopFlask) -> None:
    client = client_of(app)
    sign_in_as(client, {"name": "Ada"}, session={"cart": 1})
    client.get("/logout")
    assert client.get("/profile").status_code == 303
    sign_in_as(client, {"name": "Eve"})
    assert "<h1>Eve</h1>" in client.get("/profile").text


def test_what_pages_keep_under_their_own_keys_comes_back_as_it_was(app: LoopFlask) -> None:
    client = client_of(app)
    sign_in_as(client)
    client.post("/keep")
    assert client.get("/kept").text == "True"
    client.get("/logout")
    assert client.get("/kept").text == "False"
    anonymous = client_of(app)
    anonymous.post("/keep")
    assert anonymous.get("/kept").text == "True"


def test_the_example_tests_of_the_documentation_pass() -> None:
    """Run as their readers run them: in a process of its own, with the example's folder on the path."""
    folder = ROOT / "docs" / "examples"
    paths = os.pathsep.join((str(ROOT), str(folder)))
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "--rootdir",
        str(folder),
        str(folder / "tests"),
    ]
    done = subprocess.run(
        [*command, "-c", os.devnull],
        check=False,
        env=os.environ | {"PYTHONPATH": paths},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert (done.returncode, "3 passed" in done.stdout) == (0, True), done.stdout + done.stderr
