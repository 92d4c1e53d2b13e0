"""What the pods are: restricted, told their secrets by files, stopped in the right order."""

import base64
import json
import re
from collections.abc import Iterator
from hashlib import sha256
from typing import Any

import pytest

from scripts.stack.prepare import APP_COMMANDS, DEFAULT_USER
from tests.chart.conftest import (
    ROOT,
    SITUATIONS,
    differences,
    manifests,
    merged,
    render,
    situation_text,
    template,
)
from tests.chart.test_values import CREATED, EMBEDDED

UNSAFE = ("hostNetwork", "hostPID", "hostIPC", "ephemeralContainers")


def pods(name: str) -> Iterator[dict[str, Any]]:
    """The pods of a situation, of whatever makes them."""
    for manifest in manifests(situation_text(name)):
        spec = manifest.get("spec", {})
        if manifest["kind"] == "Pod":
            yield spec
        elif manifest["kind"] in ("Deployment", "StatefulSet", "Job"):
            yield spec["template"]["spec"]


@pytest.mark.parametrize("name", SITUATIONS)
def test_every_pod_is_restricted(name: str) -> None:
    found = list(pods(name))
    assert found
    for pod in found:
        # https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"].get("runAsUser") != 0
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not set(UNSAFE) & set(pod)
        kinds = {kind for volume in pod["volumes"] for kind in volume if kind != "name"}
        assert kinds <= {"configMap", "secret", "emptyDir", "persistentVolumeClaim"}
        for container in (*pod.get("initContainers", []), *pod["containers"]):
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert {"requests", "limits"} <= set(container["resources"])
            assert not any("hostPort" in port for port in container.get("ports", []))
        # Beyond it: nobody in the pod can ask the cluster for anything.
        assert pod["automountServiceAccountToken"] is False
        assert pod["enableServiceLinks"] is False


def test_on_openshift_no_id_is_set() -> None:
    for pod in pods("openshift"):
        assert set(pod["securityContext"]) == {"runAsNonRoot", "seccompProfile"}


def test_no_secret_is_in_an_environment_or_an_argument() -> None:
    objects = render({**CREATED, **EMBEDDED})
    secrets = {
        base64.b64decode(value).decode().strip()
        for manifest in objects.values()
        if manifest["kind"] == "Secret"
        for value in manifest["data"].values()
    }
    assert {"client's", "s" * 32} <= secrets
    texts = [str(manifest) for manifest in objects.values() if manifest["kind"] not in ("Secret", "ConfigMap")]
    for secret in secrets - {"id"}:
        assert not any(secret in text for text in texts)


def test_secrets_are_whole_volumes_so_that_they_are_kept_up_to_date() -> None:
    pod = render(EMBEDDED)["Deployment"]["spec"]["template"]["spec"]
    mounts = [
        mount for container in (*pod["initContainers"], *pod["containers"]) for mount in container["volumeMounts"]
    ]
    assert {"auth0", "redis", "redis-ca", "tls"} <= {mount["name"] for mount in mounts}
    assert not any("subPath" in mount for mount in mounts)
    # Nothing in the pod's own description changes with their content: no restart where a reading again does.
    assert set(render()["Deployment"]["spec"]["template"]["metadata"]["annotations"]) == {
        "kubectl.kubernetes.io/default-container",
        "checksum/nginx",
    }


def test_where_the_chart_makes_redis_secret_another_one_restarts_redis_and_the_app() -> None:
    """They read it at their start only. So does a roll-back to an older one, whose revision has the sums of that."""
    seen = set()
    for _ in range(2):
        objects = manifests(template({**EMBEDDED, "commonAnnotations": {"rendering": str(len(seen))}}))
        (data,) = (item["data"] for item in objects if item["kind"] == "Secret")
        (configuration,) = (item["data"]["redis.conf"] for item in objects if "redis.conf" in item.get("data", {}))
        whole = configuration + json.dumps(data, sort_keys=True, separators=(",", ":"))
        part = json.dumps({name: data[name] for name in ("ca.crt", "url")}, separators=(",", ":"))
        wanted = {"StatefulSet": sha256(whole.encode()).hexdigest(), "Deployment": sha256(part.encode()).hexdigest()}
        assert wanted == {
            item["kind"]: item["spec"]["template"]["metadata"]["annotations"]["checksum/redis"]
            for item in objects
            if item["kind"] in wanted
        }
        seen |= set(wanted.values())
    assert len(seen) == 4


def test_another_version_of_the_chart_alone_is_no_reason_to_start_redis_again() -> None:
    objects = render({**EMBEDDED, "commonLabels": {"team": "a"}})
    spec = objects["StatefulSet/redis"]["spec"]
    wanted = spec["selector"]["matchLabels"] | {"team": "a"}
    assert spec["template"]["metadata"]["labels"] == wanted
    version = objects["StatefulSet/redis"]["metadata"]["labels"]["helm.sh/chart"]
    assert version.removeprefix("auth0-flask-") not in json.dumps(spec)


def test_helm_test_has_a_limit_where_the_app_has_one() -> None:
    """A quota may want one of every container, and then refuses a pod without."""

    def limit(values: dict[str, Any]) -> Any:
        (container,) = render(values)["Pod/test"]["spec"]["containers"]
        return container["resources"]["limits"].get("cpu")

    assert limit({}) is None
    assert limit({"server": {"resources": {"limits": {"cpu": "2"}}}}) == "2"


def test_a_client_s_secret_in_the_values_restarts_the_app_when_it_becomes_another() -> None:
    def annotations(values: dict[str, Any]) -> dict[str, str]:
        return dict(render(values)["Deployment"]["spec"]["template"]["metadata"]["annotations"])

    other = merged(CREATED, {"auth0": {"createSecret": {"clientSecret": "another"}}})
    assert list(differences(annotations(CREATED), annotations(other))) == ["checksum/auth0"]
    # That of the sessions is read again by running pods.
    other = merged(CREATED, {"auth0": {"createSecret": {"secret": "t" * 32}}})
    assert annotations(CREATED) == annotations(other)


def test_the_app_gets_no_more_than_its_own_secrets() -> None:
    pod = render(EMBEDDED)["Deployment"]["spec"]["template"]["spec"]
    (nginx,), (app,) = pod["initContainers"], pod["containers"]
    assert "tls" not in {mount["name"] for mount in app["volumeMounts"]}
    assert not {"auth0", "redis"} & {mount["name"] for mount in nginx["volumeMounts"]}


def test_nginx_is_up_before_the_app_and_stopped_after_it() -> None:
    pod = render()["Deployment"]["spec"]["template"]["spec"]
    (nginx,), (app,) = pod["initContainers"], pod["containers"]
    assert nginx["restartPolicy"] == "Always"
    assert "startupProbe" in nginx
    announced = int(re.fullmatch(r"sleep (\d+); kill -QUIT 1", nginx["lifecycle"]["preStop"]["exec"]["command"][-1])[1])
    waits = app["lifecycle"]["preStop"]["sleep"]["seconds"]
    settings = {variable["name"]: variable["value"] for variable in app["env"]}
    assert announced < waits
    assert waits + int(settings["SERVER_GRACE_SECONDS"]) < pod["terminationGracePeriodSeconds"]
    # On a unix socket: its path is gone as soon as the drain begins.
    assert settings["SERVER_DRAIN_SECONDS"] == "0"
    assert settings["TRUSTED_PROXIES"] == "unix"


def test_probes_ask_the_app_on_its_own_port() -> None:
    (app,) = render()["Deployment"]["spec"]["template"]["spec"]["containers"]
    # At the pod's address, which may be one of IPv6 alone.
    assert {"name": "METRICS_BIND", "value": "[::]:9464"} in app["env"]
    asked = {name: app[f"{name}Probe"]["httpGet"] for name in ("startup", "readiness", "liveness")}
    assert {name: (get["port"], get["path"]) for name, get in asked.items()} == {
        "startup": ("metrics", "/healthz/live"),
        "readiness": ("metrics", "/healthz/ready"),
        "liveness": ("metrics", "/healthz/live"),
    }


def test_the_settings_that_the_pod_gives_are_settings_of_the_app() -> None:
    from app.settings import Settings
    from scripts.chart_docs import FROM_VALUES, settings

    objects = render({**EMBEDDED, "pages": {"module": "a"}, "auth0": {"audience": "b"}})
    given = {
        variable["name"].removesuffix("_FILE")
        for variable in objects["Deployment"]["spec"]["template"]["spec"]["containers"][0]["env"]
    }
    assert given <= {name.upper() for name in Settings.model_fields}
    # What the chart sets cannot be set a second time.
    assert not given & settings().keys()
    assert given <= FROM_VALUES | {"AUTH0_CLIENT_SECRET", "AUTH0_SECRET", "REDIS_URL"}


def test_every_setting_of_the_app_can_be_set_or_follows_from_a_value() -> None:
    """A new one cannot be forgotten: it is in `settings`, or, being secret or one of others, has a value of its own."""
    from app.settings import Settings
    from scripts.chart_docs import settings

    given: dict[str, str] = {}
    for values in (
        {**EMBEDDED, "pages": {"module": "a"}, "auth0": {"audience": "b", "keys": {"proxyUrl": "proxy"}}},
        {"auth0": {"keys": {"assertionKey": "key.pem"}}},
        {"auth0": {"keys": {"certificate": "tls.crt", "certificateKey": "tls.key"}}},
        {"tracing": {"endpoint": "https://collector:4318"}, "networkPolicy": {"collector": [{"podSelector": {}}]}},
        {"settings": dict.fromkeys(settings(), "7")},
    ):
        (app,) = render(values)["Deployment"]["spec"]["template"]["spec"]["containers"]
        given |= {variable["name"].removesuffix("_FILE"): variable["value"] for variable in app["env"]}
    missing = {name.upper() for name in Settings.model_fields} - given.keys()
    assert missing == DECIDED.keys()
    assert {given[name] for name in settings()} == {"7"}


# What the chart leaves alone, and why.
DECIDED = {
    "OTEL_EXPORTER_OTLP_HEADERS": "a file that extraVolumes mounts and extraEnv names",
    "SESSION_COOKIE_SECURE": "follows from AUTH0_REDIRECT_URI, which is https",
    "SERVER_TLS_CERTIFICATE": "nginx ends TLS; the app listens on a unix socket",
    "SERVER_TLS_KEY": "as its certificate",
}


def test_numbers_keep_their_digits() -> None:
    pod = render({"nginx": {"maxBodyBytes": 1_073_741_824}})["Deployment"]["spec"]["template"]["spec"]
    values = {variable["name"]: variable["value"] for variable in pod["containers"][0]["env"]}
    assert values["SERVER_MAX_BODY_BYTES"] == "1073741824"


def test_the_embedded_redis_knows_the_users_that_compose_knows() -> None:
    secret = render(EMBEDDED)["Secret/redis"]["data"]
    users = base64.b64decode(secret["users.acl"]).decode().splitlines()
    assert users[0] == DEFAULT_USER
    given = re.fullmatch(r"user flask on #[0-9a-f]{64} resetchannels ~session:\* -@all (.+)", users[1])
    assert given
    assert set(given[1].split()) == set(APP_COMMANDS.split())
    assert base64.b64decode(secret["url"]).startswith(b"rediss://flask:")
    configuration = render(EMBEDDED)["ConfigMap/redis"]["data"]["redis.conf"]
    assert configuration == (ROOT / "deploy" / "redis" / "redis.conf").read_text()
