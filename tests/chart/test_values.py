"""Each value changes what it says, and nothing else."""

import json
from typing import Any

import pytest
import yaml

from tests.chart.conftest import CHART, differences, merged, render, values_of

POD = "Deployment.spec.template.spec"
APP = f"{POD}.containers.app"
NGINX = f"{POD}.initContainers.nginx"
LOAD_BALANCER = {"expose": {"type": "LoadBalancer"}}
GATEWAY = {
    "expose": {"type": "HTTPRoute", "trustedProxies": ["10.0.0.0/8"], "gateway": {"parentRefs": [{"name": "public"}]}},
    "networkPolicy": {"clients": [{"namespaceSelector": {}}]},
}
INGRESS = merged(GATEWAY, {"expose": {"type": "Ingress", "ingress": {"tlsSecret": "public"}}})
REDIS = {
    "session": {"backend": "redis"},
    "redis": {"existingSecret": "redis", "embedded": {"enabled": False}},
    "networkPolicy": {"redis": [{"podSelector": {}}]},
}
TRACED = {
    "tracing": {"endpoint": "http://collector:4318"},
    "networkPolicy": {"collector": [{"podSelector": {}}]},
}
EMBEDDED = {"session": {"backend": "redis"}}
HPA = {"autoscaling": {"enabled": True}}
EXPORTED = {"metrics": {name: {"enabled": True} for name in ("nginx", "certificate")}}
EXPORTED_REDIS = {"session": {"backend": "redis"}, "metrics": {"redis": {"enabled": True}}}
SHOWN = {"metrics": {name: {"renderMode": "always"} for name in ("rules", "dashboards")}}
MONITORED = {"metrics": {"podMonitor": {"renderMode": "always"}}}
CERTIFIED = {"tls": {"mode": "certManager", "existingSecret": "", "certManager": {"issuerRef": {"name": "issuer"}}}}
STORED = {
    "auth0": {"existingSecret": ""},
    "externalSecret": {
        "enabled": True,
        "storeRef": {"name": "store"},
        **{name: {"key": name} for name in ("clientId", "clientSecret", "secret")},
    },
}
CREATED = {
    "auth0": {
        "existingSecret": "",
        "createSecret": {"enabled": True, "clientId": "id", "clientSecret": "client's", "secret": "s" * 32},
    }
}
CLIENT_CERTIFICATE = {"auth0": {"keys": {"certificate": "tls.crt", "certificateKey": "tls.key"}}}
DIGEST = "sha256:" + "0123456789abcdef" * 4
GIVEN_SUM = "Deployment.spec.template.metadata.annotations.checksum/auth0"
SECRET_FILES = f"{POD}.volumes.auth0.secret.items"


def env(container: str, name: str) -> str:
    return f"{container}.env.{name}.value"


EXPORTERS = (
    ("image.repository", "mine", "image"),
    ("image.tag", "2.0", "image"),
    ("image.digest", DIGEST, "image"),
    ("image.pullPolicy", "Always", "imagePullPolicy"),
    ("resources.limits.memory", "1Gi", "resources.limits.memory"),
)


# What is changed, from which values, and every place that may differ then.
CASES: list[tuple[dict[str, Any], str, Any, list[str]]] = [
    (
        {},
        "host",
        "other.example.com",
        [
            env(APP, "AUTH0_REDIRECT_URI"),
            env(NGINX, "NGINX_SERVER_NAMES"),
            env("Pod/test.spec.containers.test", "HOST"),
            env("Pod/test.spec.containers.test", "ORIGIN"),
        ],
    ),
    (
        {},
        "publicPort",
        8443,
        [
            env(APP, "AUTH0_REDIRECT_URI"),
            env(NGINX, "NGINX_PUBLIC_PORT"),
            env("Pod/test.spec.containers.test", "ORIGIN"),
        ],
    ),
    ({}, "image.repository", "mine", [f"{APP}.image", "Pod/test.spec.containers.test.image"]),
    ({}, "image.tag", "2.0", [f"{APP}.image", "Pod/test.spec.containers.test.image"]),
    ({}, "image.digest", DIGEST, [f"{APP}.image", "Pod/test.spec.containers.test.image"]),
    ({}, "image.pullPolicy", "Always", [f"{APP}.imagePullPolicy", "Pod/test.spec.containers.test.imagePullPolicy"]),
    ({}, "imagePullSecrets", [{"name": "r"}], [f"{POD}.imagePullSecrets", "Pod/test.spec.imagePullSecrets"]),
    ({}, "pages.module", "mypages", [f"{APP}.env.APP_PAGES"]),
    ({}, "auth0.domain", "login.example.com", [env(APP, "AUTH0_DOMAIN")]),
    ({}, "auth0.existingSecret", "other", [f"{POD}.volumes.auth0.secret.secretName"]),
    ({}, "auth0.keys.clientId", "id", [f"{SECRET_FILES}.0.key"]),
    ({}, "auth0.keys.clientSecret", "password", [f"{SECRET_FILES}.1.key"]),
    ({}, "auth0.keys.secret", "keys", [f"{SECRET_FILES}.2.key"]),
    (
        {},
        "auth0.keys.assertionKey",
        "key.pem",
        [
            f"{APP}.env.AUTH0_CLIENT_ASSERTION_KEY_FILE",
            f"{APP}.env.AUTH0_CLIENT_SECRET_FILE",
            f"{SECRET_FILES}.1.key",
            f"{SECRET_FILES}.1.path",
        ],
    ),
    (CLIENT_CERTIFICATE, "auth0.keys.certificate", "other.crt", [f"{SECRET_FILES}.1.key"]),
    (CLIENT_CERTIFICATE, "auth0.keys.certificateKey", "other.key", [f"{SECRET_FILES}.2.key"]),
    (
        {},
        "auth0.keys.proxyUrl",
        "proxy",
        [f"{APP}.env.AUTH0_PROXY_URL_FILE", f"{SECRET_FILES}.2.key", f"{SECRET_FILES}.2.path", f"{SECRET_FILES}.3"],
    ),
    ({}, "auth0.scope", "openid", [env(APP, "AUTH0_SCOPE")]),
    ({}, "auth0.audience", "https://api.example.com", [f"{APP}.env.AUTH0_AUDIENCE"]),
    (CREATED, "auth0.createSecret.clientId", "other", ["Secret/auth0.data.client-id", GIVEN_SUM]),
    (CREATED, "auth0.createSecret.clientSecret", "other", ["Secret/auth0.data.client-secret", GIVEN_SUM]),
    (CREATED, "auth0.createSecret.secret", "t" * 32, ["Secret/auth0.data.secret"]),
    (STORED, "externalSecret.storeRef.name", "other", ["ExternalSecret/auth0.spec.secretStoreRef.name"]),
    (STORED, "externalSecret.storeRef.kind", "ClusterSecretStore", ["ExternalSecret/auth0.spec.secretStoreRef.kind"]),
    (STORED, "externalSecret.refreshInterval", "5m", ["ExternalSecret/auth0.spec.refreshInterval"]),
    (STORED, "externalSecret.clientId.key", "other", ["ExternalSecret/auth0.spec.data.0.remoteRef.key"]),
    (STORED, "externalSecret.clientSecret.key", "other", ["ExternalSecret/auth0.spec.data.1.remoteRef.key"]),
    (STORED, "externalSecret.secret.key", "other", ["ExternalSecret/auth0.spec.data.2.remoteRef.key"]),
    (REDIS, "redis.existingSecret", "other", [f"{POD}.volumes.redis.secret.secretName"]),
    (REDIS, "redis.key", "redis-url", [f"{POD}.volumes.redis.secret.items.0.key"]),
    (
        REDIS,
        "redis.caSecret",
        "ca",
        [f"{APP}.env.REDIS_TLS_CA", f"{APP}.volumeMounts.redis-ca", f"{POD}.volumes.redis-ca"],
    ),
    ({}, "settings.LOG_LEVEL", "debug", [f"{APP}.env.LOG_LEVEL"]),
    (
        {},
        "settings.SERVER_REQUEST_TIMEOUT_SECONDS",
        50,
        [f"{APP}.env.SERVER_REQUEST_TIMEOUT_SECONDS", env(NGINX, "NGINX_UPSTREAM_TIMEOUT_SECONDS")],
    ),
    ({}, "server.workers", 3, [env(APP, "SERVER_WORKERS")]),
    ({}, "server.resources.limits.memory", "1Gi", [f"{APP}.resources.limits.memory"]),
    ({}, "nginx.image.repository", "mine", [f"{NGINX}.image"]),
    ({}, "nginx.image.tag", "1.30", [f"{NGINX}.image"]),
    ({}, "nginx.image.digest", DIGEST, [f"{NGINX}.image"]),
    ({}, "nginx.image.pullPolicy", "Always", [f"{NGINX}.imagePullPolicy"]),
    ({}, "nginx.workers", 4, [env(NGINX, "NGINX_WORKERS")]),
    (
        {},
        "nginx.extraServerNames",
        ["*.example.com"],
        [f"{NGINX}.env.NGINX_REDIRECTED_NAMES", env("Pod/test.spec.containers.test", "REDIRECTED")],
    ),
    ({}, "nginx.reloadSeconds", 0, [env(NGINX, "NGINX_RELOAD_SECONDS")]),
    ({}, "nginx.maxBodyBytes", 20_971_520, [env(APP, "SERVER_MAX_BODY_BYTES"), env(NGINX, "NGINX_MAX_BODY_BYTES")]),
    ({}, "nginx.clientRequests", 8, [env(NGINX, "NGINX_CLIENT_REQUESTS")]),
    ({}, "nginx.loginRate", "1r/s", [env(NGINX, "NGINX_LOGIN_RATE")]),
    ({}, "nginx.deniedClients", ["203.0.113.7"], [f"{NGINX}.env.NGINX_DENIED_CLIENTS"]),
    ({}, "nginx.resources.limits.memory", "1Gi", [f"{NGINX}.resources.limits.memory"]),
    (
        {},
        "tls.existingSecret",
        "other",
        [f"{POD}.volumes.tls.secret.secretName", "Pod/test.spec.volumes.tls.secret.secretName"],
    ),
    (CERTIFIED, "tls.certManager.issuerRef.name", "other", ["Certificate/tls.spec.issuerRef.name"]),
    (CERTIFIED, "tls.certManager.issuerRef.kind", "Issuer", ["Certificate/tls.spec.issuerRef.kind"]),
    (CERTIFIED, "tls.certManager.issuerRef.group", "other", ["Certificate/tls.spec.issuerRef.group"]),
    (CERTIFIED, "tls.certManager.duration", "24h", ["Certificate/tls.spec.duration"]),
    (CERTIFIED, "tls.certManager.renewBefore", "8h", ["Certificate/tls.spec.renewBefore"]),
    ({}, "expose.trustedProxies", ["10.0.0.0/8"], [f"{NGINX}.env.NGINX_TRUSTED_PROXIES"]),
    ({}, "expose.serviceAnnotations", {"a": "b"}, ["Service.metadata.annotations"]),
    ({}, "expose.trafficDistribution", "PreferSameZone", ["Service.spec.trafficDistribution"]),
    (LOAD_BALANCER, "expose.loadBalancer.externalTrafficPolicy", "Cluster", ["Service.spec.externalTrafficPolicy"]),
    (LOAD_BALANCER, "expose.loadBalancer.class", "other", ["Service.spec.loadBalancerClass"]),
    (LOAD_BALANCER, "expose.loadBalancer.sourceRanges", ["192.0.2.0/24"], ["Service.spec.loadBalancerSourceRanges"]),
    (INGRESS, "expose.ingress.className", "other", ["Ingress.spec.ingressClassName"]),
    (INGRESS, "expose.ingress.mode", "passthrough", ["Ingress.spec.tls", f"{NGINX}.env.NGINX_TRUSTED_PROXIES"]),
    (INGRESS, "expose.ingress.controller", "ingress-nginx", ["Ingress.metadata.annotations"]),
    (INGRESS, "expose.ingress.tlsSecret", "other", ["Ingress.spec.tls.0.secretName"]),
    (INGRESS, "expose.ingress.annotations", {"a": "b"}, ["Ingress.metadata.annotations"]),
    (GATEWAY, "expose.gateway.parentRefs", [{"name": "other"}], ["HTTPRoute.spec.parentRefs"]),
    (GATEWAY, "expose.gateway.annotations", {"a": "b"}, ["HTTPRoute.metadata.annotations"]),
    (GATEWAY, "expose.gateway.caConfigMap", "ca", ["BackendTLSPolicy.spec.validation"]),
    ({}, "networkPolicy.enabled", False, ["NetworkPolicy", "NetworkPolicy/test"]),
    ({}, "networkPolicy.clients", [{"podSelector": {}}], ["NetworkPolicy.spec.ingress.0.from"]),
    ({}, "networkPolicy.prometheus", [{"podSelector": {}}], ["NetworkPolicy.spec.ingress.1.from"]),
    (
        {},
        "networkPolicy.dns",
        [{"podSelector": {}}],
        ["NetworkPolicy.spec.egress.0.to", "NetworkPolicy/test.spec.egress.0.to"],
    ),
    ({}, "networkPolicy.auth0", [{"podSelector": {}}], ["NetworkPolicy.spec.egress.1.to"]),
    ({}, "networkPolicy.auth0Port", 3128, ["NetworkPolicy.spec.egress.1.ports.0.port"]),
    (REDIS, "networkPolicy.redis", [{"namespaceSelector": {}}], ["NetworkPolicy.spec.egress.2.to"]),
    (REDIS, "networkPolicy.redisPorts", [6380], ["NetworkPolicy.spec.egress.2.ports.0.port"]),
    (TRACED, "networkPolicy.collector", [{"namespaceSelector": {}}], ["NetworkPolicy.spec.egress.2.to"]),
    (TRACED, "networkPolicy.collectorPort", 4319, ["NetworkPolicy.spec.egress.2.ports.0.port"]),
    (TRACED, "tracing.endpoint", "https://other", [env(APP, "OTEL_EXPORTER_OTLP_ENDPOINT")]),
    ({}, "networkPolicy.extraEgress", [{"to": [{"podSelector": {}}]}], ["NetworkPolicy.spec.egress.2"]),
    ({}, "replicaCount", 5, ["Deployment.spec.replicas"]),
    ({}, "autoscaling.enabled", True, ["Deployment.spec.replicas", "HorizontalPodAutoscaler"]),
    (HPA, "autoscaling.minReplicas", 3, ["HorizontalPodAutoscaler.spec.minReplicas"]),
    (HPA, "autoscaling.maxReplicas", 3, ["HorizontalPodAutoscaler.spec.maxReplicas"]),
    (HPA, "autoscaling.targetCPU", 50, ["HorizontalPodAutoscaler.spec.metrics.0.containerResource"]),
    (HPA, "autoscaling.targetRequestsPerSecond", 9, ["HorizontalPodAutoscaler.spec.metrics.1"]),
    (HPA, "autoscaling.behavior", {"scaleUp": {"tolerance": "5%"}}, ["HorizontalPodAutoscaler.spec.behavior"]),
    ({}, "podDisruptionBudget.enabled", False, ["PodDisruptionBudget"]),
    ({}, "podDisruptionBudget.maxUnavailable", "25%", ["PodDisruptionBudget.spec.maxUnavailable"]),
    ({}, "shutdown.announceSeconds", 3, [f"{APP}.lifecycle.preStop.sleep", f"{NGINX}.lifecycle.preStop.exec"]),
    ({}, "shutdown.handOverSeconds", 3, [f"{APP}.lifecycle.preStop.sleep"]),
    ({}, "shutdown.graceSeconds", 20, [env(APP, "SERVER_GRACE_SECONDS")]),
    ({}, "shutdown.terminationGracePeriodSeconds", 90, [f"{POD}.terminationGracePeriodSeconds"]),
    ({}, "probes.startSeconds", 9, [f"{APP}.startupProbe.failureThreshold"]),
    ({}, "probes.readinessPeriodSeconds", 9, [f"{APP}.readinessProbe.periodSeconds"]),
    (
        {},
        "probes.livenessPeriodSeconds",
        9,
        [f"{APP}.livenessProbe.periodSeconds", f"{NGINX}.livenessProbe.periodSeconds"],
    ),
    ({}, "metrics.podMonitor.renderMode", "always", ["PodMonitor"]),
    (MONITORED, "metrics.podMonitor.labels", {"a": "b"}, ["PodMonitor.metadata.labels.a"]),
    (MONITORED, "metrics.podMonitor.interval", "5s", ["PodMonitor.spec.podMetricsEndpoints.0.interval"]),
    (
        {},
        "metrics.nginx.enabled",
        True,
        [f"{POD}.containers.nginx-metrics", "NetworkPolicy.spec.ingress.1.ports.1"],
    ),
    (
        {},
        "metrics.certificate.enabled",
        True,
        [
            f"{POD}.containers.certificate",
            f"{POD}.volumes.blackbox",
            "Deployment.spec.template.metadata.annotations.checksum/blackbox",
            "NetworkPolicy.spec.ingress.1.ports.1",
            "ConfigMap/blackbox",
        ],
    ),
    *[
        (EXPORTED, f"metrics.{name}.{path}", value, [f"{POD}.containers.{container}.{place}"])
        for name, container in (("nginx", "nginx-metrics"), ("certificate", "certificate"))
        for path, value, place in EXPORTERS
    ],
    (
        {},
        "serviceAccount.create",
        False,
        ["ServiceAccount", f"{POD}.serviceAccountName", "Pod/test.spec.serviceAccountName"],
    ),
    (
        {},
        "serviceAccount.name",
        "other",
        ["ServiceAccount", "ServiceAccount/other", f"{POD}.serviceAccountName", "Pod/test.spec.serviceAccountName"],
    ),
    ({}, "serviceAccount.annotations", {"a": "b"}, ["ServiceAccount.metadata.annotations"]),
    ({}, "podSecurityContext.runAsUser", 1000, [f"{POD}.securityContext", "Pod/test.spec.securityContext"]),
    ({}, "podAnnotations", {"a": "b"}, ["Deployment.spec.template.metadata.annotations.a"]),
    ({}, "podLabels", {"a": "b"}, ["Deployment.spec.template.metadata.labels.a"]),
    ({}, "priorityClassName", "high", [f"{POD}.priorityClassName"]),
    ({}, "nodeSelector", {"a": "b"}, [f"{POD}.nodeSelector", "Pod/test.spec.nodeSelector"]),
    ({}, "tolerations", [{"operator": "Exists"}], [f"{POD}.tolerations", "Pod/test.spec.tolerations"]),
    ({}, "affinity", {"nodeAffinity": {}}, [f"{POD}.affinity"]),
    ({}, "topologySpreadConstraints", [{"topologyKey": "a"}], [f"{POD}.topologySpreadConstraints"]),
    ({}, "extraEnv", [{"name": "HTTPS_PROXY", "value": "http://proxy"}], [f"{APP}.env.HTTPS_PROXY"]),
    ({}, "extraVolumes", [{"name": "a", "emptyDir": {}}], [f"{POD}.volumes.a"]),
    (
        {"extraVolumes": [{"name": "a", "emptyDir": {}}]},
        "extraVolumeMounts",
        [{"name": "a", "mountPath": "/a"}],
        [f"{APP}.volumeMounts.a"],
    ),
    (
        {},
        "extraObjects",
        [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "{{ .Release.Name }}-x"}}],
        ["ConfigMap/release-x"],
    ),
]
# Redis' manifests and generated data change with the release's own; their values are looked at one by one below.
ELSEWHERE = {
    *("nameOverride", "fullnameOverride", "commonLabels", "commonAnnotations", "session.backend", "tls.mode"),
    *("expose.type", "expose.proxyProtocol", "auth0.createSecret.enabled", "externalSecret.enabled"),
    *("externalSecret.redisUrl", "redis.embedded.enabled", "podSecurityContext", "metrics.rules", "metrics.dashboards"),
    *("metrics.documentation", "metrics.redis"),
}


@pytest.mark.parametrize(("base", "path", "value", "places"), CASES, ids=[f"{case[1]}" for case in CASES])
def test_a_value_changes_what_it_says_and_nothing_else(
    base: dict[str, Any], path: str, value: Any, places: list[str]
) -> None:
    changes = values_of(path, value)
    if path == "expose.ingress.mode":
        # Nobody writes a header into what is passed through.
        changes["expose"]["trustedProxies"] = []
    changed = set(differences(render(base), render(merged(base, changes))))
    assert changed, "it changes nothing"
    for place in changed:
        assert any(f"{place}.".startswith(f"{allowed}.") for allowed in places), place
    for allowed in places:
        assert any(f"{place}.".startswith(f"{allowed}.") for place in changed), allowed


@pytest.mark.parametrize(
    ("path", "value", "place"),
    [
        ("image.repository", "valkey", "containers.0.image"),
        ("image.tag", "9", "containers.0.image"),
        ("image.digest", DIGEST, "containers.0.image"),
        ("image.pullPolicy", "Always", "containers.0.imagePullPolicy"),
        ("resources.limits.memory", "1Gi", "containers.0.resources.limits.memory"),
        ("persistence.enabled", False, "volumes.2"),
    ],
)
def test_a_value_of_the_embedded_redis_changes_its_pod(path: str, value: Any, place: str) -> None:
    changes = merged(EMBEDDED, values_of(f"redis.embedded.{path}", value))
    before, after = render(EMBEDDED)["StatefulSet/redis"], render(changes)["StatefulSet/redis"]
    pods = [stateful["spec"]["template"]["spec"] for stateful in (before, after)]
    name, _, rest = place.partition(".0.")
    expected = f"containers.redis.{rest}" if rest else "volumes.data"
    assert name
    assert list(differences(*pods)) == [expected]


@pytest.mark.parametrize(("path", "value", "place"), EXPORTERS)
def test_a_value_of_the_exporter_of_the_embedded_redis_changes_its_container(path: str, value: Any, place: str) -> None:
    changes = merged(EXPORTED_REDIS, values_of(f"metrics.redis.{path}", value))
    pods = [render(values)["StatefulSet/redis"]["spec"]["template"]["spec"] for values in (EXPORTED_REDIS, changes)]
    assert list(differences(*pods)) == [f"containers.redis-metrics.{place}"]


def test_the_links_to_the_runbook_lead_to_where_the_repository_is_to_be_read() -> None:
    link = "https://git.example.com/auth0-flask/docs/runbook.md#"
    documented = merged(SHOWN, {"metrics": {"documentation": link.removesuffix("docs/runbook.md#")}})
    text = json.dumps(render(documented))
    assert f'runbook_url": "{link}' in text
    assert "externalLabels" not in text
    assert link in render(documented)["ConfigMap/dashboard-overview"]["data"]["auth0-flask-overview.json"]
    assert "${documentation}" not in text
    assert set(differences(render(SHOWN), render(SHOWN))) == set()


def test_the_embedded_redis_has_the_volume_that_is_asked_for() -> None:
    changes = merged(EMBEDDED, values_of("redis.embedded.persistence", {"size": "9Gi", "storageClass": "fast"}))
    (claim,) = render(changes)["StatefulSet/redis"]["spec"]["volumeClaimTemplates"]
    assert claim["spec"]["resources"]["requests"]["storage"] == "9Gi"
    assert claim["spec"]["storageClassName"] == "fast"


def test_common_labels_and_annotations_are_on_every_object() -> None:
    objects = render({"commonLabels": {"team": "a"}, "commonAnnotations": {"note": "b"}})
    assert {manifest["metadata"]["labels"]["team"] for manifest in objects.values()} == {"a"}
    assert {manifest["metadata"]["annotations"]["note"] for manifest in objects.values()} == {"b"}
    # Not among what pods are found by, which cannot change.
    assert "team" not in objects["Deployment"]["spec"]["selector"]["matchLabels"]


def test_names_follow_the_overrides() -> None:
    names = {name for name in render({"fullnameOverride": "other"}) if name.startswith("Deployment")}
    assert names == {"Deployment/other"}
    assert "Deployment/release-other" in render({"nameOverride": "other"})


def test_every_value_has_a_case_here() -> None:
    documented = set(leaves(yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))))
    tested = {path for _, path, _, _ in CASES} | ELSEWHERE
    missing = {
        path
        for path in documented
        if not any(f"{path}.".startswith(f"{case}.") or case.startswith(f"{path}.") for case in tested)
    }
    assert {
        path for path in missing if not path.startswith(("redis.embedded.", *(f"{name}." for name in WHOLE)))
    } == set()


WHOLE = (
    *("server.resources", "nginx.resources", "podSecurityContext", "metrics.rules", "metrics.dashboards"),
    *("metrics.nginx.resources", "metrics.certificate.resources"),
)


def leaves(values: Any, path: str = "") -> list[str]:
    if not isinstance(values, dict) or not values:
        return [path]
    return [leaf for key, value in values.items() for leaf in leaves(value, f"{path}.{key}" if path else key)]
