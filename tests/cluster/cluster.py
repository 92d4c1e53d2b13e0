"""A cluster: one that KUBECONFIG names, or a node of its own (scripts/cluster); and kubectl for it."""

import base64
import json
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from scripts.cluster import existing
from scripts.cluster.node import KUBECTL, node

WAIT_SECONDS = 180
# On a namespace that the suite has made: in somebody's cluster another may have such a name.
OWN, OWN_BY = "app.kubernetes.io/managed-by", "auth0-flask-tests"
_CONNECT = """
import socket, sys
try:
    socket.create_connection((sys.argv[1], int(sys.argv[2])), 3).close()
    print("connected")
except OSError as error:
    print(type(error).__name__)
"""
Object = dict[str, Any]


class KubectlError(Exception):
    """What kubectl said."""


class Cluster:
    """`kubectl` and what the tests ask it for."""

    def __init__(self, kubeconfig: Path, load: Callable[[Path], None]) -> None:
        self.kubeconfig = kubeconfig
        self.load = load
        self.environment = os.environ | {"KUBECONFIG": str(kubeconfig)}

    def kubectl(self, *arguments: str | Path, given: str = "", timeout: float = WAIT_SECONDS) -> str:
        """What it prints. Raises KubectlError."""
        result = call([KUBECTL, *arguments], self.environment, given, timeout)
        if result.returncode:
            raise KubectlError(f"kubectl {' '.join(map(str, arguments))}: {result.stderr.strip()}")
        return result.stdout

    def apply(self, *objects: Object) -> None:
        """Make them, or change them."""
        self.kubectl(
            "apply", "--filename", "-", given=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
        )

    def make_namespaces(self, labels: Mapping[str, str], *names: str) -> None:
        """Make them. Fails where there is one of that name: it is not the suite's, whose own are deleted before."""
        if there := self.kubectl("get", "namespace", "--ignore-not-found", "--output=name", *names).split():
            pytest.fail(f"The cluster has {', '.join(there)}, which these tests did not make: use another cluster.")
        metadata = {"labels": {**labels, OWN: OWN_BY}}
        self.apply(
            *({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, **metadata}} for name in names)
        )

    def delete_own_namespaces(self, *only: str) -> None:
        """Delete those that the suite has made, and nobody else's, and wait until they are gone."""
        self.kubectl("delete", "namespace", f"--selector={OWN}={OWN_BY}", "--wait", *only)

    def get(self, namespace: str, *what: str) -> Object:
        """An object, or a list of them."""
        found: Object = json.loads(self.kubectl("--namespace", namespace, "get", "--output=json", *what))
        return found

    def has(self, wanted: Object) -> bool:
        """Whether a Secret holds what its manifest says, and nothing else."""
        where = wanted["metadata"]
        return self.secret(where["namespace"], where["name"]) == dict(wanted["stringData"])

    def secret(self, namespace: str, name: str) -> dict[str, str]:
        """What a Secret holds."""
        data = self.get(namespace, "secret", name)["data"]
        return {key: base64.b64decode(value).decode() for key, value in data.items()}

    def exists(self, namespace: str, *what: str) -> bool:
        """Whether there is any."""
        return bool(self.kubectl("--namespace", namespace, "get", "--ignore-not-found", "--output=name", *what).strip())

    def pods(self, namespace: str, selector: str) -> list[Object]:
        """Pods that nobody has asked to go, the oldest first."""
        items = self.get(namespace, "pods", f"--selector={selector}")["items"]
        here = [item for item in items if "deletionTimestamp" not in item["metadata"]]
        return sorted(here, key=lambda item: str(item["metadata"]["creationTimestamp"]))

    def execute(self, namespace: str, pod: str, *command: str, container: str | None = None, given: str = "") -> str:
        """What a command in a container prints. Raises KubectlError where it fails."""
        where = ["--container", container] if container else []
        return self.kubectl("--namespace", namespace, "exec", "--stdin", pod, *where, "--", *command, given=given)

    def connect(self, namespace: str, pod: str, address: str, port: int) -> str:
        """What comes of a connection from a pod: `connected`, or the name of what Python raises."""
        return self.execute(namespace, pod, "python", "-c", _CONNECT, address, str(port)).strip()

    def measures_pods(self) -> bool:
        """Whether there is a metrics-server, or the like."""
        with suppress(KubectlError):
            self.kubectl("get", "--raw", "/apis/metrics.k8s.io/v1beta1")
            return True
        return False

    def events(self, namespace: str, name: str) -> str:
        """What happened to an object, a line each."""
        found = self.get(namespace, "events", f"--field-selector=involvedObject.name={name}")["items"]
        return "\n".join(f"{event['reason']}: {event['message']}" for event in found)

    def log(self, namespace: str, pod: str) -> str:
        """What the app has written in a pod, since its container's last start."""
        return self.kubectl("--namespace", namespace, "logs", pod, "--container=app", "--tail=-1")

    @contextmanager
    def forward(self, namespace: str, target: str, port: int) -> Iterator[int]:
        """A port of this machine that leads to one of *target*, as `kubectl port-forward` does it."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            here = int(probe.getsockname()[1])
        command = [KUBECTL, "--namespace", namespace, "port-forward", target, f"{here}:{port}"]
        with subprocess.Popen(
            command, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as process:
            try:
                assert process.stdout
                said = process.stdout.readline()
                assert said.startswith("Forwarding"), said + process.stdout.read()
                yield here
            finally:
                process.terminate()


@contextmanager
def cluster() -> Iterator[Cluster]:
    """The one that KUBECONFIG names, with images brought in by the command CLUSTER_LOAD; or a node of one's own."""
    if kubeconfig := os.environ.get(existing.NAME):
        yield Cluster(Path(kubeconfig), existing.load)
        return
    with node() as running:
        yield Cluster(running.kubeconfig, running.load)


def call(
    command: Sequence[str | Path], environment: Mapping[str, str], given: str, timeout: float
) -> "subprocess.CompletedProcess[str]":
    """Run a program that reads what it is *given*, for so many seconds at most."""
    return subprocess.run(
        command, env=environment, input=given, capture_output=True, text=True, check=False, timeout=timeout
    )


def wait_until(true: Callable[[], object], what: str, seconds: float = WAIT_SECONDS) -> None:
    """Return as soon as *true* answers so; an error of kubectl's is a no."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            if true():
                return
            said = ""
        except KubectlError as error:
            said = str(error)
        assert time.monotonic() < deadline, f"not within {seconds} s: {what} {said}"
        time.sleep(0.2)


def secret(namespace: str, name: str, data: Mapping[str, str], kind: str = "Opaque") -> Object:
    """A Secret's manifest."""
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": kind, "stringData": dict(data)}
