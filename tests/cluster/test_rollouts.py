"""The app is replaced, scaled and moved while people use it: no request is lost, nobody is signed out."""

import json
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest

from tests.cluster.cluster import KubectlError, Object, wait_until
from tests.cluster.conftest import Images, pod
from tests.cluster.load import Load
from tests.cluster.release import Release, is_ready

# One may be lucky.
MOST_ROLLOUTS = 5
# As for want of memory: from outside of the container, whose first process is safe from those inside.
KILL = """
import contextlib, os, pathlib, signal, sys
for process in pathlib.Path("/proc").glob("[0-9]*"):
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        inside = (process / "status").read_text().partition("NSpid:")[2].splitlines()[0].split()
        if inside[-1] == "1" and sys.argv[1] in (process / "cgroup").read_text():
            os.kill(int(process.name), signal.SIGKILL)
"""
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
    assert running.returned > 0
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
    assert running.failures


def test_scaling_to_three_and_to_one_loses_no_request(app: Release, visitors: Visitors) -> None:
    app.upgrade({"replicaCount": 1})
    app.settle(1)
    with visitors() as running:
        for replicas in (3, 1):
            app.upgrade({"replicaCount": replicas})
            app.settle(replicas)
    assert running.failures == {}


def test_a_pod_that_is_deleted_loses_no_request(app: Release, visitors: Visitors) -> None:
    name = app.names()[0]
    with visitors() as running:
        app.kubectl("delete", "pod", name, "--wait=false")
        app.settle()
    assert name not in app.names()
    assert running.failures == {}


def test_a_drain_takes_one_pod_at_a_time_and_loses_no_request(app: Release, visitors: Visitors) -> None:
    first, second = app.names()
    # Those that are cordoned already stay so.
    open_ones = app.cluster.get(app.namespace, "nodes", "--field-selector=spec.unschedulable!=true")["items"]
    nodes = [item["metadata"]["name"] for item in open_ones]

    def evict(name: str) -> bool:
        metadata = {"name": name, "namespace": app.namespace}
        eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": metadata}
        path = f"/api/v1/namespaces/{app.namespace}/pods/{name}/eviction"
        app.cluster.kubectl("create", "--raw", path, "--filename=-", given=json.dumps(eviction))
        return True

    with visitors() as running:
        app.cluster.kubectl("cordon", *nodes)
        try:
            evict(first)
            wait_until(lambda: [item for item in app.pods() if finds_no_node(item)], "a successor without a node")
            with pytest.raises(KubectlError, match="disruption budget"):
                evict(second)
        finally:
            app.cluster.kubectl("uncordon", *nodes)
        # As `kubectl drain` does: again and again, until the successor is ready.
        wait_until(lambda: evict(second), "the second's turn")
        app.settle()
    assert not {first, second} & set(app.names())
    assert running.failures == {}


def finds_no_node(item: Object) -> bool:
    """Whether the scheduler has tried in vain."""
    return any(condition.get("reason") == "Unschedulable" for condition in item["status"].get("conditions", []))


def test_a_killed_container_is_started_again_and_nobody_is_signed_out(
    app: Release, visitors: Visitors, images: Images
) -> None:
    """Nothing announces it: until the Service has taken the pod out, it answers 502."""
    name = app.names()[0]
    before = container(app, name)
    with visitors() as running:
        killer = pod("default", "killer", images, "python", "-c", KILL, before["containerID"].rpartition("/")[2])
        killer["spec"] |= {
            "hostPID": True,
            "nodeName": app.cluster.get(app.namespace, "pod", name)["spec"]["nodeName"],
            "restartPolicy": "Never",
            "securityContext": {"runAsUser": 0},
        }
        killer["spec"]["containers"][0]["securityContext"] = {}
        app.cluster.apply(killer)
        wait_until(lambda: container(app, name)["restartCount"] > before["restartCount"], "another start")
        app.cluster.kubectl("--namespace=default", "delete", "pod", "killer")
        wait_until(lambda: is_ready(app.cluster.get(app.namespace, "pod", name)), "ready again")
        signed_in = running.logins
        wait_until(lambda: running.logins > signed_in, "a sign-in")
    after = container(app, name)
    assert after["lastState"]["terminated"]["exitCode"] == 128 + 9
    assert {outcome.rpartition(": ")[2] for outcome in running.failures if not outcome.startswith("sign-in: ")} <= {
        "502"
    }


def container(app: Release, name: str) -> Object:
    """What the kubelet says of the app's container in a pod."""
    status: Object = app.cluster.get(app.namespace, "pod", name)["status"]["containerStatuses"][0]
    return status
