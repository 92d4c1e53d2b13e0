"""What cannot work is refused before anything reaches the cluster, by a sentence that says what to write."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from tests.chart.conftest import Refused, merged, template, values_of
from tests.chart.test_values import (
    CERTIFIED,
    CREATED,
    EMBEDDED,
    GATEWAY,
    INGRESS,
    LOAD_BALANCER,
    MONITORED,
    REDIS,
    STORED,
    TRACED,
)

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
    ({}, "auth0.keys.clientId", "secret", "secret is more than one of auth0.keys"),
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
        "commonLabels has app.kubernetes.io/name, which the chart or Kubernetes sets and finds pods by",
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
    ({}, "nginx.extraServerNames", ["*.*.com"], "nginx.extraServerNames has *.com, which is no host name"),
    (
        {},
        "host",
        "https://app.example.com",
        "host is https://app.example.com, which is no host name: write the name alone",
    ),
    ({}, "host", "app.example.com:8443", "write the name alone; a port goes into publicPort"),
    ({}, "host", "App.example.com", "host is App.example.com, which is no host name: write it in small letters"),
    ({}, "host", "app.example.com.", "write it without the dot at its end"),
    ({}, "host", "bücher.example.com", "write it as DNS has it, with xn-- in place of such letters"),
    ({}, "host", "*.example.com", "write one name; those that lead to it go into nginx.extraServerNames"),
    ({}, "host", "my_app", "host is my_app, which is no host name: write one such as app.example.com"),
    ({}, "host", f"{'a' * 64}.example.com", "which is no host name: write one such as app.example.com"),
    ({}, "host", "", "host is missing: write the app's public name, or localhost for a trial"),
    (
        {},
        "auth0.domain",
        "https://acme.eu.auth0.com",
        "auth0.domain is https://acme.eu.auth0.com: write the domain alone",
    ),
    ({}, "auth0.existingSecret", "Auth0", "auth0.existingSecret is Auth0, as nothing in Kubernetes may be called"),
    (REDIS, "redis.caSecret", "redis_ca", "redis.caSecret is redis_ca, as nothing in Kubernetes may be called"),
    (INGRESS, "expose.ingress.className", "My class", "expose.ingress.className is My class, as nothing in Kubernetes"),
    (GATEWAY, "expose.gateway.parentRefs", [{"name": "A"}], "expose.gateway.parentRefs[0].name is A, as nothing"),
    ({}, "imagePullSecrets", [{"name": "Registry"}], "imagePullSecrets[0].name is Registry, as nothing in Kubernetes"),
    (
        {},
        "image.repository",
        "example.com/My",
        "image.repository is example.com/My, but names of images have small letters",
    ),
    ({}, "expose.trustedProxies", ["0.0.0.0/0"], "expose.trustedProxies has 0.0.0.0/0, by which everybody could say"),
    (
        {},
        "podLabels",
        {"pod-template-hash": "x"},
        "podLabels has pod-template-hash, which the chart or Kubernetes sets",
    ),
    ({}, "podLabels", {"a": "for visitors!"}, "podLabels.a is for visitors!, which no label may be"),
    ({}, "commonLabels", {"a": "x" * 64}, "x, which no label may be: write up to 63 letters"),
    (
        MONITORED,
        "metrics.podMonitor.labels",
        {"a b": "x"},
        "metrics.podMonitor.labels has a b, which is no name of a label",
    ),
    ({}, "expose.serviceAnnotations", {"a b": "x"}, "expose.serviceAnnotations has a b, which is no name of a label"),
    (
        {},
        "podAnnotations",
        {"checksum/nginx": "x"},
        "podAnnotations has checksum/nginx, which the chart sets: remove it",
    ),
    ({}, "commonAnnotations", {"helm.sh/hook": "test"}, "commonAnnotations has helm.sh/hook"),
    (
        {},
        "extraVolumes",
        [{"name": "tmp", "emptyDir": {}}],
        "extraVolumes has tmp, which the chart or another entry has",
    ),
    (
        {},
        "extraVolumes",
        [{"name": "a", "emptyDir": {}}] * 2,
        "extraVolumes has a, which the chart or another entry has",
    ),
    ({}, "extraVolumeMounts", [{"name": "a", "mountPath": "/a"}], "extraVolumeMounts has a, which is no volume"),
    (
        {"extraVolumes": [{"name": "a", "emptyDir": {}}]},
        "extraVolumeMounts",
        [{"name": "a", "mountPath": "/run/secrets/auth0/"}],
        "extraVolumeMounts has /run/secrets/auth0/, where the chart or another entry mounts something",
    ),
    ({}, "publicPort", 80, "publicPort is 80, where browsers and the Service have plain HTTP: write 443"),
    ({}, "podDisruptionBudget.maxUnavailable", 0, "a node's drain would wait for ever: write 1"),
    ({}, "podDisruptionBudget.maxUnavailable", "0%", "a node's drain would wait for ever: write 1"),
    # The schema's.
    # What nginx/start.sh takes.
    ({}, "nginx.extraServerNames", [f"a{number}.test" for number in range(101)], "maxItems: got 101, want 100"),
    ({}, "nginx.deniedClients", [f"10.0.{number}.1" for number in range(257)], "maxItems: got 257, want 256"),
    ({}, "expose.trustedProxies", [f"10.0.{number}.1" for number in range(257)], "maxItems: got 257, want 256"),
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
    ({}, "networkPolicy.clients", [{"ipBlock": {}}], "at '/networkPolicy/clients/0/ipBlock': missing property 'cidr'"),
    (
        {},
        "networkPolicy.clients",
        [{"ipBlock": {"cidr": "10.0.0.0/8"}, "podSelector": {}}],
        "at '/networkPolicy/clients/0': maxProperties",
    ),
    (
        {},
        "networkPolicy.clients",
        [{"podSelector": {"matchLabel": {}}}],
        "additional properties 'matchLabel' not allowed",
    ),
    # A rule without them is for everybody, and every port.
    ({}, "networkPolicy.extraEgress", [{}], "at '/networkPolicy/extraEgress/0': minProperties"),
    ({}, "networkPolicy.extraEgress", [{"tos": []}], "additional properties 'tos' not allowed"),
    ({}, "extraVolumes", [{"emptyDir": {}}], "at '/extraVolumes/0': missing property 'name'"),
    ({}, "podSecurityContext.runAsNonRoot", None, "at '/podSecurityContext': missing property 'runAsNonRoot'"),
    ({}, "podSecurityContext.seccompProfile.type", "Unconfined", "at '/podSecurityContext/seccompProfile/type'"),
    # In a policy an empty list is everybody, and every port.
    ({}, "networkPolicy.dns", [], "at '/networkPolicy/dns': minItems"),
    ({}, "networkPolicy.auth0", [], "at '/networkPolicy/auth0': minItems"),
    (REDIS, "networkPolicy.redisPorts", [], "at '/networkPolicy/redisPorts': minItems"),
    (GATEWAY, "expose.gateway.parentRefs", [{"namespace": "gateways"}], "missing property 'name'"),
    ({}, "metrics.documentation", 'https://git.example.com/"/', "at '/metrics/documentation'"),
    ({}, "server.resources.limits.memory", "64ki", "at '/server/resources/limits/memory'"),
    # As `helm upgrade --reuse-values` leaves it out, which takes the defaults of the version before.
    ({}, "metrics.certificate", None, "at '/metrics': missing property 'certificate'"),
    ({}, "probes.startSeconds", None, "at '/probes': missing property 'startSeconds'"),
    ({}, "networkPolicy.dns", None, "at '/networkPolicy': missing property 'dns'"),
    ({}, "tls.mode", "none", "at '/tls/mode': value must be one of 'selfSigned'"),
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


# Where networks are written, and how.
NETWORKS: dict[str, tuple[dict[str, Any], Callable[[str], Any]]] = {
    "expose.trustedProxies": ({}, lambda network: [network]),
    "nginx.deniedClients": ({}, lambda network: ["203.0.113.7", network]),
    "expose.loadBalancer.sourceRanges": (LOAD_BALANCER, lambda network: [network]),
    **{
        f"networkPolicy.{name}": (base, lambda network: [{"podSelector": {}}, {"ipBlock": {"cidr": network}}])
        for name, base in (
            *(("clients", {}), ("prometheus", {}), ("dns", {}), ("auth0", {})),
            *(("redis", REDIS), ("collector", TRACED)),
        )
    },
    "networkPolicy.extraEgress": (
        {},
        lambda network: [{"to": [{"ipBlock": {"cidr": "0.0.0.0/0", "except": [network]}}]}],
    ),
}


@pytest.mark.parametrize("path", NETWORKS)
def test_what_is_no_network_is_refused_wherever_one_is_written(refusal: Refuse, path: str) -> None:
    base, written = NETWORKS[path]
    wrong = ["300.1.2.3/64", "10.0.0.0/40", "fd00::zz/8", "nowhere"]
    for network in wrong[:: 1 if path == "expose.trustedProxies" else 3]:
        said = refusal(merged(base, values_of(path, written(network))))
        assert f"{path}" in said
        assert f"has {network}" in said
        assert "which is no network: write one such as 10.0.0.0/8 or fd00::/8" in said


def networks(*several: str) -> dict[str, Any]:
    return {"networkPolicy": {"clients": [{"ipBlock": {"cidr": network}} for network in several]}}


def test_networks_of_both_families_are_taken_in_every_form() -> None:
    for fit in (
        *("0.0.0.0/0", "10.1.2.3/32", "255.255.255.254/31", "192.168.128.0/17", "128.0.0.0/1", "10.0.0.4/30"),
        *("::/0", "::1/128", "fd00::/8", "2001:DB8:0:1::/64", "1:2:3:4:5:6:7:8/128", "64:ff9b::/96", "1::8/128"),
    ):
        template(networks(fit))
    template({"expose": {"trustedProxies": ["10.0.0.1", "fd00::1"]}, "nginx": {"deniedClients": ["2001:db8::1"]}})


def test_of_networks_each_that_is_none_is_named(refusal: Refuse) -> None:
    wrong = (
        *("10.0.0.0/33", "10.0.0.0", "10.0.0/8", "10.0.0.256/32", "010.0.0.0/8", "10.0.0.0/08", "10.0.0.0/", ""),
        *("fd00::/129", "fd00:::/8", "fd00::1::/8", "1:2:3:4:5:6:7/64", "1:2:3:4:5:6:7:8:9/64", "12345::/16", ":1::/8"),
        *("::ffff:10.0.0.0/104", "fd00::/8 ", "1:2:3:4:5:6:7::8/128"),
    )
    said = refusal(networks(*wrong))
    assert said.count("which is no network") == len(wrong)


def test_a_network_that_begins_in_its_middle_is_refused_with_the_right_one(refusal: Refuse) -> None:
    """Newer versions of Kubernetes do not take it, and it is often not what was meant."""
    for network, right in (
        *(("10.1.2.3/8", "10.0.0.0/8"), ("192.168.255.1/17", "192.168.128.0/17"), ("203.0.113.7/0", "0.0.0.0/0")),
        *(("10.0.0.6/30", "10.0.0.4/30"), ("255.255.255.255/31", "255.255.255.254/31")),
    ):
        assert f"has {network}, which begins in the middle of a network: write {right}\n" in refusal(networks(network))


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


def test_a_key_that_is_not_read_may_be_one_of_another_s() -> None:
    """That of the client's secret, where the client signs."""
    assert template({"auth0": {"keys": {"assertionKey": "client-secret"}}})


def test_all_problems_are_named_at_once(refusal: Refuse) -> None:
    said = refusal({"auth0": {"domain": "", "existingSecret": ""}, "tls": {"existingSecret": ""}})
    assert said.count("\n  - ") == 3


def test_a_cluster_that_is_too_old_is_refused() -> None:
    with pytest.raises(Refused, match=r"1\.30"):
        template({}, "--kube-version", "1.29.9")
    template({}, "--kube-version", "1.30.0")
    template({}, "--kube-version", "v1.34.4-eks-1234")
