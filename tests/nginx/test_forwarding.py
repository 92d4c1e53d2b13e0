"""What the app is told about a request: only what nginx knows itself, whatever the client claims."""

import re

import pytest

from tests.nginx.client import connect
from tests.nginx.conftest import RunSite, Site

FORGED = {
    "X-Forwarded-For": "203.0.113.9",
    "X-Forwarded-Proto": "http",
    "X-Forwarded-Host": "evil.test",
    "X-Forwarded-Port": "1",
    "Forwarded": "for=203.0.113.9;host=evil.test;proto=http",
}
# Believed by one server or library or another, and not set here.
CLEARED = [
    "X-Real-IP",
    "X-Client-IP",
    "X-Cluster-Client-IP",
    "True-Client-IP",
    "CF-Connecting-IP",
    "X-Forwarded-Prefix",
    "X-Forwarded-Server",
    "X-Forwarded-Scheme",
    "X-Forwarded-Ssl",
    "X-Forwarded-User",
    "X-Scheme",
    "X-Script-Name",
    "X-Original-URL",
    "X-Original-Host",
    "X-Rewrite-URL",
    "X-HTTP-Method-Override",
    "Front-End-Https",
    "Proxy",
    # Hop by hop.
    "Proxy-Authorization",
    "Proxy-Connection",
    "Keep-Alive",
    "TE",
    "Trailer",
    "Upgrade",
    "HTTP2-Settings",
]
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_forged_forwarding_headers_are_replaced(site: Site) -> None:
    forged = [f"{name}: {value}" for name, value in FORGED.items()]
    site.get("/", *forged, *forged)
    authority = site.server.authority
    request = site.upstream.only
    assert {name: request.values(name) for name in FORGED} == {
        "X-Forwarded-For": ["127.0.0.1"],
        "X-Forwarded-Proto": ["https"],
        "X-Forwarded-Host": [authority],
        "X-Forwarded-Port": [str(site.server.https_port)],
        "Forwarded": [f'for=127.0.0.1;host="{authority}";proto=https'],
    }
    assert b"evil" not in request.head
    assert b"203.0.113.9" not in request.head


@pytest.mark.parametrize("name", CLEARED)
def test_a_header_that_only_a_proxy_may_set_is_dropped(site: Site, name: str) -> None:
    site.get("/", f"{name}: forged")
    assert name.lower() not in site.upstream.only.names
    assert b"forged" not in site.upstream.only.head


@pytest.mark.parametrize(
    "name", ["X_Forwarded_For", "X-Forwarded_For", "x_request_id", "X.Real.IP", "X-Real IP", "Host_"]
)
def test_a_header_whose_name_a_gateway_could_read_as_another_is_dropped(site: Site, name: str) -> None:
    with site.tls() as client:
        client.send(f"GET / HTTP/1.1\r\nHost: localhost\r\n{name}: forged\r\nConnection: close\r\n\r\n".encode())
        client.rest()
    assert all(b"forged" not in request.head for request in site.upstream.requests)


def test_the_client_s_connection_header_names_nothing_that_nginx_then_forgets(site: Site) -> None:
    site.get("/", "Connection: close, X-Request-ID, X-Forwarded-For, Host")
    request = site.upstream.only
    assert "connection" not in request.names
    assert request.values("X-Forwarded-For") == ["127.0.0.1"]
    assert request.values("X-Request-ID")


def test_a_request_id_is_made_and_is_the_same_for_app_client_and_log(site: Site) -> None:
    response = site.get("/id")
    (made,) = site.upstream.only.values("X-Request-ID")
    assert re.fullmatch("[0-9a-f]{32}", made)
    assert response.value("X-Request-ID") == made
    assert site.server.line(request_id=made)["path"] == "/id"


def test_a_stranger_s_request_id_is_ignored(site: Site) -> None:
    response = site.get("/", "X-Request-ID: chosen-by-client")
    assert response.value("X-Request-ID") != "chosen-by-client"
    assert site.upstream.only.values("X-Request-ID") == [response.value("X-Request-ID")]


def test_a_stranger_s_trace_context_is_dropped(site: Site) -> None:
    """It could say of each request that it is recorded, or of an attack that it is not, and join others' traces."""
    response = site.get("/", f"traceparent: {TRACE}", "tracestate: a=1", "baggage: user=forged")
    assert not {"traceparent", "tracestate", "baggage"} & set(site.upstream.only.names)
    line = site.server.line(request_id=response.value("X-Request-ID"))
    assert line["trace_id"] == line["request_id"]


def test_a_trusted_proxy_s_trace_context_passes_if_it_is_well_formed(run_site: RunSite) -> None:
    malformed = (
        TRACE.upper(),
        f"{TRACE}-more",
        "forged",
        f"00-{'0' * 32}-{'1' * 16}-01",
        f"00-{'1' * 32}-{'0' * 16}-01",
    )
    with run_site(NGINX_TRUSTED_PROXIES="127.0.0.0/8") as site:
        for value in (TRACE, *malformed, f"ff{TRACE[2:]}"):
            response = site.get("/", f"traceparent: {value}", "tracestate: a=1", "baggage: user=forged")
            joined = value == TRACE
            request = site.upstream.requests[-1]
            assert request.values("traceparent") == ([TRACE] if joined else [])
            assert request.values("tracestate") == (["a=1"] if joined else [])
            assert request.values("baggage") == []
            line = site.server.line(request_id=response.value("X-Request-ID"))
            assert line["trace_id"] == (TRACE[3:35] if joined else line["request_id"])
        # No trace has such an id; the app makes one.
        site.get("/", "X-Request-ID: from-the-edge_1")
        assert site.server.line(request_id="from-the-edge_1")["trace_id"] == ""


def test_a_trusted_proxy_is_believed_about_the_client_and_the_request_id(run_site: RunSite) -> None:
    with run_site(NGINX_TRUSTED_PROXIES="127.0.0.0/8 203.0.113.0/24") as site:
        site.get("/", "X-Forwarded-For: 198.51.100.1, 192.0.2.7, 203.0.113.5", "X-Request-ID: from-the-edge_1")
        first = site.upstream.only
        # The last address that is no trusted proxy's; what stands before it, the client may have made up.
        assert first.values("X-Forwarded-For") == ["192.0.2.7"]
        assert first.values("Forwarded") == [f'for=192.0.2.7;host="{site.server.authority}";proto=https']
        assert first.values("X-Request-ID") == ["from-the-edge_1"]
        assert site.server.line(request_id="from-the-edge_1")["client"] == "192.0.2.7"

        site.get("/", "X-Forwarded-For: 2001:db8::7", "X-Forwarded-Host: evil.test", "X-Forwarded-Proto: http")
        second = site.upstream.requests[-1]
        assert second.values("X-Forwarded-For") == ["2001:db8::7"]
        assert second.values("Forwarded")[0].startswith('for="[2001:db8::7]";')
        assert second.values("X-Forwarded-Host") == [site.server.authority]
        assert second.values("X-Forwarded-Proto") == ["https"]

        for malformed in ("short", "x" * 65, "a b c d e f", 'a"b\\c1234', "id;DROP-TABLE"):
            site.get("/", f"X-Request-ID: {malformed}")
            assert re.fullmatch("[0-9a-f]{32}", site.upstream.requests[-1].values("X-Request-ID")[0])
        site.get("/", "X-Request-ID: first-one-1", "X-Request-ID: second-one-2")
        assert len(site.upstream.requests[-1].values("X-Request-ID")) == 1


def test_a_proxy_that_is_not_on_the_list_is_a_stranger(run_site: RunSite) -> None:
    with run_site(NGINX_TRUSTED_PROXIES="10.0.0.0/8") as site:
        site.get("/", "X-Forwarded-For: 192.0.2.7", "X-Request-ID: from-the-edge_1")
        assert site.upstream.only.values("X-Forwarded-For") == ["127.0.0.1"]
        assert site.upstream.only.values("X-Request-ID") != ["from-the-edge_1"]


def test_the_proxy_protocol_tells_the_client_s_address(run_site: RunSite) -> None:
    with run_site(NGINX_PROXY_PROTOCOL="on", NGINX_TRUSTED_PROXIES="127.0.0.1") as site:
        with connect(site.server.http_port) as client:
            client.send(b"PROXY TCP4 192.0.2.7 127.0.0.1 1234 80\r\n")
            assert client.get("/a").status == 308
        assert site.server.line(path="/a")["client"] == "192.0.2.7"
        with connect(site.server.http_port) as client:
            client.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert client.rest() == b""
