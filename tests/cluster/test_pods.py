"""What the cluster lets the release's pods do, and nobody else."""

import base64
import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.cluster.cluster import KubectlError, wait_until
from tests.cluster.conftest import APP, IDENTITY, MONITORING, PEOPLE, STRANGERS, Images, pod
from tests.cluster.release import Release

HTTPS, METRICS, REDIS, ISSUER = 8443, 9464, 6379, 9443


def test_a_pod_that_may_more_than_restricted_ones_is_refused(app: Release, images: Images) -> None:
    bad = pod(APP, "bad", images, "sleep", "1")
    bad["spec"]["containers"][0]["securityContext"] = {"privileged": True}
    with pytest.raises(KubectlError, match='violates PodSecurity "restricted'):
        app.cluster.apply(bad)


def test_no_container_runs_as_root_or_may_write_to_its_files(app: Release) -> None:
    script = (
        "import os; print(os.getuid(), os.access('/srv', os.W_OK), os.path.exists('/var/run/secrets/kubernetes.io'))"
    )
    assert app.cluster.execute(APP, app.names()[0], "python", "-c", script, container="app").split() == [
        "65532",
        "False",
        "False",
    ]
    status = app.cluster.execute(APP, app.names()[0], "cat", "/proc/1/status", container="nginx")
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert fields["Uid"].split() == ["65532"] * 4
    assert (fields["CapEff"], fields["NoNewPrivs"], fields["Seccomp"]) == ("0" * 16, "1", "2")
    with pytest.raises(KubectlError, match="Read-only file system"):
        app.cluster.execute(APP, app.names()[0], "touch", "/etc/x", container="nginx")


def test_no_secret_stands_in_an_environment_or_an_argument(app: Release) -> None:
    shown = json.dumps([item["spec"] for item in app.pods()])
    secrets = app.cluster.get(APP, "secret", "auth0")["data"]
    assert "AUTH0_SECRET_FILE" in shown
    for value in secrets.values():
        assert value not in shown
    values = app.cluster.execute(APP, app.names()[0], "cat", "/proc/1/environ", container="app")
    decoded = [base64.b64decode(secrets[name]).decode() for name in ("client-secret", "secret")]
    assert not [value for value in decoded if value in shown or value in values]


def addresses(app: Release) -> dict[str, str]:
    """Of an app's pod, of Redis' and of the provider's."""

    def of(namespace: str, selector: str) -> str:
        return str(app.cluster.pods(namespace, selector)[0]["status"]["podIP"])

    return {
        "app": of(APP, app.selector),
        "redis": of(APP, "app.kubernetes.io/component=redis"),
        "identity": of(IDENTITY, "app.kubernetes.io/name=identity"),
        "stranger": of(STRANGERS, "app=strangers"),
    }


Attempt = tuple[str, str, str, int]


def outcomes(app: Release, attempts: Mapping[Attempt, str]) -> dict[Attempt, str]:
    """Of several at once: the more of them fail, the longer they take."""
    with ThreadPoolExecutor(len(attempts)) as pool:
        return dict(zip(attempts, pool.map(lambda attempt: app.cluster.connect(*attempt), attempts), strict=True))


@pytest.fixture
def listener(app: Release, images: Images) -> Iterator[str]:
    """The address of a server in another namespace on the provider's port: only a policy keeps anybody from it."""
    program = "import socket, time; s = socket.create_server(('0.0.0.0', 9443)); time.sleep(3600)"
    app.cluster.apply(pod(STRANGERS, "listener", images, "python", "-c", program))
    app.cluster.kubectl("--namespace", STRANGERS, "wait", "--for=condition=Ready", "pod/listener", "--timeout=60s")
    address = str(app.cluster.get(STRANGERS, "pod", "listener")["status"]["podIP"])
    wait_until(lambda: app.cluster.connect(PEOPLE, "visitors", address, ISSUER) == "connected", "the listener's port")
    yield address
    app.cluster.kubectl("--namespace", STRANGERS, "delete", "pod", "listener", "--wait=false")


def test_nginx_is_reached_by_those_who_may_and_the_rest_by_nobody_else(app: Release) -> None:
    there = addresses(app)
    tried = {
        (PEOPLE, "visitors", there["app"], HTTPS): "connected",
        (STRANGERS, "strangers", there["app"], HTTPS): "TimeoutError",
        (MONITORING, "monitoring", there["app"], METRICS): "connected",
        (MONITORING, "monitoring", there["app"], HTTPS): "TimeoutError",
        (PEOPLE, "visitors", there["app"], METRICS): "TimeoutError",
        (PEOPLE, "visitors", there["redis"], REDIS): "TimeoutError",
        (MONITORING, "monitoring", there["redis"], REDIS): "TimeoutError",
    }
    assert outcomes(app, tried) == tried


def test_the_app_reaches_its_redis_and_its_provider_and_nothing_else(app: Release, listener: str) -> None:
    there, name = addresses(app), app.names()[0]
    tried = {
        (APP, name, there["redis"], REDIS): "connected",
        (APP, name, there["identity"], ISSUER): "connected",
        (APP, name, listener, ISSUER): "TimeoutError",
        (APP, name, there["identity"], 9444): "TimeoutError",
        (APP, name, there["stranger"], 443): "TimeoutError",
    }
    assert outcomes(app, tried) == tried


def test_without_the_policies_strangers_connect(app: Release) -> None:
    """The control: it is the chart's policies that keep them out."""
    app.upgrade({"networkPolicy": {"enabled": False}})
    there = addresses(app)["app"]
    wait_until(
        lambda: app.cluster.connect(STRANGERS, "strangers", there, METRICS) == "connected",
        "a stranger's connection",
        30,
    )
    app.restore()
    wait_until(
        lambda: app.cluster.connect(STRANGERS, "strangers", there, METRICS) == "TimeoutError", "the policies again", 30
    )


def test_redis_wants_tls_and_a_password_and_lets_the_app_do_what_it_needs_alone(app: Release) -> None:
    script = """
import os, pathlib, redis
url = pathlib.Path("/run/secrets/redis/url").read_text()
ours = os.environ["REDIS_TLS_CA"]
def outcome(url, *command, authority=ours):
    tls = {"ssl_ca_certs": authority} if url.startswith("rediss:") else {}
    try:
        return type(redis.Redis.from_url(url, **tls).execute_command(*command)).__name__
    except redis.RedisError as error:
        return type(error).__name__
plain = url.replace("rediss:", "redis:")
nobody = "rediss://" + url.rpartition("@")[2]
wrong = url.replace("flask:", "flask:0")
print(outcome(url, "PING"), outcome(url, "SET", "session:probe", "1", "EX", "1"), outcome(url, "SET", "x", "1"),
      outcome(url, "KEYS", "*"), outcome(url, "CONFIG", "GET", "*"), outcome(url, "FLUSHALL"),
      outcome(plain, "PING"), outcome(nobody, "PING"), outcome(wrong, "PING"),
      outcome(url, "PING", authority=os.environ["SSL_CERT_FILE"]))
"""
    outcomes = app.cluster.execute(APP, app.names()[0], "python", "-c", script, container="app").split()
    assert outcomes[:2] == ["bool", "bool"]
    assert outcomes[2:6] == ["NoPermissionError"] * 4
    assert outcomes[6] == "ConnectionError"
    assert set(outcomes[7:9]) == {"AuthenticationError"}
    assert outcomes[9] == "ConnectionError"
