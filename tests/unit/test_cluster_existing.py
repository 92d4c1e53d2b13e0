"""What is said of a cluster that KUBECONFIG names, before anything is built for it."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from scripts import chart_tools
from scripts.cluster import existing
from scripts.cluster.errors import ClusterError
from tests.servers.listening import listening

DEFAULT = {"metadata": {"name": "standard", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}}}
RESOURCES = [
    {"name": "storageclasses", "kind": "StorageClass", "group": "storage.k8s.io"},
    {"name": "persistentvolumes", "kind": "PersistentVolume", "group": ""},
]


class Server:
    """As much of an API server as is asked."""

    def __init__(self) -> None:
        self.minor = "34"
        self.classes: list[dict[str, Any]] = [DEFAULT]
        self.volumes: list[dict[str, Any]] = []

    def answer(self, path: str) -> dict[str, Any]:
        """To a GET."""
        path = path.partition("?")[0]
        if path == "/version":
            return {"major": "1", "minor": self.minor, "gitVersion": f"v1.{self.minor.rstrip('+')}.1"}
        if path.endswith("/storageclasses"):
            return {"kind": "StorageClassList", "apiVersion": "storage.k8s.io/v1", "items": self.classes}
        if path.endswith("/persistentvolumes"):
            return {"kind": "PersistentVolumeList", "apiVersion": "v1", "items": self.volumes}
        if path == "/api":
            return {"kind": "APIVersions", "versions": ["v1"]}
        if path == "/apis":
            version = {"groupVersion": "storage.k8s.io/v1", "version": "v1"}
            group = {"name": "storage.k8s.io", "versions": [version], "preferredVersion": version}
            return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [group]}
        group = "" if path == "/api/v1" else "storage.k8s.io"
        there = [
            {"name": item["name"], "kind": item["kind"], "namespaced": False, "verbs": ["get", "list"]}
            for item in RESOURCES
            if item["group"] == group
        ]
        return {"kind": "APIResourceList", "groupVersion": f"{group}/v1".lstrip("/"), "resources": there}


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A cluster, and KUBECONFIG that names it."""
    chart_tools.install()
    there = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(there.answer(self.path)).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with listening(Handler) as http:
        name_cluster(tmp_path / "config", http.server_port)
        monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
        # kubectl keeps what it has found out about a server there.
        monkeypatch.setenv("KUBECACHEDIR", str(tmp_path / "cache"))
        monkeypatch.setenv("CLUSTER_LOAD", "true")
        yield there


def name_cluster(path: Path, port: int) -> None:
    """Write a kubeconfig."""
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "c"}}],
        "users": [{"name": "c", "user": {}}],
        "current-context": "c",
    }
    path.write_text(json.dumps(content))


def test_a_cluster_with_a_default_class_or_a_volume_will_do(server: Server) -> None:
    existing.check()
    server.classes, server.volumes = [], [{"metadata": {"name": "v"}, "status": {"phase": "Available"}}]
    existing.check()


def test_a_cluster_without_volumes_for_redis_is_refused(server: Server) -> None:
    server.classes = [{"metadata": {"name": "not-the-default"}}]
    server.volumes = [{"metadata": {"name": "v"}, "status": {"phase": "Bound"}}]
    with pytest.raises(ClusterError, match=r"has no volume for Redis: give it a default StorageClass, or"):
        existing.check()


def test_a_cluster_that_is_too_old_is_refused(server: Server) -> None:
    server.minor = "29+"
    with pytest.raises(ClusterError, match=r"is Kubernetes v1\.29\.1, and the chart is for 1\.30 and newer"):
        existing.check()


def test_a_cluster_that_does_not_answer_is_named_with_the_reason(server: Server, tmp_path: Path) -> None:
    name_cluster(tmp_path / "config", 9)
    with pytest.raises(ClusterError, match=r"does not answer \(.*refused.*\): start it, or unset KUBECONFIG"):
        existing.check()


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("", r"CLUSTER_LOAD must say how images come into that cluster: write a command .*='kind load image-archive'"),
        ("no-such-program load", r"CLUSTER_LOAD is `no-such-program …`, which cannot be run \(No such file"),
        ("sh -c 'echo no such cluster >&2; exit 3'", r"failed \(no such cluster\): write a command"),
    ],
)
def test_a_command_that_loads_no_images_is_answered_with_one_that_does(
    command: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLUSTER_LOAD", command)
    with pytest.raises(ClusterError, match=message):
        existing.load(tmp_path / "images.tar")


def test_a_command_that_loads_images_gets_the_archive_behind_its_own_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLUSTER_LOAD", f"cp -t {tmp_path}/loaded")
    (tmp_path / "loaded").mkdir()
    (tmp_path / "images.tar").write_bytes(b"images")
    existing.load(tmp_path / "images.tar")
    assert (tmp_path / "loaded" / "images.tar").read_bytes() == b"images"
