"""Health and metrics are not reachable from outside, however the path is written."""

import pytest

from tests.nginx.conftest import Site

INSIDE = [
    "/metrics",
    "/metrics/",
    "/metrics?x=1",
    "/metrics?",
    "/metrics/x",
    "/metrics;x=1",
    "/metrics.json",
    "/metrics%20",
    "/metrics%0a",
    "/metrics%2f",
    "/metrics%3fx",
    "//metrics",
    "///metrics",
    "/%6detrics",
    "/%6D%65%74%72%69%63%73",
    "/metric%73",
    "/Metrics",
    "/METRICS",
    "/./metrics",
    "/.//metrics",
    "/x/../metrics",
    "/x/%2e%2e/metrics",
    "/x/%2E./metrics",
    "/x%2f..%2fmetrics",
    "/static/../metrics",
    "/healthz",
    "/healthz/",
    "/healthz/live",
    "/healthz/ready",
    "/healthz//ready",
    "/healthz/./ready",
    "/healthz/../metrics",
    "/healthz%2fready",
    "/healthz/ready%20",
    "/%68ealthz/ready",
    "//healthz/ready",
    "/HealthZ/Ready",
    "/login/../healthz/ready",
    "/callback/..//healthz/ready",
    "/healthz/x/../ready",
    "/%2fmetrics",
    "/metrics#x",
]


@pytest.mark.parametrize("target", INSIDE)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_health_and_metrics_are_404(site: Site, target: str, method: str) -> None:
    assert site.get(target, method=method).status == 404
    assert site.upstream.requests == []


def test_health_and_metrics_are_404_by_a_target_with_a_host(site: Site) -> None:
    assert site.get("https://localhost/metrics").status == 404
    assert site.upstream.requests == []


@pytest.mark.parametrize("target", ["/status", "/stub_status", "/nginx_status"])
def test_nginx_s_own_status_is_not_there(site: Site, target: str) -> None:
    site.get(target)
    assert site.upstream.only.target == target


@pytest.mark.parametrize("target", ["/metricsystem", "/healthzone", "/metrics-report", "/x/metrics", "/a?b=/metrics"])
def test_other_pages_with_such_a_name_pass(site: Site, target: str) -> None:
    assert site.get(target).status == 200
    assert site.upstream.only.target == target


REFUSED = ["/../x", "/%2e%2e/x", "/a/../../x", "/..", "/%00", "/a%00b", "/%zz", "/%", "/%2", "x", "http:/x", "*"]


@pytest.mark.parametrize("target", REFUSED)
def test_a_path_that_is_none_is_refused(site: Site, target: str) -> None:
    assert site.get(target).status == 400
    assert site.upstream.requests == []


@pytest.mark.parametrize(
    "target", ["/..;/x", "/x/..;/metrics", "/a%5c..%5cmetrics", "/a\\..\\metrics", "/%252e%252e/metrics"]
)
def test_what_is_no_traversal_here_reaches_the_app_unchanged(site: Site, target: str) -> None:
    # For nginx, and for Flask, these are names like any other; what matters is that both read them alike.
    assert site.get(target).status == 200
    assert site.upstream.only.target == target


@pytest.mark.parametrize("byte", [b"\x00", b"\x01", b"\x7f", b"\r", b"\t", b"\x0b"])
def test_a_control_character_in_the_target_is_refused(site: Site, byte: bytes) -> None:
    answer = site.raw(b"GET /a" + byte + b"b HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert site.upstream.requests == []


def test_the_providers_word_that_somebody_signed_out_passes(site: Site) -> None:
    answer = site.get("/backchannel-logout", method="POST")
    assert answer.status == 200
    assert site.upstream.only.head.startswith(b"POST /backchannel-logout HTTP/1.1\r\n")
