"""Requests for another host than the app's own are refused."""

import logging

import pytest
from flask import request
from flask.testing import FlaskClient
from werkzeug.test import EnvironBuilder, run_wsgi_app

from app import create_app
from app.settings import Settings
from tests.unit.browsing import client_of


@pytest.fixture
def client(settings: Settings) -> FlaskClient:
    app = create_app(settings)

    @app.get("/url")
    async def url() -> str:
        return request.host

    return client_of(app)


@pytest.mark.parametrize("host", ["app.example.com", "app.example.com:443", "APP.example.COM", "app.example.com:8443"])
def test_the_own_host_is_served_whatever_the_port(client: FlaskClient, host: str) -> None:
    assert client.get("/url", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        *("evil.example", "localhost", "127.0.0.1", "10.0.0.7:8000", "app.example.com.evil.example", "example.com"),
        *("xapp.example.com", "evil@app.example.com.evil", "app.example.com@evil.example", "[::1]", "[", " ", "a b"),
        *("evil@app.example.com", "app.example.com:443@evil.example", "app.example.com/evil", "app.example.com#evil"),
    ],
)
def test_any_other_host_is_a_400_that_does_not_name_it(client: FlaskClient, host: str) -> None:
    answer = client.get("/url", headers={"Host": host})
    assert answer.status_code == 400
    assert "evil" not in answer.text + str(answer.headers)


def test_brackets_without_an_address_are_a_400_too(settings: Settings) -> None:
    # werkzeug's client itself trips over such a host.
    environ = EnvironBuilder(headers={"Host": "[:.]"}).get_environ()
    _, status, _ = run_wsgi_app(create_app(settings), environ)
    assert status == "400 BAD REQUEST"


@pytest.mark.parametrize("path", ["/login", "/callback", "/logout", "/static/style.css", "/no-such-page"])
def test_no_route_is_left_out(client: FlaskClient, path: str) -> None:
    assert client.get(path, headers={"Host": "evil.example"}).status_code == 400


def test_no_code_of_the_pages_runs_before_it_is_refused(settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    app = create_app(settings)
    seen: list[str] = []

    @app.before_request
    async def note() -> None:
        seen.append(request.host)

    caplog.set_level(logging.INFO, "app.request")
    answer = client_of(app).get("/url", headers={"Host": "evil.example"})
    assert (answer.status_code, seen) == (400, [])
    assert "X-Frame-Options" in answer.headers
    assert answer.headers["X-Request-ID"] in answer.text
    [line] = [record for record in caplog.records if record.name == "app.request"]
    assert vars(line)["status"] == 400


@pytest.mark.parametrize("path", ["/healthz/live", "/healthz/ready"])
def test_probes_come_with_the_machines_address(client: FlaskClient, path: str) -> None:
    assert client.get(path, headers={"Host": "10.0.0.7:8000"}).status_code == 200


@pytest.mark.parametrize("path", ["/healthz", "/healthz/", "/healthz/live/", "/healthz/ready/x"])
def test_what_only_looks_like_a_probe_does_not(client: FlaskClient, path: str) -> None:
    assert client.get(path, headers={"Host": "10.0.0.7:8000"}).status_code == 400
