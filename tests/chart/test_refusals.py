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
    ({}, "shutdown.graceSeconds", 60, "take up to 85: write 85 or more"),
    ({}, "shutdown.terminationGracePeriodSeconds", 49, "take up to 50: write 50 or more"),
    ({"autoscaling": {"enabled": True}}, "autoscaling.minReplicas", 11, "minReplicas is above"),
    (
        {"autoscaling": {"enabled": True}},
        "server.resources.requests.cpu",
        None,
        "server.resources.requests.cpu is missing",
    ),
    ({}, "nameOverride", "My_App", "would be called release-My_App, as no Service may be: write fullnameOverride"),
    ({}, "fullnameOverride", "1st", "would be called 1st, as no Service may be"),
    ({}, "host", "10.1.2.3", "host is 10.1.2.3, which is an address"),
    (
        {},
        "commonLabels",
        {"app.kubernetes.io/name": "x"},
        "commonLabels has app.kubernetes.io/name, which the chart sets and finds pods by",
    ),
    ({}, "podLabels", {"helm.sh/chart": "x"}, "podLabels has helm.sh/chart"),
    (
        {"commonLabels": {"team": "a"}},
        "podLabels",
        {"team": "b"},
        "podLabels and commonLabels both have team: keep one",
    ),
    ({}, "nginx.image.tag", "", "nginx.image.tag is empty"),
    (EMBEDDED, "redis.embedded.image.tag", "", "redis.embedded.image.tag is empty"),
    ({"metrics": {"nginx": {"enabled": True}}}, "metrics.nginx.image.tag", "", "metrics.nginx.image.tag is empty"),
    (CREATED, "auth0.keys.assertionKey", "key.pem", "auth0.createSecret makes none: put the private key into a Secret"),
    (
        merged(
            {**STORED, "session": {"backend": "redis"}, "redis": {"embedded": {"enabled": False}}},
            {"externalSecret": {"redisUrl": {"key": "redis"}}, "networkPolicy": {"redis": [{"podSelector": {}}]}},
        ),
        "externalSecret.redisUrl",
        {"key": "", "property": "url"},
        "externalSecret.redisUrl.key is missing",
    ),
    # Two of one name: the later would count, or neither, as Helm applies them.
    ({}, "extraEnv", [{"name": "APP_ENV", "value": "development"}], "extraEnv has APP_ENV, which is set already"),
    (
        {"settings": {"LOG_LEVEL": "info"}},
        "extraEnv",
        [{"name": "LOG_LEVEL", "value": "debug"}],
        "extraEnv has LOG_LEVEL, which is set already, by the chart, by settings or by another entry: keep one",
    ),
    (
        {},
        "extraEnv",
        [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}],
        "extraEnv has A, which is set already",
    ),
    ({}, "nginx.extraServerNames", ["app.example.com"], "nginx.extraServerNames has app.example.com, which is host"),
    ({}, "nginx.extraServerNames", ["10.1.2.3"], "nginx.extraServerNames has 10.1.2.3, which is an address"),
    # The schema's.
    ({}, "nginx.extraServerNames", ["a.example.com", "a.example.com"], "items at 0 and 1 are equal"),
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
    ({}, "host", "App.example.com", "at '/host'"),
    ({}, "host", f"{'a' * 64}.example.com", "at '/host'"),
    # In a policy an empty list is everybody, and every port.
    ({}, "networkPolicy.dns", [], "at '/networkPolicy/dns': minItems"),
    ({}, "networkPolicy.auth0", [], "at '/networkPolicy/auth0': minItems"),
    (REDIS, "networkPolicy.redisPorts", [], "at '/networkPolicy/redisPorts': minItems"),
    (LOAD_BALANCER, "expose.loadBalancer.sourceRanges", ["nowhere"], "at '/expose/loadBalancer/sourceRanges/0'"),
    (GATEWAY, "expose.gateway.parentRefs", [{"namespace": "gateways"}], "missing property 'name'"),
    ({}, "metrics.documentation", 'https://git.example.com/"/', "at '/metrics/documentation'"),
    ({}, "server.resources.limits.memory", "64ki", "at '/server/resources/limits/memory'"),
    # As `helm upgrade --reuse-values` leaves it out, which takes the defaults of the version before.
    ({}, "metrics.certificate", None, "at '/metrics': missing property 'certificate'"),
    ({}, "probes.startSeconds", None, "at '/probes': missing property 'startSeconds'"),
    ({}, "networkPolicy.dns", None, "at '/networkPolicy': missing property 'dns'"),
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


@pytest.mark.parametrize("name", ["1st", "my.app"])
def test_a_release_whose_name_no_service_may_have_is_refused(name: str) -> None:
    """Helm's own rules for names allow more."""
    with pytest.raises(Refused, match=f"would be called {name}-auth0-flask, as no Service may be"):
        template({}, release=name)
    template({"fullnameOverride": "app"}, release=name)


def test_a_list_or_a_map_that_is_left_empty_is_one_of_nothing() -> None:
    """As a key without anything after it is, in a file of values."""
    plain = template({})
    for path in ("nginx.extraServerNames", "settings", "commonAnnotations", "commonLabels", "extraEnv", "tolerations"):
        assert template(values_of(path, None)) == plain, path
    assert "team: a" in template({"podLabels": {"team": "a"}, "commonLabels": None})


def test_all_problems_are_named_at_once(refusal: Refuse) -> None:
    said = refusal({"auth0": {"domain": "", "existingSecret": ""}, "tls": {"existingSecret": ""}})
    assert said.count("\n  - ") == 3


def test_a_cluster_that_is_too_old_is_refused() -> None:
    with pytest.raises(Refused, match=r"1\.30"):
        template({}, "--kube-version", "1.29.9")
    template({}, "--kube-version", "1.30.0")
    template({}, "--kube-version", "v1.34.4-eks-1234")
