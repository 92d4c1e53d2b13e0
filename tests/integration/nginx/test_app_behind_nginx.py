"""The app behind the real nginx, over a unix socket, as in production: what only the two together can get wrong."""

import dataclasses
import os
import ssl
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from scripts.certificates import CA
from tests.integration.browser import AppBrowser, heading_of
from tests.servers.app import ServedApp, app
from tests.servers.identity import IdentityProvider
from tests.servers.nginx import Nginx, nginx


@pytest.fixture(scope="module")
def socket_folder() -> Iterator[Path]:
    # Not below pytest's own folder: another user's nginx may not enter there, and a socket's path may have 107 bytes.
    with tempfile.TemporaryDirectory(prefix="app-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


@pytest.fixture(scope="module")
def behind(
    running_provider: IdentityProvider, socket_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServedApp]:
    """The app on a unix socket, without TLS of its own, believing who connects there."""
    socket = socket_folder / "app.sock"
    plain = {"SERVER_TLS_CERTIFICATE": "", "SERVER_TLS_KEY": "", "TRUSTED_PROXIES": "unix"}
    folder = tmp_path_factory.mktemp("app-behind-nginx")
    with app(folder, running_provider, workers=2, SERVER_BIND=f"unix:{socket}", **plain) as served:
        # In the image both run in one group; here nginx is nobody.
        socket.chmod(0o666)
        yield served


@pytest.fixture(scope="module")
def front(behind: ServedApp, ca: CA, socket_folder: Path) -> Iterator[Nginx]:
    """The nginx in front of it."""
    with nginx(ca.issue(), upstream=f"unix:{socket_folder / 'app.sock'}") as server:
        yield server


@pytest.fixture
def browser(behind: ServedApp, front: Nginx, new_browser: Callable[..., AppBrowser]) -> AppBrowser:
    """A browser for which nginx is the app."""
    browser = new_browser(dataclasses.replace(behind, server=dataclasses.replace(behind.server, url=front.origin)))
    return browser


def test_a_person_signs_in_and_out(browser: AppBrowser) -> None:
    assert heading_of(browser.sign_in_as(login="/login?return_to=/profile")) == "Jane Doe"
    assert "jane@example.com" in browser.visit("/api-call").text
    assert heading_of(browser.visit("/logout")) == "Welcome!"
    assert browser.get("/profile").status_code == 303


def test_one_request_has_one_id_in_both_logs_in_the_answer_and_on_the_page(browser: AppBrowser, front: Nginx) -> None:
    page = browser.get("/no-such-page")
    reference = page.headers["x-request-id"]
    assert f"Reference: <code>{reference}</code>" in page.text
    assert browser.line_of(page)["request_id"] == reference
    assert front.line(request_id=reference)["status"] == 404


def test_the_app_knows_the_client_and_that_it_came_by_https(browser: AppBrowser) -> None:
    forged = {"x-forwarded-for": "203.0.113.9", "x-forwarded-proto": "http", "forwarded": "for=203.0.113.9"}
    page = browser.get("/", headers=forged)
    assert browser.line_of(page)["client"] == "127.0.0.1"


def test_large_sessions_pass_in_both_directions(browser: AppBrowser) -> None:
    browser.sign_in_as()
    # A long address as well: together with the cookies that are there already, nginx has to take it.
    kept = "x" * 7_500
    assert browser.request("POST", f"/tests/keep/{kept}").status_code == 200
    parts = [cookie.name for cookie in browser.http.cookies.jar if cookie.name.startswith("__Host-session")]
    assert len(parts) >= 3
    assert browser.get("/tests/kept").json() == {"kept": kept}


@pytest.mark.parametrize("path", ["/healthz/live", "/healthz/ready", "/metrics"])
def test_what_is_for_operators_stays_inside(browser: AppBrowser, path: str) -> None:
    assert browser.get(path).status_code == 404


def test_security_headers_stand_once(browser: AppBrowser) -> None:
    names = [name.lower() for name, _value in browser.get("/").headers.multi_items()]
    assert "content-security-policy" in names
    assert sorted(names) == sorted(set(names))


def test_without_the_app_nginx_answers_with_a_page_of_its_own(
    running_provider: IdentityProvider, ca: CA, tmp_path: Path
) -> None:
    with nginx(ca.issue(), upstream=f"unix:{tmp_path / 'nobody.sock'}") as alone:
        context = ssl.create_default_context(cafile=str(ca.path))
        page = httpx.get(alone.origin, verify=context)
        assert page.status_code == 502
        assert page.headers["content-type"].startswith("text/html")
        assert alone.line(status=502)["request_id"] in page.text
        assert os.fspath(tmp_path) not in page.text
