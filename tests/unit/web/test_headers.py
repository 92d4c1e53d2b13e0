"""Every response has the security headers and its request's id, and a view may set another value."""

import pytest
from flask import Response
from flask.testing import FlaskClient

from app import create_app
from app.settings import Settings
from app.web.headers import security_headers


@pytest.fixture
def client(settings: Settings) -> FlaskClient:
    app = create_app(settings)

    @app.get("/own")
    async def own() -> Response:
        return Response(
            "",
            headers=[
                ("cache-control", "max-age=60"),
                ("X-FRAME-OPTIONS", "SAMEORIGIN"),
                ("x-request-id", "of-the-view"),
            ],
        )

    @app.get("/broken")
    async def broken() -> str:
        raise RuntimeError

    app.config["PROPAGATE_EXCEPTIONS"] = False
    return app.test_client()


@pytest.mark.parametrize("path", ["/", "/profile", "/static/style.css", "/nowhere", "/broken"])
def test_every_response_has_them(client: FlaskClient, settings: Settings, path: str) -> None:
    with client.get(path, base_url=settings.origin) as response:
        headers = response.headers
    for name, value in security_headers(settings).items():
        assert headers.getlist(name) == [value] or (path.startswith("/static") and name == "Cache-Control")
    assert len(headers.getlist("X-Request-ID")) == 1


def test_a_view_may_set_another_value_in_any_case(client: FlaskClient, settings: Settings) -> None:
    headers = client.get("/own", base_url=settings.origin).headers
    assert headers.getlist("Cache-Control") == ["max-age=60"]
    assert headers.getlist("X-Frame-Options") == ["SAMEORIGIN"]


def test_the_requests_id_is_the_one_in_the_log_and_not_the_views(client: FlaskClient, settings: Settings) -> None:
    (reference,) = client.get("/own", base_url=settings.origin).headers.getlist("X-Request-ID")
    assert reference != "of-the-view"


@pytest.mark.parametrize(
    ("origin", "hsts", "upgrades"),
    [
        ("https://app.example.com", True, True),
        # A browser would demand HTTPS of everything else that a developer runs there.
        ("https://localhost:8443", False, True),
        ("http://localhost:5000", False, False),
        ("http://app.test:5000", False, False),
    ],
)
def test_https_is_demanded_for_ever_where_it_is_a_hosts_own(
    settings: Settings, origin: str, hsts: bool, upgrades: bool
) -> None:
    headers = security_headers(settings.model_copy(update={"auth0_redirect_uri": f"{origin}/callback"}))
    assert headers.get("Strict-Transport-Security") == ("max-age=63072000; includeSubDomains" if hsts else None)
    assert ("upgrade-insecure-requests" in headers["Content-Security-Policy"]) == upgrades
