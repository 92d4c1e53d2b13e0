"""Headers of answers: nginx's own, and what it does to the app's."""

import re

import pytest

from tests.nginx.conftest import RunSite, Site
from tests.nginx.upstream import always

HSTS = "max-age=63072000; includeSubDomains"
SPLIT = [f"__Host-session.{part}={'s' * 3900}; Path=/; Secure; HttpOnly; SameSite=Lax" for part in range(4)]


def _answer(*headers: str) -> bytes:
    return "\r\n".join(["HTTP/1.1 200 OK", *headers, "Content-Length: 2", "", "ok"]).encode()


def test_hsts_is_sent_once_whatever_the_app_sends(site: Site) -> None:
    site.upstream.answer = always(
        _answer("Strict-Transport-Security: max-age=1", "Strict-Transport-Security: max-age=2")
    )
    for host in ("app.test", "www.app.test"):
        assert site.get("/", host=host).values("Strict-Transport-Security") == [HSTS]
        assert site.get("/metrics", host=host).values("Strict-Transport-Security") == [HSTS]


def test_localhost_gets_no_hsts(site: Site) -> None:
    site.upstream.answer = always(_answer("Strict-Transport-Security: max-age=63072000"))
    assert site.get("/").values("Strict-Transport-Security") == []
    assert site.get("/metrics").values("Strict-Transport-Security") == []


def test_plain_http_gets_no_hsts(site: Site) -> None:
    with site.plain() as client:
        assert client.get("/", host="app.test").values("Strict-Transport-Security") == []


COOKIES = {
    "a=1": "a=1; Secure",
    "a=1; Path=/; HttpOnly": "a=1; Path=/; HttpOnly; Secure",
    "a=1; Secure": "a=1; Secure",
    "a=1; secure; Path=/": "a=1; secure; Path=/",
    "a=Secure": "a=Secure; Secure",
    "a=1; Path=/secure": "a=1; Path=/secure; Secure",
    "__Host-a=1; Path=/; Secure; HttpOnly; SameSite=Lax": "__Host-a=1; Path=/; Secure; HttpOnly; SameSite=Lax",
}


@pytest.mark.parametrize(("sent", "received"), COOKIES.items())
def test_no_cookie_passes_without_secure(site: Site, sent: str, received: str) -> None:
    site.upstream.answer = always(_answer(f"Set-Cookie: {sent}", "Set-Cookie: other=2; HttpOnly"))
    cookies = site.get("/").values("Set-Cookie")
    assert [cookie.lower() for cookie in cookies] == [received.lower(), "other=2; httponly; secure"]


@pytest.mark.parametrize("target", ["/", "/login", "/callback?code=1", "/static/x"])
def test_every_location_makes_cookies_secure(site: Site, target: str) -> None:
    site.upstream.answer = always(_answer("Set-Cookie: a=1"))
    assert site.get(target).values("Set-Cookie") == ["a=1; Secure"]


def test_several_cookies_of_4_kb_pass_in_one_answer(site: Site) -> None:
    cleared = [f"__Host-login.{number}=; Path=/; Max-Age=0; Secure" for number in range(5)]
    site.upstream.answer = always(_answer(*(f"Set-Cookie: {cookie}" for cookie in SPLIT + cleared)))
    assert site.get("/callback?code=1").values("Set-Cookie") == SPLIT + cleared


def test_the_server_s_version_is_nowhere(site: Site) -> None:
    site.upstream.answer = always(_answer("Server: gunicorn/27", "X-Powered-By: Python"))
    for response in (site.get("/"), site.get("/metrics")):
        assert response.values("Server") == ["nginx"]
        assert response.values("X-Powered-By") == []
    with site.plain() as client:
        redirect = client.get("/")
    assert redirect.values("Server") == ["nginx"]
    assert not re.search(rb"nginx/\d", redirect.body)


def test_the_app_s_headers_pass_as_they_are(site: Site) -> None:
    own = {
        "Content-Security-Policy": "default-src 'self'",
        "Cache-Control": "no-store",
        "Referrer-Policy": "same-origin",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Clear-Site-Data": '"cache"',
    }
    site.upstream.answer = always(_answer(*(f"{name}: {value}" for name, value in own.items())))
    response = site.get("/")
    assert {name: response.values(name) for name in own} == {name: [value] for name, value in own.items()}


def test_the_request_id_is_sent_once(site: Site) -> None:
    site.upstream.answer = always(_answer("X-Request-ID: the-app-s-own"))
    assert site.get("/").values("X-Request-ID") == site.upstream.only.values("X-Request-ID")


def test_addresses_get_no_hsts(run_site: RunSite) -> None:
    with run_site(NGINX_SERVER_NAMES="localhost") as site:
        assert site.get("/").values("Strict-Transport-Security") == []
