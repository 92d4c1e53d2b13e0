"""One id for a request: a trusted proxy's, else one made here."""

import re

import pytest
from flask.testing import FlaskClient

from app import create_app
from app.settings import Settings
from tests.unit.browsing import client_of

SENT = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def client(settings: Settings) -> FlaskClient:
    return client_of(create_app(settings.model_copy(update={"trusted_proxies": ("10.0.0.0/8",)})))


def answered(client: FlaskClient, sent: str, peer: str) -> str:
    return client.get("/", headers={"X-Request-ID": sent}, environ_base={"REMOTE_ADDR": peer}).headers["X-Request-ID"]


def test_a_trusted_proxys_id_is_taken_over(client: FlaskClient) -> None:
    assert answered(client, SENT, "10.0.0.1") == SENT


def test_a_strangers_is_not(client: FlaskClient) -> None:
    assert re.fullmatch(r"[0-9a-f]{32}", made := answered(client, SENT, "203.0.113.1"))
    assert made != SENT


@pytest.mark.parametrize(
    "sent", ["", "short", "a" * 65, "with space in it", "<script>alert(1)</script>", "a,b,c,d,e,f"]
)
def test_an_id_that_is_not_well_formed_is_not_either(client: FlaskClient, sent: str) -> None:
    assert re.fullmatch(r"[0-9a-f]{32}", answered(client, sent, "10.0.0.1"))


def test_each_request_has_its_own(client: FlaskClient) -> None:
    assert len({client.get("/").headers["X-Request-ID"] for _ in range(50)}) == 50
