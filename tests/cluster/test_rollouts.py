"""The app is replaced, scaled and moved while people use it: no request is lost, nobody is signed out."""

import json
import time
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest

from tests.cluster.cluster import KubectlError, wait_until
from tests.cluster.conftest import Images
from tests.cluster.load import Load
from tests.cluster.release import HelmError, Release, is_ready

# One may be lucky.
MOST_ROLLOUTS = 5
Visitors = Callable[..., AbstractContextManager[Load]]


def images_of(app: Release) -> set[str]:
    """What the app's containers run."""
    return {pod["spec"]["containers"][0]["image"] for pod in app.pods()}


def test_an_upgrade_to_another_image_and_its_rollback_lose_no_request(
    app: Release, visitors: Visitors, images: Images
) -> None:
    before = set(app.names())
    with visitors() as running:
        app.upgrade({"image": {"tag": images.upgrade}})
        app.settle()
    assert images_of(app) == {f"auth0-flask:{images.upgrade}"}
    assert not before & set(app.names())
    assert running.failures == {}
    assert running.logins > 0
    with visitors() as running:
        app.helm("rollback", app.name, "--wait", "--timeout=180s")
        app.settle()
    assert images_of(app) == {f"auth0-flask:{images.tag}"}
    assert running.failures == {}


def test_the_same_load_notices_a_rollout_of_pods_that_leave_at_once(app: Release, visitors: Visitors) -> None:
    """The control: nginx and the app stop as soon as they are told, before everybody knows."""
    hasty = {"shutdown": {"announceSeconds": 0, "handOverSeconds": 1}}
    app.upgrade(hasty)
    app.settle()
    with visitors(requests=1000) as running:
        for number in range(MOST_ROLLOUTS):
            app.upgrade({**hasty, "podAnnotations": {"rollout": str(number)}})
            app.settle()
            if running.failures:
                break
    app.upgrade({})
    assert running.failures


def test_scaling_to_three_and_to_one_loses_no_request(app: Release, visitors: Visitors) -> None:
    app.upgrade({"replicaCount": 1})
    app.settle(1)
    with visitors() as running:
        for replicas in (3, 1):
            app.upgrade({"replicaCount": replicas})
            app.settle(replicas)
    assert running.failures == {}
    app.upgrade({})


def test_a_pod_that_is_deleted_loses_no_request(app: Release, visitors: Visitors) -> None:
    with visitors() as running:
        for name in app.names():
            app.kubectl("delete", "pod", name, "--wait=false")
            app.settle()
    assert running.failures == {}
    assert running.answered >= 5000


def test_a_rollout_that_does_not_get_ready_stops_with_the_old_pods_serving(app: Release, visitors: Visitors) -> None:
    before = set(app.names())
    with visitors(requests=1000) as running:
        with pytest.raises(HelmError):
            app.upgrade({"pages": {"module": "not_there"}}, "--timeout=20s")
        (new,) = set(app.names()) - before
        log = app.kubectl("logs", new, "--container=app")
        assert before < set(app.names())
        app.helm("rollback", app.name, "--wait", "--timeout=180s")
        app.settle()
    assert "APP_PAGES" in log
    assert "not_there" in log
    assert running.failures == {}


def test_a_drain_takes_one_pod_at_a_time_and_loses_no_request(app: Release, visitors: Visitors) -> None:
    first, second = app.names()
    node = app.pods()[0]["spec"]["nodeName"]

    def evict(name: str) -> None:
        eviction = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": name, "namespace": app.namespace},
        }
        path = f"/api/v1/namespaces/{app.namespace}/pods/{name}/eviction"
        app.cluster.kubectl("create", "--raw", path, "--filename=-", given=json.dumps(eviction))

    with visitors() as running:
        app.cluster.kubectl("cordon", node)
        try:
            evict(first)
            # Its successor finds no node, so the second must stay.
            wait_until(
                lambda: [pod for pod in app.pods() if pod["status"]["phase"] == "Pending"], "a pod without a node"
            )
            with pytest.raises(KubectlError, match="disruption budget"):
                evict(second)
        finally:
            app.cluster.kubectl("uncordon", node)
        app.settle()
        evict(second)
        app.settle()
    assert not {first, second} & set(app.names())
    assert all(is_ready(pod) for pod in app.pods())
    assert running.failures == {}


def test_a_killed_container_is_started_again_and_what_its_pod_had_is_lost(app: Release, visitors: Visitors) -> None:
    """Nothing announces it: until the Service has taken the pod out, it answers 502. Nobody is signed out."""
    name = app.names()[0]
    with visitors() as running:
        begin = time.monotonic()
        # The first process of a container is safe from those in it; gunicorn's master ends as by a failure of its own.
        app.cluster.execute(app.namespace, name, "python", "-c", "import os, signal; os.kill(1, signal.SIGABRT)")
        wait_until(lambda: restarts(app, name) == 1, "a restart")
        wait_until(lambda: is_ready(app.cluster.get(app.namespace, "pod", name)), "ready again")
        print(f"ready again after {time.monotonic() - begin:.1f} s")
    assert {outcome.rpartition(": ")[2] for outcome in running.failures} <= {"502"}
    assert running.logins > 0


def restarts(app: Release, name: str) -> int:
    """How often the kubelet has started the app's container again."""
    (status,) = app.cluster.get(app.namespace, "pod", name)["status"]["containerStatuses"]
    return int(status["restartCount"])
