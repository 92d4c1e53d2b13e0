"""What cannot work is refused before anything reaches the cluster, by a sentence that says what to write."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from tests.chart.conftest import Refused, merged, template, values_of
from tests.chart.test_values import CERTIFIED, CREATED, EMBEDDED, GATEWAY, INGRESS, LOAD_BALANCER, REDIS, STORED

Refuse = Callable[[Mapping[str, Any]], str]
# What may be named in extraEnv: files of a volume of one's own.
FILES = {
    "extraEnv": [
        {"name": f"{name}_FILE", "value": "/run/own/file"} for name in ("AUTH0_PROXY_URL", "OTEL_EXPORTER_OTLP_HEADERS")
    ]
}
CASES: list[tuple[dict[str, Any], str, Any, str]] = [
    ({}, "auth0.domain", "", "auth0.domain is missing: write your tenant's domain"),
    ({}, "auth0.existingSecret", "", "auth0.existingSecret is missing: make a Secret"),
    (STORED, "auth0.existingSecret", "auth0", "auth0.existingSecret and externalSecret.enabled are set"),
    (CREATED, "auth0.existingSecret", "auth0", "auth0.existingSecret and auth0.createSecret.enabled are set"),
    (CREATED, "auth0.createSecret.clientSecret", "", "auth0.createSecret.clientSecret are needed"),
    ({}, "auth0.keys.certificate", "tls.crt", "auth0.keys.certificate and auth0.keys.certificateKey belong together"),
    (
        {"auth0": {"keys": {"certificate": "tls.crt", "certificateKey": "tls.key"}}},
        "auth0.keys.assertionKey",
        "key.pem",
        "auth0.keys.certificate and auth0.keys.assertionKey are set",
    ),
    (CREATED, "auth0.keys.proxyUrl", "proxy", "auth0.keys.proxyUrl are keys of a Secret of yours"),
    (
        FILES,
        "extraEnv",
        [{"name": "AUTH0_PROXY_URL", "value": "http://user:password@proxy:3128"}],
        "extraEnv has AUTH0_PROXY_URL, which may hold a password: mount it by extraVolumes",
    ),
    (
        FILES,
        "extraEnv",
        [{"name": "OTEL_EXPORTER_OTLP_HEADERS", "value": "authorization=Bearer%20token"}],
        "write its path in extraEnv as OTEL_EXPORTER_OTLP_HEADERS_FILE",
    ),
    ({}, "auth0.createSecret.clientSecret", "x", "auth0.createSecret has a secret in plain values"),
    ({}, "auth0.createSecret.secret", "s" * 32, "auth0.createSecret has a secret in plain values"),
    (STORED, "externalSecret.storeRef.name", "", "externalSecret.storeRef.name is missing"),
    (STORED, "externalSecret.secret", {"key": ""}, "externalSecret.secret.key is missing"),
    (
        {},
        "extraEnv",
        [{"name": "AUTH0_SECRET", "value": "x"}],
        "extraEnv has AUTH0_SECRET: secrets are mounted as files",
    ),
    ({}, "extraEnv", [{"name": "REDIS_URL_FILE", "value": "x"}], "extraEnv has REDIS_URL_FILE"),
    (EMBEDDED, "redis.embedded.enabled", False, "Redis is missing: write redis.existingSecret"),
    (REDIS, "redis.embedded.enabled", True, "redis.embedded.enabled and redis.existingSecret are set"),
    (REDIS, "networkPolicy.redis", [], "networkPolicy.redis is missing"),
    ({}, "tracing.endpoint", "http://collector:4318", "networkPolicy.collector is missing"),
    ({}, "redis.existingSecret", "redis", "redis.existingSecret is set, but session.backend is cookie"),
    ({}, "tls.existingSecret", "", "tls.existingSecret is missing"),
    ({}, "tls.mode", "selfSigned", "tls.existingSecret is set, but tls.mode is selfSigned"),
    (CERTIFIED, "tls.certManager.issuerRef.name", "", "tls.certManager.issuerRef.name is missing"),
    (CERTIFIED, "host", "localhost", "host is localhost, for which no issuer gives a certificate"),
    (LOAD_BALANCER, "host", "localhost", "host is localhost, which expose.type LoadBalancer cannot make known"),
    (LOAD_BALANCER, "expose.trustedProxies", ["10.0.0.0/8"], "hands TLS through unread"),
    (INGRESS, "expose.ingress.mode", "passthrough", "expose.type Ingress hands TLS through unread"),
    (
        {"expose": {"proxyProtocol": True, "trustedProxies": ["10.0.0.0/8"]}},
        "metrics.certificate.enabled",
        True,
        "nobody can look at nginx' certificate from inside the pod",
    ),
    (REDIS, "metrics.redis.enabled", True, "metrics.redis.enabled is for the embedded Redis"),
    ({}, "expose.proxyProtocol", True, "expose.trustedProxies must say whose word counts"),
    (GATEWAY, "expose.proxyProtocol", True, "expose.type HTTPRoute speaks HTTP to nginx"),
    (GATEWAY, "expose.trustedProxies", [], "expose.trustedProxies is missing: with expose.type HTTPRoute"),
    (GATEWAY, "expose.gateway.parentRefs", [], "expose.gateway.parentRefs is missing"),
    (GATEWAY, "networkPolicy.clients", [], "networkPolicy.clients is missing: with expose.type HTTPRoute"),
    (INGRESS, "expose.ingress.tlsSecret", "", "expose.ingress.tlsSecret is missing"),
    ({}, "shutdown.graceSeconds", 60, "take up to 78: write 78 or more"),
    ({}, "shutdown.terminationGracePeriodSeconds", 42, "take up to 43: write 43 or more"),
    ({"autoscaling": {"enabled": True}}, "autoscaling.minReplicas", 11, "minReplicas is above"),
    # The schema's.
    ({}, "no.such.value", 1, "at '': additional properties 'no' not allowed"),
    ({}, "auth0.clientSecret", "x", "at '/auth0': additional properties 'clientSecret' not allowed"),
    ({}, "settings.LOG_LEVLE", "x", "at '/settings': additional properties 'LOG_LEVLE' not allowed"),
    (
        {},
        "settings.AUTH0_CLIENT_SECRET",
        "x",
        "at '/settings': additional properties 'AUTH0_CLIENT_SECRET' not allowed",
    ),
    (
        {},
        "settings.OTEL_EXPORTER_OTLP_HEADERS",
        "authorization=Bearer%20token",
        "at '/settings': additional properties 'OTEL_EXPORTER_OTLP_HEADERS' not allowed",
    ),
    (
        {},
        "settings.SERVER_DRAIN_SECONDS",
        5,
        "at '/settings': additional properties 'SERVER_DRAIN_SECONDS' not allowed",
    ),
    ({}, "auth0.domain", "https://acme.eu.auth0.com", "at '/auth0/domain'"),
    ({}, "host", "https://app.example.com", "at '/host'"),
    ({}, "tls.mode", "none", "at '/tls/mode': value must be one of 'selfSigned'"),
    ({}, "expose.trustedProxies", ["0.0.0.0/0"], "at '/expose/trustedProxies/0'"),
    ({}, "image.digest", "sha256:123", "at '/image/digest'"),
    ({}, "podSecurityContext.runAsUser", 0, "at '/podSecurityContext/runAsUser': minimum"),
    ({}, "podSecurityContext.runAsNonRoot", False, "at '/podSecurityContext/runAsNonRoot'"),
    ({}, "server.workers", "two", "at '/server/workers': got string, want integer"),
]


@pytest.mark.parametrize(
    ("base", "path", "value", "sentence"), CASES, ids=[f"{case[1]} {case[3][:40]}" for case in CASES]
)
def test_what_cannot_work_is_refused(
    refusal: Refuse, base: dict[str, Any], path: str, value: Any, sentence: str
) -> None:
    template(base)
    assert sentence in refusal(merged(base, values_of(path, value)))


def test_all_problems_are_named_at_once(refusal: Refuse) -> None:
    said = refusal({"auth0": {"domain": "", "existingSecret": ""}, "tls": {"existingSecret": ""}})
    assert said.count("\n  - ") == 3


def test_a_cluster_that_is_too_old_is_refused() -> None:
    with pytest.raises(Refused, match=r"1\.30"):
        template({}, "--kube-version", "1.29.9")
    template({}, "--kube-version", "1.30.0")
    template({}, "--kube-version", "v1.34.4-eks-1234")
