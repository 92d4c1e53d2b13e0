"""Liveness is the process alone; readiness is the session store, and whether the process is about to stop."""

from typing import Any

import pytest
from pydantic import SecretStr

from app import create_app
from app.server import LoopFlask, await_
from app.settings import Settings
from tests.unit.browsing import client_of


@pytest.fixture
def app(settings: Settings) -> LoopFlask:
    return create_app(settings)


def test_a_process_is_live_and_ready(app: LoopFlask) -> None:
    client = client_of(app)
    assert (client.get("/healthz/live").json, client.get("/healthz/ready").json) == (
        {"status": "live"},
        {"status": "ready"},
    )


def test_a_process_that_is_stopping_is_live_and_not_ready(app: LoopFlask) -> None:
    app.stats.draining = True
    client = client_of(app)
    answer = client.get("/healthz/ready")
    assert (answer.status_code, answer.json) == (503, {"status": "stopping"})
    assert client.get("/healthz/live").status_code == 200


def test_a_process_without_its_redis_is_live_and_not_ready(settings: Settings, tmp_path: Any) -> None:
    away = {"session_backend": "redis", "redis_url": SecretStr(f"unix://{tmp_path}/nobody.sock")}
    app = create_app(settings.model_copy(update=away))
    client = client_of(app)
    answer = client.get("/healthz/ready")
    assert (answer.status_code, answer.json) == (503, {"status": "the session store does not answer"})
    assert client.get("/healthz/live").status_code == 200
    assert client.get("/").status_code == 200, "a page for a stranger needs no Redis"
    await_(app.extensions["session_store"].close())


@pytest.mark.parametrize("path", ["/healthz/live", "/healthz/ready"])
def test_a_probe_sets_no_cookie_and_is_not_kept(app: LoopFlask, path: str) -> None:
    answer = client_of(app).get(path)
    assert "Set-Cookie" not in answer.headers
    assert answer.headers["Cache-Control"] == "no-store"


def test_readiness_does_not_ask_auth0(app: LoopFlask, monkeypatch: pytest.MonkeyPatch) -> None:
    def asked(*arguments: Any, **options: Any) -> None:
        raise AssertionError("Auth0 was asked")

    monkeypatch.setattr(app.extensions["auth0"], "_get_http_client", asked)
    assert client_of(app).get("/healthz/ready").status_code == 200
