"""What watches the app: the operator's resources are made where they are known, and only Prometheus is answered."""

from collections.abc import Iterator
from urllib.parse import urlencode, urlsplit

from tests.chart.conftest import ROOT
from tests.cluster.conftest import APP, MONITORING, STRANGERS
from tests.cluster.release import Release, is_ready

GET = "import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1], timeout=20).read().decode())"
# Of what each port tells.
SAMPLES = {
    "metrics": "\nhttp_requests_in_flight ",
    "nginx-metrics": "\nnginx_up 1\n",
    "certificate": "\nprobe_ssl_earliest_cert_expiry ",
    "redis-metrics": "\nredis_up 1\n",
}


def targets(app: Release) -> Iterator[tuple[str, str]]:
    """What Prometheus asks by the PodMonitors, of each pod: the port's name and the address."""
    for monitor in app.cluster.get(APP, "podmonitors")["items"]:
        labels = monitor["spec"]["selector"]["matchLabels"]
        for item in app.cluster.pods(APP, ",".join(f"{name}={value}" for name, value in labels.items())):
            ports = {
                port["name"]: port["containerPort"]
                for container in item["spec"]["containers"]
                for port in container.get("ports", [])
            }
            for endpoint in monitor["spec"]["podMetricsEndpoints"]:
                query = urlencode(endpoint.get("params", {}), doseq=True)
                where = f"http://{item['status']['podIP']}:{ports[endpoint['port']]}{endpoint['path']}"
                yield endpoint["port"], f"{where}?{query}" if query else where


def test_the_operators_resources_lead_prometheus_to_every_exporter_and_nobody_else_gets_there(app: Release) -> None:
    found = list(targets(app))
    assert sorted(name for name, _ in found) == sorted([*SAMPLES, "metrics", "nginx-metrics", "certificate"])
    for name, url in found:
        assert SAMPLES[name] in app.cluster.execute(MONITORING, "monitoring", "python", "-c", GET, url), url
        where = urlsplit(url)
        outcome = app.cluster.connect(STRANGERS, "strangers", str(where.hostname), where.port or 0)
        assert outcome == "TimeoutError", url
    assert all(is_ready(item) for item in app.cluster.pods(APP, f"app.kubernetes.io/instance={app.name}"))


def test_rules_and_dashboards_are_there_for_operator_and_grafana(app: Release) -> None:
    rules = app.cluster.get(APP, "prometheusrules")["items"]
    assert len(rules) == len(list((ROOT / "deploy" / "prometheus" / "rules").iterdir()))
    assert all(item["spec"]["groups"] for item in rules)
    dashboards = app.cluster.get(APP, "configmaps", "--selector=grafana_dashboard=1")["items"]
    assert len(dashboards) == len(list((ROOT / "deploy" / "grafana" / "dashboards").glob("*.json")))
