"""The chart, installed: what `helm` does, and what the pods then are."""

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scripts.chart_tools import BIN
from tests.chart.conftest import CHART, merged
from tests.cluster.cluster import Cluster, Object, call, wait_until

HELM_SECONDS = 300


class HelmError(Exception):
    """What Helm said."""


class Release:
    """A release of the chart in a namespace of its own name."""

    def __init__(self, cluster: Cluster, namespace: str, values: Mapping[str, Any], folder: Path, program: str) -> None:
        self.cluster = cluster
        self.namespace = namespace
        self.name = "auth0-flask"
        self.values = dict(values)
        self._program = BIN / program
        homes = {f"HELM_{kind}_HOME": str(folder / kind.lower()) for kind in ("CACHE", "CONFIG", "DATA")}
        self._environment = cluster.environment | homes

    def helm(self, *arguments: str | Path, given: str = "") -> str:
        """What it prints. Raises HelmError."""
        command = [self._program, "--namespace", self.namespace, *arguments]
        result = call(command, self._environment, given, HELM_SECONDS)
        if result.returncode:
            raise HelmError(result.stderr)
        return result.stdout

    def install(self, chart: Path = CHART) -> str:
        """`helm install --wait`; its notes."""
        return self.helm(
            "install", self.name, chart, "--values=-", "--wait", "--timeout=120s", given=json.dumps(self.values)
        )

    def upgrade(self, changes: Mapping[str, Any], *options: str) -> str:
        """`helm upgrade --wait` with values on top of those of the installation; its notes."""
        values = json.dumps(merged(self.values, changes))
        return self.helm(
            "upgrade", self.name, CHART, "--values=-", "--wait", *(options or ["--timeout=180s"]), given=values
        )

    def restore(self) -> None:
        """Be again what was installed, where something has made it another, or taken it away."""
        try:
            values = json.loads(self.helm("get", "values", self.name, "--output=json"))
        except HelmError as error:
            if "not found" not in str(error):
                raise
            self.install()
        else:
            if values != self.values:
                # An autoscaler may have written the number of pods, which is ours again.
                self.upgrade({}, "--timeout=180s", "--force-conflicts")

    @property
    def selector(self) -> str:
        """What the app's pods are found by."""
        return f"app.kubernetes.io/instance={self.name},app.kubernetes.io/component=app"

    def pods(self) -> list[Object]:
        """The app's pods that nobody has asked to go."""
        return self.cluster.pods(self.namespace, self.selector)

    def names(self) -> list[str]:
        """Theirs."""
        return [pod["metadata"]["name"] for pod in self.pods()]

    def replicas(self) -> int:
        """How many the Deployment asks for."""
        return int(self.cluster.get(self.namespace, f"deployment/{self.name}")["spec"]["replicas"])

    def kubectl(self, *arguments: str) -> str:
        """In the release's namespace."""
        return self.cluster.kubectl("--namespace", self.namespace, *arguments)

    def settle(self, replicas: int | None = None) -> None:
        """Wait until the rollout is over and the pods before it have gone."""
        self.kubectl("rollout", "status", f"deployment/{self.name}", "--timeout=180s")
        wanted = replicas or self.replicas()

        def over() -> bool:
            pods = self.cluster.get(self.namespace, "pods", f"--selector={self.selector}")["items"]
            # One that leaves is ready until its end.
            return len(pods) == wanted and all(
                is_ready(pod) and "deletionTimestamp" not in pod["metadata"] for pod in pods
            )

        wait_until(over, f"{wanted} pods, and all ready")


def is_ready(pod: Object) -> bool:
    """Whether the Service sends it requests."""
    found = {item["type"]: item["status"] for item in pod["status"].get("conditions", [])}
    return found.get("Ready") == "True"


def timed(action: Any) -> tuple[Any, float]:
    """What it returns, and the seconds it took."""
    start = time.monotonic()
    return action(), time.monotonic() - start
