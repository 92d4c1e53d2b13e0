"""The files of what cannot run here, Grafana, and the configuration that a running Prometheus has taken."""

import json
import subprocess
from urllib.parse import urlsplit

import pytest
import yaml

from tests.compose.stack import ROOT, WITHOUT, WITHOUT_SHELL, Stack

COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())


def test_grafana_is_the_only_service_that_is_left_out() -> None:
    assert WITHOUT == "grafana"


def test_grafana_is_given_one_data_source_which_is_the_prometheus_beside_it() -> None:
    (path,) = (ROOT / "deploy" / "grafana" / "provisioning" / "datasources").iterdir()
    provisioned = yaml.safe_load(path.read_text())
    assert provisioned["apiVersion"] == 1
    (source,) = provisioned["datasources"]
    assert {"name", "uid", "type", "access", "url"} <= set(source)
    url = urlsplit(source["url"])
    prometheus = COMPOSE["services"]["prometheus"]
    assert (source["type"], url.hostname) == ("prometheus", "prometheus")
    assert prometheus["ports"][0].endswith(f":{url.port}")
    assert set(COMPOSE["services"]["grafana"]["networks"]) & set(prometheus["networks"])


def test_grafana_is_given_the_dashboards_where_its_provider_looks() -> None:
    (path,) = (ROOT / "deploy" / "grafana" / "provisioning" / "dashboards").iterdir()
    (provider,) = yaml.safe_load(path.read_text())["providers"]
    mounted = {volume["target"]: volume["source"] for volume in COMPOSE["services"]["grafana"]["volumes"]}
    folder = ROOT / mounted[provider["options"]["path"]]
    assert {path.suffix for path in folder.iterdir()} == {".json"}
    assert mounted["/etc/grafana/provisioning"] == "./deploy/grafana/provisioning"


@pytest.mark.parametrize("service", sorted(COMPOSE["services"]))
def test_every_service_is_hardened_limited_and_checked(service: str) -> None:
    found = COMPOSE["services"][service]
    assert found["read_only"]
    assert found["cap_drop"] == ["ALL"]
    assert found["security_opt"] == ["no-new-privileges:true"]
    assert set(found["deploy"]["resources"]["limits"]) == {"memory", "cpus", "pids"}
    assert found["logging"]["options"] == {"max-size": "10m", "max-file": "3"}
    if service != "init":
        assert found["user"] == "65532:65532"
        assert "interval" in found.get("healthcheck", {}) or service in WITHOUT_SHELL
        assert "stop_grace_period" in found
        assert found["depends_on"]["init"] == {"condition": "service_completed_successfully"}


def test_requests_reach_only_what_can_answer_them() -> None:
    waits = {name: service.get("depends_on", {}) for name, service in COMPOSE["services"].items()}
    healthy = {"condition": "service_healthy"}
    assert waits["nginx"]["app-1"] == waits["nginx"]["app-2"] == healthy
    assert waits["app-1"]["redis"] == waits["app-2"]["redis"] == healthy


def test_without_make_plain_http_is_led_to_the_port_that_is_published(stack: Stack) -> None:
    environment = {"HTTPS_PORT": "18443", **stack.client.environment}
    command = ["docker", "compose", "--env-file", "deploy/compose/local.env", "config", "--format", "json"]
    told = subprocess.run(command, cwd=stack.root, env=environment, capture_output=True, check=True, timeout=60).stdout
    nginx = json.loads(told)["services"]["nginx"]
    assert nginx["environment"]["NGINX_PUBLIC_PORT"] == nginx["ports"][0]["published"] == "18443"


def test_prometheus_finds_nothing_wrong_with_its_configuration(stack: Stack) -> None:
    stack.docker("exec", stack.container("prometheus"), "promtool", "check", "config", "/etc/prometheus/prometheus.yml")
