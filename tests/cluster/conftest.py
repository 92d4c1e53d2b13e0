"""A cluster with the identity provider, people, and the app, installed once for the suite."""

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from scripts import chart_tools
from scripts.certificates import CA, authority
from scripts.cluster import existing
from scripts.cluster.errors import ClusterError
from scripts.cluster.images import EXPORTERS, Images, ensure
from tests.cluster.cluster import Cluster, Object, cluster, secret, wait_until
from tests.cluster.definitions import GROUP, KINDS, definition
from tests.cluster.load import Load, load
from tests.cluster.release import Release, timed

HERE = Path(__file__).parent
# A rollout under load on a busy machine.
TEST_SECONDS = 600
APP, IDENTITY, PEOPLE, STRANGERS, MONITORING = (
    "flask-app",
    "flask-identity",
    "flask-people",
    "flask-strangers",
    "flask-monitoring",
)
NAMESPACES = (APP, IDENTITY, PEOPLE, STRANGERS, MONITORING)
HOST = f"auth0-flask.{APP}.svc"
ISSUER = f"https://identity.{IDENTITY}.svc:9443/"
CLIENT, CLIENT_SECRET = "local-client", "local-secret-for-demonstrations-only"
KEY = "first-" + "0123456789abcdef" * 4
# Of a pod, unless `server.workers` says otherwise; and what each logs.
WORKERS = 2
READ_ANEW = "the keys of sessions were read anew"
RESTRICTED = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Give this suite's tests more time than others have; those of a node of one's own come before the suite's own."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.timeout(TEST_SECONDS))
    items.sort(key=lambda item: "kubernetes" in getattr(item, "fixturenames", ()))
    if is_somebodys():
        # There is none.
        alone = [item for item in items if item.path == HERE / "test_alone.py"]
        config.hook.pytest_deselected(items=alone)
        items[:] = [item for item in items if item not in alone]


def is_somebodys() -> bool:
    """Whether the cluster is one that KUBECONFIG names."""
    return bool(os.environ.get(existing.NAME))


@pytest.fixture(scope="session")
def images() -> Images:
    """Built from the project's Dockerfile."""
    chart_tools.install()
    return ensure()


@pytest.fixture(scope="session")
def kubernetes(images: Images) -> Iterator[Cluster]:
    """The cluster with our images, and empty namespaces, which are gone afterwards."""
    with ExitStack() as stack:
        try:
            running = stack.enter_context(cluster())
            running.load(images.archive)
        except ClusterError as error:
            # Once, and not at every test.
            pytest.exit(str(error), returncode=1)
        running.delete_own_namespaces()
        try:
            running.make_namespaces(RESTRICTED, *NAMESPACES)
            expect_image(running, images)
            yield running
        finally:
            # A node of one's own goes with all that is in it.
            if is_somebodys():
                running.delete_own_namespaces()


@pytest.fixture(scope="session")
def operator(kubernetes: Cluster) -> Iterator[None]:
    """Prometheus Operator's resources are known: the cluster's own, or ours, which are gone afterwards."""
    missing = [kind for kind in KINDS if not kubernetes.exists("default", f"crd/{KINDS[kind]}.{GROUP}")]
    names = [f"{KINDS[kind]}.{GROUP}" for kind in missing]
    if missing:
        kubernetes.apply(*map(definition, missing))
        kubernetes.kubectl("wait", "--for=condition=Established", "crd", *names, "--timeout=60s")
    yield
    if names and is_somebodys():
        kubernetes.kubectl("delete", "crd", *names)


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> CA:
    """The authority that everybody here trusts."""
    return authority(tmp_path_factory.mktemp("certificates"), permitted=["svc"])


def pair(certificates: CA, name: str, stem: str) -> dict[str, str]:
    """A new certificate for a name, as the data of a Secret of type kubernetes.io/tls."""
    certificate, key = certificates.issue([name], stem=stem)
    return {"tls.crt": certificate.read_text(), "tls.key": key.read_text()}


@pytest.fixture(scope="session")
def identity(
    kubernetes: Cluster, certificates: CA, images: Images, tmp_path_factory: pytest.TempPathFactory
) -> Release:
    """The identity provider, by its own chart."""
    kubernetes.apply(
        secret(
            IDENTITY, "identity-tls", pair(certificates, f"identity.{IDENTITY}.svc", "identity"), "kubernetes.io/tls"
        )
    )
    client = {
        "client_id": CLIENT,
        "redirect_uris": [f"https://{HOST}/callback"],
        "allowed_logout_urls": [f"https://{HOST}/", f"https://{HOST}"],
        "backchannel_logout_uri": f"https://{HOST}/backchannel-logout",
    }
    values = {"image": {"tag": images.tag}, "authority": certificates.path.read_text(), "clients": [client]}
    release = Release(kubernetes, IDENTITY, values, tmp_path_factory.mktemp("helm"), "helm")
    release.install(HERE / "identity")
    return release


def pod(
    namespace: str,
    name: str,
    images: Images,
    *command: str,
    labels: dict[str, str] | None = None,
    volumes: list[Object] | None = None,
    cpu: str = "10m",
) -> Object:
    """A pod of the app's image that may do nothing, as a restricted namespace wants it."""
    mounts = [{"name": volume["name"], "mountPath": f"/{volume['name']}"} for volume in volumes or []]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "labels": labels or {"app": name}},
        "spec": {
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "terminationGracePeriodSeconds": 1,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 65532,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [
                {
                    "name": "main",
                    "image": f"auth0-flask:{images.tag}",
                    "imagePullPolicy": "IfNotPresent",
                    "command": list(command),
                    "volumeMounts": mounts,
                    # Without a request it would get what all others leave, and that may be nothing for seconds.
                    "resources": {"requests": {"cpu": cpu, "memory": "64Mi"}},
                    "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
                }
            ],
            "volumes": volumes or [],
        },
    }


def expect_image(kubernetes: Cluster, images: Images) -> None:
    """End the suite where a node has not got the app's image, rather than to wait for what cannot be pulled."""
    nodes = kubernetes.get("default", "nodes")["items"]
    names = [item["metadata"]["name"] for item in nodes if not item["spec"].get("unschedulable")]
    probes = [pod(PEOPLE, f"image-{number}", images, "true", labels={"image": "probe"}) for number in range(len(names))]
    for probe, name in zip(probes, names, strict=True):
        probe["spec"] |= {"nodeName": name, "restartPolicy": "Never"}
        probe["spec"]["containers"][0]["imagePullPolicy"] = "Never"
    kubernetes.apply(*probes)

    def states() -> list[str]:
        found = [
            item["status"].get("containerStatuses") or [{"state": {}}]
            for item in kubernetes.pods(PEOPLE, "image=probe")
        ]
        return [str(status[0]["state"]) for status in found]

    wait_until(lambda: all("terminated" in state or "ErrImageNeverPull" in state for state in states()), "the probes")
    if any("ErrImageNeverPull" in state for state in states()):
        pytest.exit(
            f"The images were loaded, and yet a node of {', '.join(names)} has no auth0-flask:{images.tag}:"
            f" {existing.LOAD} must bring them into every node of the cluster that {existing.NAME} names.",
            returncode=1,
        )
    kubernetes.kubectl("--namespace", PEOPLE, "delete", "pod", "--selector=image=probe", "--wait=false")


def config_map(namespace: str, name: str, data: dict[str, str]) -> Object:
    """A ConfigMap's manifest."""
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": namespace}, "data": data}


@pytest.fixture(scope="session")
def people(identity: Release, images: Images, certificates: CA) -> Cluster:
    """The cluster; a pod that has the programs of those who use the app, one of strangers, and one for monitoring."""
    kubernetes = identity.cluster
    files = {
        "visitors.py": (HERE / "people" / "visitors.py").read_text(),
        "browser.py": (HERE.parent / "integration" / "identity" / "browser.py").read_text(),
        "ca.pem": certificates.path.read_text(),
    }
    volume = {"name": "people", "configMap": {"name": "people"}}
    idle = ("python", "-c", "import signal; signal.pause()")
    visitors = pod(PEOPLE, "visitors", images, *idle, volumes=[volume], cpu="250m")
    # The other ports are for those who choose theirs.
    visitors["spec"]["securityContext"]["sysctls"] = [{"name": "net.ipv4.ip_local_port_range", "value": "60000 65535"}]
    kubernetes.apply(
        config_map(PEOPLE, "people", files),
        visitors,
        pod(STRANGERS, "strangers", images, *idle),
        pod(MONITORING, "monitoring", images, *idle),
    )
    for namespace in (PEOPLE, STRANGERS, MONITORING):
        kubernetes.kubectl("--namespace", namespace, "wait", "--for=condition=Ready", "pod", "--all", "--timeout=120s")
    return kubernetes


def values(images: Images) -> dict[str, Any]:
    """What the app is installed with: all that production has, but the Redis, which is the chart's own."""
    inside = [
        {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}} for name in (PEOPLE, IDENTITY)
    ]
    monitoring = [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": MONITORING}}}]
    return {
        "host": HOST,
        "image": {"tag": images.tag},
        # Less than by default: on two cores both pods of a rollout find room beside the two that leave.
        "server": {"resources": {"requests": {"cpu": "200m"}}},
        "nginx": {
            "image": {"repository": "auth0-flask-nginx", "tag": images.tag},
            # The tests' people have one address.
            "loginRate": "1000r/s",
            "reloadSeconds": 5,
        },
        "auth0": {"domain": ISSUER.removeprefix("https://").removesuffix("/"), "existingSecret": "auth0"},
        "tls": {"mode": "existingSecret", "existingSecret": "app-tls"},
        "redis": {"embedded": {"image": {"repository": "auth0-flask-redis", "tag": images.tag}}},
        "networkPolicy": {
            "clients": inside,
            "prometheus": monitoring,
            "auth0": [inside[1]],
            "auth0Port": 9443,
        },
        "metrics": {
            name: {"enabled": True, "image": {"repository": repository, "tag": images.tag}}
            for name, repository in EXPORTERS.items()
        },
        # A busy machine is slow at times.
        "settings": {"AUTH0_TIMEOUT_SECONDS": 30, "REDIS_TIMEOUT_SECONDS": 10},
        "extraEnv": [{"name": "SSL_CERT_FILE", "value": "/run/authority/ca.pem"}],
        "extraVolumes": [{"name": "authority", "configMap": {"name": "authority"}}],
        "extraVolumeMounts": [{"name": "authority", "mountPath": "/run/authority", "readOnly": True}],
    }


def auth0(keys: str = KEY, client_secret: str = CLIENT_SECRET) -> Object:
    """The Secret that the user makes."""
    return secret(APP, "auth0", {"client-id": CLIENT, "client-secret": client_secret, "secret": keys})


def bring(app: Release, keys: str) -> None:
    """Write the keys into the Secret, and wait until every worker of every pod says that it has them."""
    before = {name: readings(app, name) for name in app.names()}
    app.cluster.apply(auth0(keys))
    for name, count in before.items():
        wait_until(lambda name=name, count=count: readings(app, name) >= count + WORKERS, f"new keys in {name}")  # type: ignore[misc]


def readings(app: Release, name: str) -> int:
    """How often a pod's workers have read new keys."""
    return app.cluster.log(APP, name).count(READ_ANEW)


@dataclass
class Installed:
    """The app, and what Helm said and took when it was installed."""

    release: Release
    notes: str
    seconds: float


@pytest.fixture(scope="session")
def installed(
    people: Cluster, operator: None, images: Images, certificates: CA, tmp_path_factory: pytest.TempPathFactory
) -> Installed:
    """The app, by `helm install --wait`."""
    people.apply(
        auth0(),
        secret(APP, "app-tls", pair(certificates, HOST, "app"), "kubernetes.io/tls"),
        config_map(APP, "authority", {"ca.pem": certificates.path.read_text()}),
    )
    release = Release(people, APP, values(images), tmp_path_factory.mktemp("helm"), "helm")
    notes, seconds = timed(release.install)
    print(f"helm install --wait: {seconds:.1f} s")
    return Installed(release, notes, seconds)


@pytest.fixture
def app(installed: Installed) -> Release:
    """The app as it was installed, with all its pods ready, whatever the test before has left."""
    release = installed.release
    release.restore()
    release.settle()
    if not release.cluster.has(auth0()):
        there = release.cluster.secret(APP, "auth0")
        if there["client-secret"] == CLIENT_SECRET:
            bring(release, KEY)
        else:
            release.cluster.apply(auth0())
            # It is read at the start alone.
            release.kubectl("rollout", "restart", f"deployment/{release.name}")
            release.settle()
    return release


@pytest.fixture
def visitors(app: Release) -> Callable[..., AbstractContextManager[Load]]:
    """What starts the load."""
    return lambda **options: load(app.cluster, PEOPLE, f"https://{HOST}", ISSUER, **options)
