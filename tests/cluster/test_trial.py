"""The smallest installation, by Helm 3: the chart makes certificate, Redis and secrets, and keeps them."""

import base64
import json
from typing import Any

import pytest
import yaml

from tests.cluster.cluster import Cluster
from tests.cluster.conftest import ISSUER, RESTRICTED, Images
from tests.cluster.release import HelmError, Release

NAMESPACE = "flask-trial"
# As long as the chart lets it be: what it adds has to fit into what Kubernetes takes.
NAME = "a-trial-that-has-the-longest-name-a-release-may-have"


@pytest.fixture
def trial(kubernetes: Cluster, images: Images, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A namespace, and what is installed in it."""
    values = {
        "auth0": {
            "domain": ISSUER.removeprefix("https://").removesuffix("/"),
            "createSecret": {"enabled": True, "clientId": "trial", "clientSecret": "only-for-a-trial"},
        },
        "image": {"tag": images.tag},
        "nginx": {"image": {"repository": "auth0-flask-nginx", "tag": images.tag}},
        "redis": {"embedded": {"image": {"repository": "auth0-flask-redis", "tag": images.tag}}},
        "replicaCount": 1,
        "fullnameOverride": NAME,
    }
    kubernetes.make_namespaces(RESTRICTED, NAMESPACE)
    yield Release(kubernetes, NAMESPACE, values, tmp_path_factory.mktemp("helm3"), "helm3")
    kubernetes.delete_own_namespaces(f"--field-selector=metadata.name={NAMESPACE}", "--wait=false")


# Rendered by Helm with what the cluster has, and not applied.
DRY = "--dry-run=server"


def changed(trial: Release, before: dict[str, Any], changes: dict[str, Any]) -> set[str]:
    """The Secrets whose content an upgrade would change."""
    said = trial.upgrade(changes, DRY)
    found = [item for item in yaml.safe_load_all(said.partition("MANIFEST:\n")[2].partition("\nNOTES:")[0]) if item]
    secrets = {item["metadata"]["name"]: item["data"] for item in found if item["kind"] == "Secret"}
    assert secrets.keys() == before.keys()
    return {name for name, data in secrets.items() if data != before[name]}


def volume(**values: Any) -> dict[str, Any]:
    """Values for the volume of Redis."""
    return {"redis": {"embedded": {"persistence": values}}}


def redis_pod(trial: Release) -> str:
    """The one there is, by its uid."""
    found = trial.cluster.pods(NAMESPACE, "app.kubernetes.io/component=redis")
    return str(found[0]["metadata"]["uid"])


def test_a_trial_keeps_what_the_chart_has_made_over_upgrades_and_says_what_is_missing(trial: Release) -> None:
    def made() -> dict[str, Any]:
        found = trial.cluster.get(NAMESPACE, "secrets", "--selector=app.kubernetes.io/instance=auth0-flask")["items"]
        return {item["metadata"]["name"]: item["data"] for item in found}

    notes = trial.install()
    assert f"kubectl -n flask-trial port-forward service/{NAME} 8443:443" in notes
    for missing in ("host is localhost", "tls.mode is selfSigned", "auth0.createSecret", "redis.embedded"):
        assert missing in notes
    before = made()
    assert set(before) == {f"{NAME}-auth0", f"{NAME}-redis", f"{NAME}-tls"}
    # Of a chart whose app sent less to Redis: what the app may is the newer chart's word, its password stays.
    old = {"users.acl": base64.b64encode(b"user default off\n").decode()}
    trial.kubectl("patch", "secret", f"{NAME}-redis", f"--patch={json.dumps({'data': old})}")
    trial.upgrade({"podAnnotations": {"upgrade": "second"}})
    assert made() == before
    # For another name the certificate is another one, and nothing else is.
    assert changed(trial, before, {"host": "app.example.com"}) == {f"{NAME}-tls"}
    assert changed(trial, before, {}) == set()
    # What is asked of the volume is what there is, however it is written: Kubernetes changes none.
    stateful = json.loads(trial.kubectl("get", "statefulset", "--output=json"))["items"][0]["metadata"]["name"]
    assert changed(trial, before, volume(size="1024Mi")) == set()
    for changes, sentence in (
        (
            {"size": "2Gi"},
            f"size is 2Gi, but StatefulSet {stateful} was made with 1Gi, which cannot be changed: let the",
        ),
        ({"size": "512Mi"}, "was made with 1Gi, and no volume shrinks: write that"),
        ({"storageClass": "other"}, "storageClass is other, but StatefulSet"),
        ({"enabled": False}, f"enabled is false, but StatefulSet {stateful} was made with true"),
    ):
        with pytest.raises(HelmError, match=sentence):
            trial.upgrade(volume(**changes), DRY)
    # What the sentence says, but for the volume, which grows where its class lets it.
    pod = redis_pod(trial)
    trial.kubectl("delete", f"statefulset/{stateful}", "--cascade=orphan")
    trial.upgrade(volume(size="2Gi"))
    assert redis_pod(trial) == pod
    trial.kubectl("delete", f"statefulset/{stateful}", "--cascade=orphan")
    # What it has made goes with the upgrade that wants it no more, so it cannot be what is kept.
    with pytest.raises(HelmError, match=f"auth0.existingSecret is {NAME}-auth0, which this release has made itself"):
        trial.upgrade({"auth0": {"existingSecret": f"{NAME}-auth0", "createSecret": {"enabled": False}}}, DRY)
    # A new password and certificate, and those of before again: Redis and the app each have them at the end of it.
    trial.kubectl("delete", "secret", f"{NAME}-redis")
    trial.upgrade({})
    assert redis_pod(trial) != pod
    assert {name for name, data in made().items() if data != before[name]} == {f"{NAME}-redis"}
    trial.helm("rollback", trial.name, "2", "--wait", "--timeout=180s")
    assert made() == before
    assert "Succeeded" in trial.helm("test", trial.name, "--timeout=60s")
    trial.helm("uninstall", trial.name, "--wait")
    # Its volume is there, and the next installation takes it, with secrets of its own.
    trial.install()
    assert made().keys() == before.keys()
    assert made() != before
