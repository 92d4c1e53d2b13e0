"""What is left out of the page that is counted is really left out, and nothing else is."""

import logging
from collections.abc import Iterator

import pytest
from flask.testing import FlaskClient

from app import create_app
from app.settings import Settings
from tests.load.counting import LEFT_OUT

ORIGIN = "https://localhost:8443"


@pytest.fixture
def log() -> Iterator[logging.Logger]:
    logger = logging.getLogger("app.request")
    level = logger.level
    logger.setLevel(logging.INFO)
    yield logger
    logger.setLevel(level)


@pytest.mark.parametrize("left_out", [None, *LEFT_OUT])
def test_the_page_without_a_part(left_out: str | None, caplog: pytest.LogCaptureFixture, log: logging.Logger) -> None:
    values = {"auth0_domain": "a.eu.auth0.com", "auth0_client_id": "c", "auth0_client_secret": "s" * 40}
    values |= {"auth0_secret": "5d0e6dcb6fb6b9be4a6ed3df0ba4d7b4c0ef1f2a2f8b6c1f7c5a9ac8f2ab14de"}
    values |= {"auth0_redirect_uri": f"{ORIGIN}/callback", "session_backend": "cookie", "app_env": "test"}
    app = create_app(Settings.model_validate(values | {"trusted_proxies": "192.0.2.1"}))
    if left_out is not None:
        LEFT_OUT[left_out].leave_out(app)
    browser = FlaskClient(app, app.response_class)
    page = browser.get("/", base_url=ORIGIN, headers={"X-Forwarded-For": "192.0.2.7"}, environ_base=PROXY)
    counted = "http_request_duration_seconds_count{" in _exposition(app)
    found = {
        "log": "request" in [record.message for record in caplog.records if record.name == log.name],
        "headers": "Content-Security-Policy" in page.headers,
        "metrics": counted,
        "host": browser.get("/", base_url="https://evil.example").status_code == 400,
        "proxies": any(getattr(record, "client", "") == "192.0.2.7" for record in caplog.records),
    }
    assert page.status_code == 200
    without_a_line = left_out == "log"
    assert [part for part, there in found.items() if not there] == (
        ["log", "proxies"] if without_a_line else [left_out] if left_out else []
    )


PROXY = {"REMOTE_ADDR": "192.0.2.1"}


def _exposition(app: object) -> str:
    from prometheus_client import generate_latest

    return generate_latest(app.extensions["metrics"].registry).decode()  # type: ignore[attr-defined]
