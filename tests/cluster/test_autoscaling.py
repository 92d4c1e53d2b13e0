"""A HorizontalPodAutoscaler has the say how many pods there are, and an upgrade leaves its number alone."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from tests.cluster.cluster import Object, wait_until
from tests.cluster.load import Load
from tests.cluster.release import Release

Visitors = Callable[..., AbstractContextManager[Load]]
AUTOSCALING: dict[str, Any] = {"autoscaling": {"enabled": True, "minReplicas": 2, "maxReplicas": 3}}


def autoscaler(app: Release) -> Object:
    """As the API server has it."""
    return app.cluster.get(app.namespace, "horizontalpodautoscaler", app.name)


def conditions(app: Release) -> dict[str, str]:
    """What its controller says of it."""
    return {item["type"]: item["status"] for item in autoscaler(app).get("status", {}).get("conditions", [])}


def test_an_autoscaler_goes_on_from_the_pods_that_there_are_and_no_upgrade_takes_one_away(
    app: Release, visitors: Visitors
) -> None:
    before = set(app.names())
    with visitors() as running:
        app.upgrade(AUTOSCALING)
        target = autoscaler(app)["spec"]["scaleTargetRef"]
        assert target == {"apiVersion": "apps/v1", "kind": "Deployment", "name": app.name}
        wait_until(lambda: "ScalingActive" in conditions(app), "the controller's word")
        assert conditions(app)["AbleToScale"] == "True"
        # A node of one's own has no metrics-server.
        assert conditions(app)["ScalingActive"] == str(app.cluster.measures_pods())
        assert app.replicas() == 2
        # As the autoscaler writes it.
        app.kubectl("scale", f"deployment/{app.name}", "--replicas=3")
        app.upgrade(AUTOSCALING | {"podDisruptionBudget": {"maxUnavailable": 2}})
        assert app.replicas() == 3
        app.settle()
        assert before < set(app.names())
    assert running.failures == {}
