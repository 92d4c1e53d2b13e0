"""The ways in, what is denied, what is watched, and names that stay."""

import base64
import hashlib
import json
import re
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts import chart_docs
from scripts.chart_tools import BIN
from scripts.stack.prepare import EXPORTER_COMMANDS
from tests.chart.conftest import CHART, ROOT, VALUES, manifests, merged, render, situation, template
from tests.chart.test_values import CERTIFIED, EMBEDDED, GATEWAY, INGRESS, LOAD_BALANCER

NAMES = Path(__file__).with_name("names.json")


def test_names_and_selectors_are_those_of_the_last_release() -> None:
    """Selectors cannot be changed, and other names would be other objects: both would break `helm upgrade`."""
    objects = render(
        merged(EMBEDDED, {"autoscaling": {"enabled": True}, "metrics": {"podMonitor": {"renderMode": "always"}}})
    )
    found = {
        name: {"name": manifest["metadata"]["name"], "selector": manifest.get("spec", {}).get("selector")}
        for name, manifest in sorted(objects.items())
    }
    assert found == json.loads(NAMES.read_text())


# Of a Service, of a pod, and of the label that tells a StatefulSet's revision: its name and eleven characters more.
LABEL_LENGTH, REVISION_LENGTH = 63, 11


@pytest.mark.parametrize("override", ["a" * 60, "a" * 45 + "-b", "a" * 46 + "-b"])
def test_names_are_no_longer_than_kubernetes_takes_them(override: str) -> None:
    objects = render(merged(EMBEDDED, {"fullnameOverride": override}))
    for manifest in objects.values():
        name = manifest["metadata"]["name"]
        assert len(name) <= LABEL_LENGTH
        assert not name.endswith("-")
        if manifest["kind"] == "StatefulSet":
            assert len(name) + REVISION_LENGTH <= LABEL_LENGTH
            # Its Service is found by a name of its own.
            assert f"Service/{manifest['spec']['serviceName']}" in objects


def test_a_gateway_verifies_nginx_by_the_name_that_people_use() -> None:
    objects = render(GATEWAY)
    (reference,) = objects["BackendTLSPolicy"]["spec"]["targetRefs"]
    service = objects["Service"]
    assert reference["name"] == service["metadata"]["name"]
    assert reference["sectionName"] in {port["name"] for port in service["spec"]["ports"]}
    validation = objects["BackendTLSPolicy"]["spec"]["validation"]
    assert validation == {"hostname": "app.example.com", "wellKnownCACertificates": "System"}
    trial = render(merged(GATEWAY, {"tls": {"mode": "selfSigned", "existingSecret": ""}}))
    (authority,) = trial["BackendTLSPolicy"]["spec"]["validation"]["caCertificateRefs"]
    assert authority["name"] == trial["ConfigMap/ca"]["metadata"]["name"]


def test_a_tls_route_is_of_the_version_that_the_cluster_has() -> None:
    route = merged(GATEWAY, {"expose": {"type": "TLSRoute", "trustedProxies": []}})
    assert render(route)["TLSRoute"]["apiVersion"] == "gateway.networking.k8s.io/v1"
    old = render(route, "--api-versions", "gateway.networking.k8s.io/v1alpha2/TLSRoute")
    assert old["TLSRoute"]["apiVersion"] == "gateway.networking.k8s.io/v1alpha2"


def test_names_that_lead_to_the_host_are_in_whatever_leads_to_the_pods() -> None:
    extra = {"nginx": {"extraServerNames": ["www.example.com", "*.old.example.com"]}}
    names = ["app.example.com", "www.example.com", "*.old.example.com"]
    for type_, passed in (("HTTPRoute", {}), ("TLSRoute", {"trustedProxies": []})):
        route = render(merged(merged(GATEWAY, extra), {"expose": {"type": type_, **passed}}))
        assert route[type_]["spec"]["hostnames"] == names
    # A gateway asks nginx for the one.
    assert render(merged(GATEWAY, extra))["BackendTLSPolicy"]["spec"]["validation"]["hostname"] == "app.example.com"
    ingress = render(merged(INGRESS, extra))["Ingress"]["spec"]
    assert [rule["host"] for rule in ingress["rules"]] == names
    assert ingress["tls"] == [{"hosts": names, "secretName": "public"}]
    assert all(rule["http"] == ingress["rules"][0]["http"] for rule in ingress["rules"])
    assert render(merged(CERTIFIED, extra))["Certificate/tls"]["spec"]["dnsNames"] == names


def test_an_ingress_speaks_tls_to_nginx_with_its_name() -> None:
    annotations = render(merged(INGRESS, {"expose": {"ingress": {"controller": "ingress-nginx"}}}))["Ingress"][
        "metadata"
    ]["annotations"]
    prefix = "nginx.ingress.kubernetes.io/"
    assert annotations[f"{prefix}backend-protocol"] == "HTTPS"
    # nginx refuses a handshake without a name that it knows.
    assert annotations[f"{prefix}proxy-ssl-server-name"] == "on"
    assert annotations[f"{prefix}proxy-ssl-name"] == "app.example.com"


def test_everything_is_denied_that_is_not_named() -> None:
    policies = {name: manifest for name, manifest in render(EMBEDDED).items() if manifest["kind"] == "NetworkPolicy"}
    assert set(policies) == {"NetworkPolicy", "NetworkPolicy/redis", "NetworkPolicy/test"}
    for policy in policies.values():
        assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]
        assert policy["spec"]["podSelector"]["matchLabels"]
        for rule in policy["spec"].get("egress", []):
            assert rule["ports"]
            assert rule["to"]
    redis = policies["NetworkPolicy/redis"]["spec"]
    assert "egress" not in redis
    assert [list(peer) for rule in redis["ingress"] for peer in rule["from"]] == [["podSelector"]]
    metrics = policies["NetworkPolicy"]["spec"]["ingress"][1]
    assert [port["port"] for port in metrics["ports"]] == [9464]
    assert metrics["from"]


def test_ports_go_by_number() -> None:
    """Before Kubernetes 1.32 a Service finds no port of a sidecar by its name, and some networks' policies never do.

    kubernetes/kubernetes#127958, projectcalico/calico#8881
    """
    objects = render(merged(EMBEDDED, merged(SHOWN, EXPORTED)))
    pods = [objects[name]["spec"]["template"]["spec"] for name in ("Deployment", "StatefulSet/redis")]
    listening = {
        port["containerPort"]
        for pod in pods
        for container in (*pod.get("initContainers", []), *pod["containers"])
        for port in container["ports"]
    }
    service = {port["name"]: port["targetPort"] for port in objects["Service"]["spec"]["ports"]}
    assert service == {"https": 8443, "http": 8080}
    let_in = {
        port["port"]
        for name, manifest in objects.items()
        if name.startswith("NetworkPolicy")
        for rule in manifest["spec"].get("ingress", [])
        for port in rule["ports"]
    }
    assert let_in == listening
    (_, to_nginx) = objects["NetworkPolicy/test"]["spec"]["egress"]
    assert to_nginx["ports"] == [{"port": 8443, "protocol": "TCP"}]


def test_auth0_is_looked_for_at_public_addresses_alone() -> None:
    egress = render()["NetworkPolicy"]["spec"]["egress"][1]
    (four, six) = (peer["ipBlock"] for peer in egress["to"])
    for private in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16"):
        assert private in four["except"]
    assert six["cidr"] == "2000::/3"
    assert egress["ports"] == [{"port": 443, "protocol": "TCP"}]


@pytest.mark.parametrize(
    ("mode", "known", "there"), [("auto", False, False), ("auto", True, True), ("never", True, False)]
)
def test_a_pod_monitor_is_rendered_where_it_is_known(mode: str, known: bool, there: bool) -> None:
    arguments = ["--api-versions", "monitoring.coreos.com/v1/PodMonitor"] if known else []
    objects = render({"metrics": {"podMonitor": {"renderMode": mode}}}, *arguments)
    assert ("PodMonitor" in objects) == there


SHOWN = {"metrics": {name: {"renderMode": "always"} for name in ("podMonitor", "rules", "dashboards")}}
EXPORTED = {"metrics": {name: {"enabled": True} for name in ("nginx", "certificate", "redis")}}
# What `kubectl apply` may keep of an object in an annotation of it.
LAST_APPLIED_BYTES = 262_144


def test_rules_and_dashboards_are_the_files_of_deploy() -> None:
    objects = render(SHOWN)
    rules = [manifest["spec"] for manifest in objects.values() if manifest["kind"] == "PrometheusRule"]
    folder = ROOT / "deploy" / "prometheus" / "rules"
    assert rules
    assert rules == [yaml.safe_load(path.read_text()) for path in sorted(folder.glob("*"))]
    dashboards = {
        name: content
        for manifest in objects.values()
        if manifest["metadata"]["labels"].get("grafana_dashboard") == "1"
        for name, content in manifest["data"].items()
    }
    # To the letter: what stands in braces in legends and in summaries is Grafana's and Prometheus', not Helm's.
    wanted = (ROOT / "deploy" / "grafana" / "dashboards").glob("*.json")
    # By names that no other chart's have, since Grafana's sidecar puts all into one folder.
    assert dashboards == {f"auth0-flask-{path.name}": path.read_text() for path in wanted}
    assert all("{{" in content for content in dashboards.values())


@pytest.mark.parametrize("kind", ["rules", "dashboards"])
@pytest.mark.parametrize(
    ("mode", "known", "there"),
    [("auto", False, False), ("auto", True, True), ("always", False, True), ("never", True, False)],
)
def test_rules_and_dashboards_are_rendered_where_they_are_wanted(
    kind: str, mode: str, known: bool, there: bool
) -> None:
    arguments = ["--api-versions", "monitoring.coreos.com/v1/PrometheusRule"] if known else []
    others = {name: {"renderMode": "never"} for name in ("rules", "dashboards") if name != kind}
    objects = render({"metrics": {kind: {"renderMode": mode}} | others}, *arguments)
    found = [
        name
        for name, manifest in objects.items()
        if manifest["kind"] == "PrometheusRule" or "grafana_dashboard" in manifest["metadata"]["labels"]
    ]
    assert bool(found) == there


def test_a_label_of_one_kind_of_object_may_be_one_of_all() -> None:
    """Each label once: a second one of its name would be an error of the manifest."""
    labels = {"release": "own", "app.kubernetes.io/part-of": "platform"}
    monitored = {"podMonitor": {"labels": labels, "renderMode": "always"}}
    text = template({"metrics": monitored, "commonLabels": {"release": "all"}})
    (monitor,) = (document for document in text.split("\n---\n") if "kind: PodMonitor" in document)
    assert monitor.count("  release:") == monitor.count("  app.kubernetes.io/part-of:") == 1
    found = {manifest["kind"]: manifest["metadata"]["labels"] for manifest in manifests(text)}
    assert found["PodMonitor"].items() >= labels.items()
    assert found["Service"]["release"] == "all"


def test_every_object_is_small_enough_for_kubectl_apply() -> None:
    for name, manifest in render(merged(EMBEDDED, merged(SHOWN, EXPORTED))).items():
        assert len(json.dumps(manifest)) < LAST_APPLIED_BYTES, name


def test_every_exporter_is_watched_let_in_and_restricted() -> None:
    objects = render(merged(EMBEDDED, merged(SHOWN, EXPORTED)))
    for suffix, workload, ports in (
        ("", "Deployment", {"metrics", "nginx-metrics", "certificate"}),
        ("/redis", "StatefulSet/redis", {"redis-metrics"}),
    ):
        pod = objects[workload]["spec"]["template"]
        monitor = objects[f"PodMonitor{suffix}"]["spec"]
        assert {endpoint["port"] for endpoint in monitor["podMetricsEndpoints"]} == ports
        assert monitor["selector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()
        # Two releases in one namespace are two jobs.
        assert pod["metadata"]["labels"][monitor["jobLabel"]] == "release"
        exporters = [
            container
            for container in pod["spec"]["containers"]
            if container["name"] != "app" and {port["name"] for port in container["ports"]} <= ports
        ]
        assert {container["name"] for container in exporters} == ports - {"metrics"}
        for container in exporters:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
        numbers = {
            port["containerPort"]: port["name"]
            for container in pod["spec"]["containers"]
            for port in container["ports"]
        }
        let_in = {
            numbers[port["port"]]
            for rule in objects[f"NetworkPolicy{suffix}"]["spec"]["ingress"]
            for port in rule["ports"]
            if any("namespaceSelector" in peer for peer in rule.get("from", []))
        }
        assert let_in == ports


def test_an_exporter_that_hangs_takes_no_pod_out_and_one_that_crashes_hides_no_redis() -> None:
    objects = render(merged(EMBEDDED, EXPORTED))
    exporters = {"nginx-metrics", "certificate", "redis-metrics"}
    probed = {
        container["name"]: any(f"{kind}Probe" in container for kind in ("startup", "readiness", "liveness"))
        for workload in ("Deployment", "StatefulSet/redis")
        for container in objects[workload]["spec"]["template"]["spec"]["containers"]
    }
    assert probed == {"app": True, "redis": True} | dict.fromkeys(exporters, False)
    # Its pod is the only one, and a crash of the exporter makes it not ready.
    assert objects["StatefulSet/redis"]["spec"]["replicas"] == 1
    assert objects["Service/redis"]["spec"]["publishNotReadyAddresses"] is True


def test_the_certificate_is_asked_for_as_compose_does_it() -> None:
    objects = render(merged(SHOWN, {"metrics": {"certificate": {"enabled": True}}, "host": "other.example.com"}))
    assert objects["ConfigMap/blackbox"]["data"]["blackbox.yml"] == (ROOT / "deploy/blackbox/blackbox.yml").read_text()
    endpoint = objects["PodMonitor"]["spec"]["podMetricsEndpoints"][1]
    assert endpoint["params"]["hostname"] == ["other.example.com"]
    jobs = yaml.safe_load((ROOT / "deploy" / "prometheus" / "prometheus.yml").read_text())["scrape_configs"]
    (job,) = (job for job in jobs if job["job_name"] == "certificate")
    assert endpoint["path"] == job["metrics_path"]
    assert endpoint["params"]["module"] == job["params"]["module"]
    names = {"source_labels": "sourceLabels", "target_label": "targetLabel"}
    assert endpoint["metricRelabelings"] == [
        {names.get(key, key): value for key, value in rule.items()} for rule in job["metric_relabel_configs"]
    ]


def test_redis_lets_the_exporter_ask_what_it_may_in_compose_and_with_a_password_of_its_own() -> None:
    objects = render(merged(EMBEDDED, {"metrics": {"redis": {"enabled": True}}}))
    data = {name: base64.b64decode(value).decode() for name, value in objects["Secret/redis"]["data"].items()}
    passwords = json.loads(data["exporter.json"])
    (password,) = set(passwords.values())
    assert password not in data["url"]
    digest = hashlib.sha256(password.encode()).hexdigest()
    assert f"user exporter on #{digest} {EXPORTER_COMMANDS}\n" in data["users.acl"]
    pod = objects["StatefulSet/redis"]["spec"]["template"]["spec"]
    (exporter,) = (container for container in pod["containers"] if container["name"] == "redis-metrics")
    (address,) = (argument.partition("=")[2] for argument in exporter["args"] if argument.startswith("--redis.addr="))
    assert {address, address.replace("//", "//exporter@")} == set(passwords)
    assert exporter["env"] == [{"name": "REDIS_EXPORTER_DISABLE_SCRAPE_ENDPOINT", "value": "true"}]
    # Found in the pod itself, whose network policy lets nothing out.
    assert pod["hostAliases"] == [{"ip": "127.0.0.1", "hostnames": [address.split("//")[1].partition(":")[0]]}]


def test_what_is_not_built_here_is_of_the_releases_that_compose_takes() -> None:
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    metrics = values["metrics"]
    ours = {
        "redis": values["redis"]["embedded"]["image"],
        "redis-exporter": metrics["redis"]["image"],
        "nginx-exporter": metrics["nginx"]["image"],
        "blackbox": metrics["certificate"]["image"],
    }
    for name, image in ours.items():
        assert f":-{image['repository']}:{image['tag']}@sha256:" in services[name]["image"]


def test_nginx_has_the_files_of_this_repository() -> None:
    objects = render()
    files = objects["ConfigMap/nginx"]["data"]
    (volume,) = (v for v in objects["Deployment"]["spec"]["template"]["spec"]["volumes"] if v["name"] == "nginx")
    mounted = {item["path"]: files[item["key"]] for item in volume["configMap"]["items"]}
    ours = (path for path in (ROOT / "nginx").rglob("*") if path.is_file() and path.suffix != ".md")
    assert mounted == {str(path.relative_to(ROOT / "nginx")): path.read_text() for path in ours}


@pytest.mark.parametrize("helm", ["helm", "helm3"])
def test_a_package_has_files_where_the_checkout_has_links(helm: str, tmp_path: Path) -> None:
    subprocess.run(
        [BIN / helm, "package", CHART, "--destination", tmp_path], check=True, capture_output=True, timeout=60
    )
    (package,) = tmp_path.glob("*.tgz")
    with tarfile.open(package) as archive:
        members = {member.name: member for member in archive.getmembers()}
    assert all(member.isfile() for member in members.values())
    assert "auth0-flask/files/nginx/start.sh" in members
    assert "auth0-flask/files/redis/redis.conf" in members
    for folder, files in (("prometheus/rules", "*.yml"), ("grafana/dashboards", "*.json"), ("blackbox", "*.yml")):
        packed = f"auth0-flask/files/{folder.removeprefix('grafana/')}"
        wanted = {f"{packed}/{path.name}" for path in (ROOT / "deploy" / folder).glob(files)}
        assert wanted <= set(members)
        assert wanted
    assert not [name for name in members if name.startswith(("auth0-flask/ci/", "auth0-flask/files/nginx/README"))]
    assert sum(member.size for member in members.values()) < 600_000
    outside = subprocess.run(
        [BIN / helm, "template", "release", package, "--namespace", "ours", "--values", "-"],
        input=json.dumps(situation("cookie-only")),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert "start.sh: |" in outside.stdout


def notes(values: dict[str, Any]) -> str:
    """NOTES.txt, as Helm prints it after an installation."""
    command = [BIN / "helm", "install", "release", CHART, "--dry-run=client", "--namespace", "ours", "--values", "-"]
    result = subprocess.run(
        command, input=json.dumps(merged(VALUES, values)), capture_output=True, text=True, check=True, timeout=60
    )
    return result.stdout.partition("\nNOTES:\n")[2]


def test_the_notes_say_what_to_enter_at_auth0() -> None:
    said = notes({"session": {"backend": "redis"}})
    for url in ("https://app.example.com/callback", "https://app.example.com/backchannel-logout"):
        assert f" {url}\n" in said
    assert "redis.embedded: one Redis without a replica" in said
    assert "backchannel" not in notes({})


def test_the_notes_name_all_that_has_to_lead_here() -> None:
    extra = {"nginx": {"extraServerNames": ["www.example.com"]}}
    assert "once app.example.com, www.example.com lead to:  kubectl" in notes(merged(LOAD_BALANCER, extra))
    assert "once app.example.com leads to the Gateway." in notes(GATEWAY)


def test_the_notes_of_a_production_release_miss_nothing() -> None:
    production = merged({"session": {"backend": "redis"}}, situation("production"))
    assert "Before it goes live" not in notes(production)
    assert "host is localhost" in notes({"host": "localhost"})


def test_the_readme_and_the_schema_are_renewed() -> None:
    """`make docs` does it."""
    assert chart_docs.README.read_text() == chart_docs.readme()
    assert chart_docs.SCHEMA.read_text() == chart_docs.schema()


def test_every_value_is_documented_and_in_the_schema() -> None:
    text = (CHART / "values.yaml").read_text()
    schema = json.loads((CHART / "values.schema.json").read_text())
    documented = {name for name, _, _ in chart_docs.rows(text)}

    def walk(values: dict[str, Any], properties: dict[str, Any], path: str) -> None:
        for name, value in values.items():
            below = f"{path}{name}"
            described = properties.get(name)
            assert described is not None, f"{below} is not in the schema"
            covered = below in documented or any(found.startswith(f"{below}.") for found in documented)
            assert covered or any(below.startswith(f"{found}.") for found in documented), f"{below} has no comment"
            if isinstance(value, dict) and described.get("additionalProperties") is False:
                walk(value, described["properties"], f"{below}.")

    walk(yaml.safe_load(text), schema["properties"], "")


def test_the_charts_version_is_the_apps() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    version = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert version
    assert chart["appVersion"] == version[1]


def test_what_the_chart_renders_is_plain_text_for_every_character() -> None:
    """A value with quotes, braces or line breaks stays a value."""
    strange = "a\"b'c: {d} # e\nf"
    objects = render({"auth0": {"audience": strange}, "podAnnotations": {"a": strange}})
    template_metadata = objects["Deployment"]["spec"]["template"]["metadata"]
    assert template_metadata["annotations"]["a"] == strange
    environment = objects["Deployment"]["spec"]["template"]["spec"]["containers"][0]["env"]
    assert {variable["name"]: variable["value"] for variable in environment}["AUTH0_AUDIENCE"] == strange
    assert template({})
