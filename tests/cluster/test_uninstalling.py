"""What `helm uninstall` leaves."""

from contextlib import suppress

from tests.cluster.cluster import Cluster, wait_until
from tests.cluster.release import Release

# Every namespace has them.
CLUSTERS = {"configmap/kube-root-ca.crt", "serviceaccount/default"}
USERS = {"secret/auth0", "secret/app-tls", "configmap/authority"}
# Of an embedded Redis.
VOLUME = {"persistentvolumeclaim/data-auth0-flask-redis-0"}


def kinds(cluster: Cluster, *, namespaced: bool) -> str:
    """All that can be listed, but events and measurements, which pass."""
    found = cluster.kubectl("api-resources", f"--namespaced={namespaced}", "--verbs=list", "--output=name").split()
    return ",".join(kind for kind in found if not kind.startswith("events") and not kind.endswith("metrics.k8s.io"))


def test_nothing_is_left_but_the_users_secrets_and_the_volume_of_redis(app: Release) -> None:
    here, everywhere = kinds(app.cluster, namespaced=True), kinds(app.cluster, namespaced=False)

    def left() -> set[str]:
        return set(app.kubectl("get", here, "--output=name").split())

    assert f"deployment.apps/{app.name}" in left()
    app.helm("uninstall", app.name, "--wait", "--timeout=120s")
    # What the deleted ones owned goes after them.
    with suppress(AssertionError):
        wait_until(lambda: left() == CLUSTERS | USERS | VOLUME, "nothing else", 60)
    assert left() == CLUSTERS | USERS | VOLUME
    labelled = app.cluster.kubectl(
        "get", everywhere, f"--selector=app.kubernetes.io/instance={app.name}", "--output=name"
    )
    assert labelled == ""
