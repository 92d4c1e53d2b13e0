"""The examples of deploy/gitops: right by their schemas, and what they install can be installed, the same each time."""

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts.chart_tools import BIN, KUBERNETES
from tests.chart.conftest import CHART, ROOT, manifests, situation_text, template
from tests.chart.test_situations import conform

GITOPS = ROOT / "deploy" / "gitops"
ARGO = yaml.safe_load((GITOPS / "argocd-application.yaml").read_text())
REPOSITORY, RELEASE = yaml.safe_load_all((GITOPS / "flux.yaml").read_text())
EXAMPLES = {"argo": ARGO["spec"]["source"]["helm"]["valuesObject"], "flux": RELEASE["spec"]["values"]}


def test_the_examples_are_what_their_controllers_know(tmp_path: Path) -> None:
    # The schema of a HelmRelease is not to be had; its values are rendered below.
    for number, manifest in enumerate((ARGO, REPOSITORY)):
        (tmp_path / f"{number}.yaml").write_text(yaml.safe_dump(manifest))
    result = conform(KUBERNETES[-1], tmp_path)
    assert result.returncode == 0, result.stdout
    assert RELEASE["apiVersion"] == "helm.toolkit.fluxcd.io/v2"


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_installs_and_nothing_in_it_is_generated(name: str) -> None:
    session = {"session": {"backend": "redis"}, "tls": {"existingSecret": ""}}
    objects = manifests(template({**session, **EXAMPLES[name], "tls": {**EXAMPLES[name]["tls"], "existingSecret": ""}}))
    assert "Deployment" in {manifest["kind"] for manifest in objects}
    assert "Secret" not in {manifest["kind"] for manifest in objects}


def test_the_examples_lead_to_the_chart() -> None:
    for path in (ARGO["spec"]["source"]["path"], RELEASE["spec"]["chart"]["spec"]["chart"]):
        assert ROOT / path == CHART


def aliases(text: str) -> list[Any]:
    return [
        manifest["spec"]["template"]["spec"].get("hostAliases")
        for manifest in manifests(text)
        if manifest["kind"] == "Deployment"
    ]


@pytest.mark.parametrize("helm", ["helm", "helm3"])
def test_kustomize_changes_what_helm_rendered(helm: str, tmp_path: Path) -> None:
    environment = os.environ | {
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "HELM_PLUGINS": str(tmp_path),
        "HOME": str(tmp_path),
    }
    renderer = GITOPS / "post-render" / "post-render.sh"
    if helm == "helm":
        (tmp_path / "post-render").symlink_to(GITOPS / "post-render")
    command = [BIN / helm, "template", "release", CHART, "--values", CHART / "ci" / "cookie-only-values.yaml"]
    command += ["--post-renderer", "auth0-flask-kustomize" if helm == "helm" else renderer]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert result.returncode == 0, result.stderr
    assert aliases(result.stdout) == [[{"ip": "10.30.0.10", "hostnames": ["redis.internal"]}]]
    assert aliases(situation_text("cookie-only")) == [None]
    assert len(manifests(result.stdout)) == len(manifests(situation_text("cookie-only")))
