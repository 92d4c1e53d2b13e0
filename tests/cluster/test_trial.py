"""The smallest installation, by Helm 3: the chart makes certificate, Redis and secrets, and keeps them."""

import base64
import json
from typing import Any

import pytest

from tests.cluster.cluster import Cluster
from tests.cluster.conftest import ISSUER, RESTRICTED, Images
from tests.cluster.release import Release

NAMESPACE = "flask-trial"


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
    }
    kubernetes.make_namespaces(RESTRICTED, NAMESPACE)
    yield Release(kubernetes, NAMESPACE, values, tmp_path_factory.mktemp("helm3"), "helm3")
    kubernetes.delete_own_namespaces(f"--field-selector=metadata.name={NAMESPACE}", "--wait=false")


def test_a_trial_keeps_what_the_chart_has_made_over_upgrades_and_says_what_is_missing(trial: Release) -> None:
    def made() -> dict[str, Any]:
        found = trial.cluster.get(NAMESPACE, "secrets", "--selector=app.kubernetes.io/instance=auth0-flask")["items"]
        return {item["metadata"]["name"]: item["data"] for item in found}

    notes = trial.install()
    assert "kubectl -n flask-trial port-forward service/auth0-flask 8443:443" in notes
    for missing in ("host is localhost", "tls.mode is selfSigned", "auth0.createSecret", "redis.embedded"):
        assert missing in notes
    before = made()
    assert set(before) == {"auth0-flask-auth0", "auth0-flask-redis", "auth0-flask-tls"}
    # Of a chart whose app sent less to Redis: what the app may is the newer chart's word, its password stays.
    old = {"users.acl": base64.b64encode(b"user default off\n").decode()}
    trial.kubectl("patch", "secret", "auth0-flask-redis", f"--patch={json.dumps({'data': old})}")
    trial.upgrade({"podAnnotations": {"upgrade": "second"}})
    assert made() == before
    assert "Succeeded" in trial.helm("test", trial.name, "--timeout=60s")
    trial.helm("uninstall", trial.name, "--wait")
    # Its volume is there, and the next installation takes it, with secrets of its own.
    trial.install()
    assert made().keys() == before.keys()
    assert made() != before
