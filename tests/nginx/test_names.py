"""Which names are answered for, and the redirect from plain HTTP."""

import ssl

import pytest

from tests.nginx.client import connect
from tests.nginx.conftest import RunSite, Site


@pytest.mark.parametrize(
    "target", ["/", "/callback?code=a%2Fb&state=c+d", "/a//b/%2e%2e/c?", "/%E2%82%AC?x=%0d%0aX-Evil:%201"]
)
def test_plain_http_is_redirected_with_path_and_query_as_they_came(site: Site, target: str) -> None:
    with site.plain() as client:
        response = client.get(target)
    assert (response.status, response.value("Location")) == (308, site.server.origin + target)
    assert response.value("Strict-Transport-Security") is None
    assert site.upstream.requests == []


def test_a_post_is_redirected_with_a_status_that_keeps_its_method(site: Site) -> None:
    with site.plain() as client:
        assert client.get("/profile", method="POST", body=b"x=1").status == 308


def test_the_redirect_goes_to_the_public_port(run_site: RunSite) -> None:
    with run_site(NGINX_PUBLIC_PORT="443", NGINX_SERVER_NAMES="app.test") as site:
        with site.plain() as client:
            assert client.get("/a", host="app.test:8080").value("Location") == "https://app.test/a"
        site.get("/", host="app.test")
        assert site.upstream.only.values("Host") == ["app.test"]
        assert site.upstream.only.values("X-Forwarded-Port") == ["443"]


def test_plain_http_on_the_tls_port_is_redirected(site: Site) -> None:
    with connect(site.server.https_port) as client:
        response = client.get("/a?b=c", host=site.server.authority)
    assert (response.status, response.value("Location")) == (308, f"{site.server.origin}/a?b=c")


def test_a_redirected_name_leads_to_the_same_page_under_the_apps_own(run_site: RunSite) -> None:
    names = {"NGINX_SERVER_NAMES": "app.test", "NGINX_REDIRECTED_NAMES": "WWW.app.test"}
    with run_site(NGINX_PUBLIC_PORT="443", **names) as site:
        for target in ("/", "/callback?code=a%2Fb&state=c+d", "/a//b/%2e%2e/c?", "/metrics", "/login"):
            for method in ("GET", "POST"):
                response = site.get(target, host="www.app.test", method=method)
                assert (response.status, response.value("Location")) == (308, f"https://app.test{target}")
                with site.plain() as client:
                    # At once, not by way of itself.
                    assert client.get(target, host="www.app.test").value("Location") == f"https://app.test{target}"
        with connect(site.server.https_port) as client:
            assert client.get("/a", host="www.app.test").value("Location") == "https://app.test/a"
        assert site.upstream.requests == []
        assert site.get("/", host="app.test").status == 200
        with site.tls("app.test") as client:
            assert client.get("/", host="other.app.test").status == 421


def test_what_is_served_is_not_redirected_by_a_name_for_all_below(run_site: RunSite) -> None:
    names = {"NGINX_SERVER_NAMES": "app.test www.app.test", "NGINX_REDIRECTED_NAMES": "*.app.test localhost"}
    with run_site(**names) as site, site.tls("app.test") as client:
        for host in ("app.test", "www.app.test"):
            assert client.get("/", host=host).status == 200
            assert site.upstream.requests[-1].values("Host") == [f"{host}:{site.server.https_port}"]
        for host in ("old.app.test", "a.b.app.test", "localhost"):
            response = client.get("/", host=host)
            assert response.value("Location") == f"https://app.test:{site.server.https_port}/"


def test_a_redirected_name_says_nothing_of_the_names_below_it(run_site: RunSite) -> None:
    """It may be a whole company's, whose other servers know nothing of this one."""
    names = {"NGINX_SERVER_NAMES": "www.app.test", "NGINX_REDIRECTED_NAMES": "app.test localhost"}
    with run_site(**names) as site:
        assert site.get("/", host="app.test").values("Strict-Transport-Security") == ["max-age=63072000"]
        assert site.get("/", host="localhost").values("Strict-Transport-Security") == []
        assert site.get("/", host="www.app.test").value("Strict-Transport-Security") == (
            "max-age=63072000; includeSubDomains"
        )


HOSTS = ["evil.test", "localhost.evil.test", "127.0.0.1", "[::1]", "evil.test:443", "app.testx", "", "_"]


@pytest.mark.parametrize("host", HOSTS)
def test_another_host_is_refused_over_tls(site: Site, host: str) -> None:
    with site.tls() as client:
        response = client.get("/", host=host)
    assert response.status in (400, 421)
    assert site.upstream.requests == []


@pytest.mark.parametrize("host", HOSTS)
def test_another_host_is_refused_and_not_redirected_to(site: Site, host: str) -> None:
    with site.plain() as client:
        response = client.get("/", host=host)
    assert response.status in (400, 421)
    assert response.value("Location") is None


@pytest.mark.parametrize("line", ["GET / HTTP/1.0", "GET /"])
def test_a_request_without_host_is_refused(site: Site, line: str) -> None:
    assert b"another address" in site.raw(f"{line}\r\n\r\n".encode())
    assert site.upstream.requests == []


def test_http_1_1_without_host_is_refused(site: Site) -> None:
    assert site.raw(b"GET / HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize("name", ["evil.test", "127.0.0.1", None])
def test_no_certificate_is_shown_to_those_who_ask_for_another_name(site: Site, name: str | None) -> None:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with pytest.raises(ssl.SSLError, match="UNRECOGNIZED_NAME"), connect(site.server.https_port, context, name):
        pass


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST", "localhost.", "localhost:1", "www.app.test", "app.test"])
def test_the_app_is_told_the_name_without_the_client_s_port(site: Site, host: str) -> None:
    with site.tls() as client:
        assert client.get("/", host=host).status == 200
    name = host.partition(":")[0].lower().rstrip(".")
    authority = f"{name}:{site.server.https_port}"
    assert site.upstream.only.values("Host") == [authority]
    assert site.upstream.only.values("X-Forwarded-Host") == [authority]


def test_a_target_with_another_host_than_ours_is_refused(site: Site) -> None:
    with site.tls() as client:
        assert client.get("https://evil.test/").status in (400, 421)
    assert site.upstream.requests == []


def test_a_host_header_beside_a_target_with_a_host_never_reaches_the_app(site: Site) -> None:
    with site.tls() as client:
        response = client.get("https://localhost/a?b=c", host="evil.test")
    # RFC 9112, 3.2.2: the target's host counts. Newer versions of nginx refuse a contradiction.
    assert response.status in (200, 400)
    for request in site.upstream.requests:
        assert request.line == "GET /a?b=c HTTP/1.1"
        assert request.values("Host") == [site.server.authority]


def test_two_host_headers_are_refused(site: Site) -> None:
    answer = site.raw(b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.test\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert site.upstream.requests == []


@pytest.mark.parametrize("host", ["local\thost", "localhost/x", "localhost\\x", "local host"])
def test_a_host_that_is_none_is_refused(site: Site, host: str) -> None:
    assert site.raw(f"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode()).split(b" ")[1] in (
        b"400",
        b"421",
    )
    assert site.upstream.requests == []
