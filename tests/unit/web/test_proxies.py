"""Forwarded headers count only when a configured proxy sent them."""

from typing import Any

import pytest

from app.web.proxies import TrustedProxies

FORGED = {
    "HTTP_X_FORWARDED_FOR": "203.0.113.9",
    "HTTP_X_FORWARDED_PROTO": "https",
    "HTTP_X_FORWARDED_HOST": "evil.example",
    "HTTP_X_FORWARDED_PORT": "1",
    "HTTP_X_FORWARDED_PREFIX": "/evil",
    "HTTP_X_REAL_IP": "203.0.113.9",
    "HTTP_FORWARDED": "for=203.0.113.9;host=evil.example",
}
IDS = {
    "HTTP_X_REQUEST_ID": "a" * 32,
    "HTTP_TRACEPARENT": f"00-{'a' * 32}-{'b' * 16}-01",
    "HTTP_TRACESTATE": "a=1",
}


def passed_on(trusted: tuple[str, ...], peer: str | None, **headers: str) -> dict[str, Any]:
    """What the app behind the middleware gets."""
    seen: dict[str, Any] = {}

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        seen.update(environ)
        return []

    environ = {"wsgi.url_scheme": "http", **({} if peer is None else {"REMOTE_ADDR": peer}), **headers}
    TrustedProxies(app, trusted)(environ, lambda *_: None)
    return seen


@pytest.mark.parametrize("peer", ["198.51.100.7", "127.0.0.1", "::1", None, "not an address"])
def test_a_stranger_forges_nothing(peer: str | None) -> None:
    seen = passed_on(("10.0.0.0/8",), peer, **FORGED, **IDS)
    assert seen.get("REMOTE_ADDR") == peer
    assert seen["wsgi.url_scheme"] == "http"
    assert not [name for name in seen if name.startswith(("HTTP_X_", "HTTP_FORWARDED", "HTTP_TRACE"))]


@pytest.mark.parametrize(
    ("trusted", "peer"), [("10.0.0.0/8", "10.1.2.3"), ("unix", None), ("unix", ""), ("fd00::/8", "fd00::1")]
)
def test_a_trusted_proxy_says_who_and_how(trusted: str, peer: str | None) -> None:
    seen = passed_on((trusted,), peer, **FORGED, **IDS)
    assert seen["REMOTE_ADDR"] == "203.0.113.9"
    assert seen["wsgi.url_scheme"] == "https"
    assert seen.items() >= IDS.items()
    assert not [name for name in seen if name.startswith(("HTTP_X_FORWARDED", "HTTP_X_REAL", "HTTP_FORWARDED"))]


def test_only_the_part_of_the_chain_that_trusted_proxies_wrote_counts() -> None:
    seen = passed_on(("10.0.0.0/8",), "10.0.0.1", HTTP_X_FORWARDED_FOR="1.2.3.4, 203.0.113.9, 10.0.0.2")
    assert seen["REMOTE_ADDR"] == "203.0.113.9"


@pytest.mark.parametrize("chain", ["", "garbage", "203.0.113.9, garbage", "203.0.113.9,", "'; drop table"])
def test_garbage_in_the_chain_leaves_the_proxys_address(chain: str) -> None:
    assert passed_on(("10.0.0.0/8",), "10.0.0.1", HTTP_X_FORWARDED_FOR=chain)["REMOTE_ADDR"] == "10.0.0.1"


@pytest.mark.parametrize(("sent", "scheme"), [("https", "https"), ("https, http", "http"), ("http,https", "https")])
def test_the_proxy_says_by_which_scheme_it_was_asked(sent: str, scheme: str) -> None:
    for own in ("http", "https"):
        seen = passed_on(("unix",), None, HTTP_X_FORWARDED_PROTO=sent, **{"wsgi.url_scheme": own})
        assert seen["wsgi.url_scheme"] == scheme


@pytest.mark.parametrize("scheme", ["", "javascript", "https, gopher", "HTTPS"])
def test_a_scheme_that_is_none_changes_nothing(scheme: str) -> None:
    assert passed_on(("unix",), None, HTTP_X_FORWARDED_PROTO=scheme)["wsgi.url_scheme"] == "http"
