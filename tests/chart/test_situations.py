"""The values of ci/: linted, right for the oldest and the newest Kubernetes, deterministic, without findings."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from scripts.chart_tools import BIN, KUBERNETES, LOCAL, SCHEMAS
from tests.chart.conftest import (
    CHART,
    ROOT,
    SITUATIONS,
    differences,
    manifests,
    merged,
    situation_text,
    template,
)
from tests.chart.test_values import (
    CERTIFIED,
    CREATED,
    EMBEDDED,
    GATEWAY,
    INGRESS,
    LOAD_BALANCER,
    REDIS,
    STORED,
)

WANTED = {
    *("minimal", "production", "cookie-only", "gateway", "gateway-passthrough", "ingress", "external-secrets"),
    *("cert-manager", "embedded-redis", "openshift"),
}
# What the tools would have otherwise, and why it is not.
NO_CPU_LIMIT = "a limit throttles at peaks although the node has time; the request is what is guaranteed"
PULL_POLICY = "the production values name digests, whose content does not change"
TRIAL = "minimal values are for a trial; the production values set it"
UNPROBED = "the pod of `helm test` serves nobody, and an exporter with probes could take its pod out of service"
PLATFORM = "the platform gives the ids, in the values for OpenShift alone"
CHECKOV = {
    "CKV_K8S_11": NO_CPU_LIMIT,
    "CKV_K8S_15": PULL_POLICY,
    "CKV_K8S_43": TRIAL,
    "CKV_K8S_40": PLATFORM,
    "CKV_K8S_8": UNPROBED,
    "CKV_K8S_9": UNPROBED,
}
KUBE_SCORE = {
    "container-resources": NO_CPU_LIMIT,
    "container-image-pull-policy": PULL_POLICY,
    "container-security-context-user-group-id": PLATFORM,
    "deployment-replicas": TRIAL,
    "deployment-has-host-podantiaffinity": "topologySpreadConstraints do it, over zones as well",
}


def test_every_situation_is_there() -> None:
    assert set(SITUATIONS) == WANTED


@pytest.mark.parametrize("helm", ["helm", "helm3"])
def test_lint_has_nothing_to_say(helm: str) -> None:
    files = [str(CHART / "ci" / f"{name}-values.yaml") for name in SITUATIONS]
    for file in files:
        command = [BIN / helm, "lint", "--strict", CHART, "--values", file]
        result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        assert result.returncode == 0, result.stdout
        assert "[WARNING]" not in result.stdout
        assert "[INFO]" not in result.stdout


def test_every_manifest_is_right_for_the_oldest_and_the_newest_kubernetes(tmp_path: Path) -> None:
    for name in SITUATIONS:
        (tmp_path / f"{name}.yaml").write_text(situation_text(name))
    for version in KUBERNETES:
        result = conform(version, tmp_path)
        assert result.returncode == 0, result.stdout
        summary = json.loads(result.stdout)["summary"]
        assert summary["valid"] > 10 * len(SITUATIONS)
        assert summary["invalid"] + summary["errors"] + summary["skipped"] == 0


def conform(version: str, path: Path) -> "subprocess.CompletedProcess[str]":
    """kubeconform, with Kubernetes' schemas of *version* and those of the custom resources."""
    name = "{{ .ResourceKind }}{{ .KindSuffix }}.json"
    command = [BIN / "kubeconform", "-strict", "-summary", "-output", "json"]
    for folder in (SCHEMAS / version, ROOT / "tests" / "chart" / "schemas"):
        command += ["-schema-location", f"{folder}/{name}"]
    return subprocess.run([*command, path], capture_output=True, text=True, check=False, timeout=100)


@pytest.mark.parametrize("name", ["2024", "on", "1e3", "null"])
def test_a_name_that_could_be_something_else_stays_a_name(name: str, tmp_path: Path) -> None:
    """A namespace, a release, a class, a Secret may be called so."""
    named: dict[str, Any] = {
        "fullnameOverride": "y",
        "nameOverride": name,
        "priorityClassName": name,
        "serviceAccount": {"create": False, "name": name},
        "expose": {
            "trafficDistribution": name,
            "loadBalancer": {"class": name},
            "ingress": {"className": name, "tlsSecret": name},
            "gateway": {"caConfigMap": name},
        },
        "commonLabels": {"team": name},
    }
    existing = {"auth0": {"existingSecret": name, "keys": {"clientId": name}}, "tls": {"existingSecret": name}}
    stored = merged(STORED, {"auth0": {"keys": {"secret": name}}})
    for number, values in enumerate((LOAD_BALANCER, INGRESS, GATEWAY, merged(REDIS, {"redis": {"key": name}}))):
        text = template(merged(merged(values, named), existing), "--namespace", name, release=name)
        (tmp_path / f"{number}.yaml").write_text(text)
    embedded = {"redis": {"embedded": {"persistence": {"storageClass": name}}}}
    for number, values in enumerate((merged(EMBEDDED, embedded), CREATED, CERTIFIED, stored)):
        text = template(merged(values, named), "--namespace", name, release=name)
        (tmp_path / f"made-{number}.yaml").write_text(text)
    result = conform(KUBERNETES[-1], tmp_path)
    assert result.returncode == 0, result.stdout
    assert json.loads(result.stdout)["summary"]["valid"] > 50


def test_a_misspelt_field_is_found(tmp_path: Path) -> None:
    wrong = situation_text("gateway").replace("parentRefs:", "parentReferences:")
    (tmp_path / "wrong.yaml").write_text(wrong)
    assert "parentReferences" in conform(KUBERNETES[-1], tmp_path).stdout


@pytest.mark.parametrize("name", SITUATIONS)
def test_helm_3_and_4_and_a_second_time_give_the_same(name: str) -> None:
    one, other = (manifests(situation_text(name, helm)) for helm in ("helm", "helm3"))
    found = [
        {f"{manifest['kind']}/{manifest['metadata']['name']}": manifest for manifest in rendered}
        for rendered in (one, other)
    ]
    places = set(differences(*found))
    # Made anew wherever Helm cannot look into the cluster: trials only.
    generated = {
        place
        for place in places
        if place.startswith(("Secret/", "ConfigMap/release-name-auth0-flask-ca"))
        # The sum of such a Secret.
        or place.endswith(".spec.template.metadata.annotations.checksum/redis")
    }
    assert places == generated
    assert not generated or name in (
        "minimal",
        "embedded-redis",
        "ingress",
        "cert-manager",
        "gateway",
        "gateway-passthrough",
    )


def test_checkov_finds_nothing_that_is_not_explained(tmp_path: Path) -> None:
    for name in SITUATIONS:
        (tmp_path / f"{name}.yaml").write_text(situation_text(name))
    command = [LOCAL / "checkov" / "bin" / "checkov", "--framework", "kubernetes", "--directory", tmp_path]
    command += ["--skip-download", "--quiet", "--compact", "--output", "json"]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=110)
    report = json.loads(result.stdout)
    assert report["summary"]["passed"] > 500
    checks = report["results"]["failed_checks"]
    failed = {f"{check['check_id']} {check['resource']}" for check in checks}
    assert {check for check in failed if check.split()[0] not in CHECKOV} == set()
    assert {check.split()[0] for check in failed} == set(CHECKOV)
    assert {check["file_path"] for check in checks if CHECKOV[check["check_id"]] == PLATFORM} == {"/openshift.yaml"}
    # Their reasons hold for these alone; a pod's first container is the one that serves.
    unprobed = [check for check in checks if CHECKOV[check["check_id"]] == UNPROBED]
    serving = [check for check in unprobed if "[0]" in check["check_result"]["evaluated_keys"][0]]
    assert {check["resource"] for check in serving if "-test" not in check["resource"]} == set()


def test_kube_score_finds_nothing_that_is_not_explained() -> None:
    found = set()
    for name in SITUATIONS:
        command = [BIN / "kube-score", "score", "--output-format", "json", "--kubernetes-version", "v1.34", "-"]
        result = subprocess.run(
            command, input=situation_text(name), capture_output=True, text=True, check=False, timeout=60
        )
        for manifest in json.loads(result.stdout):
            found |= {
                f"{check['check']['id']} {manifest['type_meta']['kind']} {name}"
                for check in manifest["checks"]
                if check["grade"] < 7 and not check["skipped"]
            }
    assert {check for check in found if check.split()[0] not in KUBE_SCORE} == set()
    assert {check.split()[0] for check in found} == set(KUBE_SCORE)
    for reason, situations in ((PLATFORM, {"openshift"}), (TRIAL, {"embedded-redis"})):
        assert {check.split()[2] for check in found if KUBE_SCORE[check.split()[0]] == reason} == situations
