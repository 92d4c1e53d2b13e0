"""What the chart renders, run here without a cluster: nginx, the app and Redis with the pods' files, variables and
commands, only with other paths and ports.
"""

import base64
import http.client
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.chart.conftest import Manifest, merged, render
from tests.chart.test_values import CREATED, EMBEDDED
from tests.servers import gunicorn as servers
from tests.servers.gunicorn import Gunicorn
from tests.servers.nginx import Nginx, free_ports, nginx, wait_until

HOST = "app.example.com"
# The sessions' secret and the certificate are the chart's own.
TRIAL = merged(
    merged(CREATED, {"auth0": {"createSecret": {"secret": ""}}}),
    {
        "tls": {"mode": "selfSigned", "existingSecret": ""},
        "nginx": {"extraServerNames": ["www.example.com", "*.old.example.com"]},
    },
)


def variables(container: Manifest) -> dict[str, str]:
    """A container's environment."""
    return {variable["name"]: variable["value"] for variable in container["env"]}


def unpack(secret: Manifest, folder: Path) -> None:
    """A Secret's data as files."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, value in secret["data"].items():
        (folder / name).write_bytes(base64.b64decode(value))


class Pod:
    """The pod's two containers: `app`, `nginx`, and where its secrets are."""

    def __init__(self, objects: dict[str, Manifest], folder: Path, app: Gunicorn, server: Nginx) -> None:
        self.objects = objects
        self.folder = folder
        self.app = app
        self.nginx = server

    @contextmanager
    def connect(self, host: str = HOST) -> Iterator[http.client.HTTPSConnection]:
        """A connection as a browser's, which trusts the chart's own authority."""
        context = ssl.create_default_context(cafile=self.folder / "tls" / "ca.crt")
        client = http.client.HTTPSConnection(host, context=context, timeout=30)
        plain = socket.create_connection(("127.0.0.1", self.nginx.https_port), 30)
        client.sock = tls = context.wrap_socket(plain, server_hostname=host)
        try:
            yield client
        finally:
            client.close()
            tls.close()


@contextmanager
def running(folder: Path) -> Iterator[Pod]:
    """Run a pod."""
    objects = render(TRIAL)
    spec = objects["Deployment"]["spec"]["template"]["spec"]
    (sidecar,), (app,) = spec["initContainers"], spec["containers"]
    unpack(objects["Secret/tls"], folder / "tls")
    unpack(objects["Secret/auth0"], folder / "auth0")
    environment = {name: value.replace("/run/secrets", str(folder)) for name, value in variables(app).items()}
    environment |= {"METRICS_BIND": "127.0.0.1:0", "SERVER_WORKERS": "1"}
    # Those that the tests' servers set otherwise come from files here.
    environment |= dict.fromkeys(("AUTH0_CLIENT_ID", "AUTH0_CLIENT_SECRET", "AUTH0_SECRET"), "")
    given = variables(sidecar)
    public = {name: given[name] for name in given if name not in ("NGINX_CERTIFICATE", "NGINX_CERTIFICATE_KEY")}
    pair = (folder / "tls" / "tls.crt", folder / "tls" / "tls.key")
    with (
        _entered_by_all() as path,
        servers.gunicorn(folder / "app", environment=environment | {"SERVER_BIND": f"unix:{path}"}) as gunicorn,
        nginx(
            pair, upstream=f"unix:{path}", variables=public | {"NGINX_UPSTREAM": f"unix:{path}"}, start=False
        ) as server,
    ):
        path.chmod(0o777)
        _mount(objects["ConfigMap/nginx"], spec["volumes"], server.folder / "nginx")
        server.start()
        yield Pod(objects, folder, gunicorn, server)


@contextmanager
def _entered_by_all() -> Iterator[Path]:
    """The path of a socket. nginx is another user, against whom each pytest that starts locks the folders of all."""
    with tempfile.TemporaryDirectory(prefix="auth0-flask-pod-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder) / "s"


def _mount(config: Manifest, volumes: list[dict[str, Any]], folder: Path) -> None:
    shutil.rmtree(folder)
    (volume,) = (volume["configMap"] for volume in volumes if volume["name"] == "nginx")
    for item in volume["items"]:
        (folder / item["path"]).parent.mkdir(parents=True, exist_ok=True)
        (folder / item["path"]).write_text(config["data"][item["key"]])
    # A ConfigMap's files cannot be executed: the pod's command names the shell.
    (folder / "start.sh").chmod(0o755)


def helm_test(pod: Pod, host: str = HOST, **changes: str) -> "subprocess.CompletedProcess[str]":
    """What the pod of `helm test` runs."""
    (container,) = pod.objects["Pod/test"]["spec"]["containers"]
    *_, program = container["command"]
    given = variables(container)
    assert given["HOST"] == HOST
    environment = given | {"SERVICE": "127.0.0.1", "PORT": str(pod.nginx.https_port), "HOST": host} | changes
    return subprocess.run(
        [sys.executable, "-c", program.replace("/run/secrets", str(pod.folder))],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_the_pod_answers_and_helm_test_says_so(tmp_path: Path) -> None:
    with running(tmp_path) as pod:
        with pod.connect() as client:
            assert status(client) == 200
        result = helm_test(pod)
        assert result.returncode == 0, result.stdout + result.stderr
        assert "ok: /healthz/ready is answered with 404" in result.stdout
        # Another name gets no certificate, another certificate is noticed.
        assert helm_test(pod, "other.example.com").returncode == 1
        (tmp_path / "tls" / "tls.crt").write_text((tmp_path / "tls" / "ca.crt").read_text())
        assert "another one than the Secret's" in helm_test(pod).stderr


def test_a_further_name_leads_to_the_apps_own(tmp_path: Path) -> None:
    with running(tmp_path) as pod:
        for name in ("www.example.com", "any.old.example.com"):
            with pod.connect(name) as client:
                client.request("GET", "/callback?code=a%2Fb&state=c")
                answer = client.getresponse()
                answer.read()
                # With the port of the public address, whatever this one is.
                assert (answer.status, answer.headers["Location"]) == (
                    308,
                    f"https://{HOST}/callback?code=a%2Fb&state=c",
                )
        result = helm_test(pod)
        assert result.returncode == 0, result.stdout + result.stderr
        assert "ok: www.example.com leads to https://app.example.com/login?a=b" in result.stdout
        assert "ok: any.old.example.com leads to" in result.stdout
        # One that serves its pages itself, as before, and one that the certificate is not for.
        assert f"WRONG: {HOST} leads to" in helm_test(pod, REDIRECTED=HOST).stdout
        assert helm_test(pod, REDIRECTED="other.example.com").returncode == 1


def test_a_certificate_for_another_name_is_noticed(tmp_path: Path) -> None:
    with running(tmp_path) as pod:
        pod.nginx.stop()
        pod.nginx.variables["NGINX_SERVER_NAMES"] = "other.example.com"
        pod.nginx.start()
        result = helm_test(pod, "other.example.com")
        assert result.returncode == 1
        assert "The certificate is not right for other.example.com" in result.stderr


def test_a_connection_that_is_kept_loses_no_request_when_the_pod_stops(tmp_path: Path) -> None:
    with running(tmp_path) as pod, pod.connect() as kept:
        assert pod.nginx.process is not None
        assert status(kept) == 200
        # The sidecar's preStop, and later the app's end.
        pod.nginx.process.send_signal(signal.SIGQUIT)
        wait_until(lambda: closed(kept), "the end of the connection")
        assert pod.app.stop() == 0
        assert pod.nginx.process.wait(30) == 0


def test_without_that_order_it_would(tmp_path: Path) -> None:
    """The control: the app first, as where nobody tells nginx."""
    with running(tmp_path) as pod, pod.connect() as kept:
        assert status(kept) == 200
        assert pod.app.stop() == 0
        assert status(kept) == 502


def status(client: http.client.HTTPSConnection) -> int:
    client.request("GET", "/")
    response = client.getresponse()
    response.read()
    return response.status


def closed(client: http.client.HTTPSConnection) -> bool:
    """Whether the other end has closed the connection, which clients notice before they send a request."""
    client.sock.settimeout(0.05)
    try:
        return bool(client.sock.recv(1) == b"")
    except TimeoutError:
        return False
    except (ssl.SSLError, ConnectionError):
        return True


class EmbeddedRedis:
    """The embedded Redis, with the files of its pod: `secrets`, and the folder's `redis.conf`."""

    def __init__(self, folder: Path, port: int, ping: list[str]) -> None:
        self.folder, self.port, self.secrets = folder, port, folder / "secrets"
        self._ping = ping
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it is ready."""
        with (self.folder / "log").open("ab") as log:
            command = ["redis-server", self.folder / "redis.conf"]
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        wait_until(
            lambda: subprocess.run(self._ping, check=False, stderr=subprocess.DEVNULL).returncode == 0, "Redis' start"
        )

    def stop(self) -> None:
        """Stop it, as the end of its pod does."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(30)
            self._process = None

    def say(self, *command: str) -> str:
        """What Redis answers the app's user."""
        password = (self.secrets / "url").read_text().removeprefix("rediss://flask:").partition("@")[0]
        cli = ["redis-cli", "-p", str(self.port), "--tls", "--cacert", str(self.secrets / "ca.pem")]
        answer = subprocess.run(
            [*cli, "--user", "flask", *command],
            env=os.environ | {"REDISCLI_AUTH": password},
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
        return answer.stdout.strip()


@pytest.fixture
def embedded(tmp_path: Path) -> Iterator[EmbeddedRedis]:
    """It, started."""
    objects = render(EMBEDDED)
    secrets = tmp_path / "secrets"
    unpack(objects["Secret/redis"], secrets)
    spec = objects["StatefulSet/redis"]["spec"]["template"]["spec"]
    (volume,) = (volume["secret"] for volume in spec["volumes"] if volume["name"] == "secrets")
    for item in volume["items"]:
        if item["path"] != item["key"]:
            (secrets / item["key"]).rename(secrets / item["path"])
    users = secrets / "users.acl"
    # A command that the Redis of Debian 12 does not have yet, and that the app does without where it is refused.
    users.write_text(users.read_text().replace(" +client|setinfo", ""))
    (port,) = free_ports(1)
    configuration = objects["ConfigMap/redis"]["data"]["redis.conf"]
    paths = {"/run/secrets": str(secrets), "dir /data": f"dir {tmp_path}", "tls-port 6379": f"tls-port {port}"}
    for old, new in paths.items():
        assert old in configuration
        configuration = configuration.replace(old, new)
    (tmp_path / "redis.conf").write_text(configuration)
    (container,) = spec["containers"]
    ping = container["readinessProbe"]["exec"]["command"]
    ping[-1] = ping[-1].replace("/run/secrets", str(secrets)).replace("redis-cli", f"redis-cli -p {port}")
    redis = EmbeddedRedis(tmp_path, port, ping)
    try:
        redis.start()
        yield redis
    finally:
        redis.stop()


def test_the_embedded_redis_takes_sessions_from_the_app_and_nothing_else(embedded: EmbeddedRedis) -> None:
    host = urlsplit((embedded.secrets / "url").read_text()).hostname
    context = ssl.create_default_context(cafile=embedded.secrets / "ca.pem")
    with socket.create_connection(("127.0.0.1", embedded.port), 30) as plain:
        # The certificate is for the name in the URL.
        context.wrap_socket(plain, server_hostname=host).close()
    assert embedded.say("SET", "session:a", "b") == "OK"
    assert embedded.say("GETEX", "session:a", "EX", "5") == "b"
    assert embedded.say("SET", "other", "b").startswith("NOPERM")
    assert embedded.say("FLUSHALL").startswith("NOPERM")
    # Nobody gets in without a password, whatever the default user may do.
    plain_cli = ["redis-cli", "-p", str(embedded.port), "--tls", "--cacert", str(embedded.secrets / "ca.pem")]
    for words in (["SET", "session:a", "c"], ["AUTH", "default", ""]):
        answer = subprocess.run([*plain_cli, *words], capture_output=True, text=True, check=False, timeout=30)
        assert answer.stdout.startswith(("NOAUTH", "WRONGPASS")), answer.stdout


def test_the_embedded_redis_has_after_a_restart_what_a_script_wrote_together(embedded: EmbeddedRedis) -> None:
    # Each of the scripts' writing commands, from `EVAL`s that write twice: Redis keeps such as a transaction.
    writes = [
        "SET session:ended:{a} 1 EX 100",
        "ZADD session:index:{a} 1 name",
        "ZADD session:index:{a} 2 other",
        "ZREM session:index:{a} other",
        "HSET session:notes:{a} name note",
        "HSET session:notes:{a} other note",
        "HDEL session:notes:{a} other",
        "EXPIREAT session:index:{a} 4000000000",
        "SET session:b 1",
        "DEL session:b",
    ]
    script = "".join(f"redis.call({', '.join(map(repr, write.split()))})\n" for write in writes)
    assert embedded.say("EVAL", f"{script}return 'done'", "0") == "done"
    embedded.stop()
    embedded.start()
    assert embedded.say("ZRANGE", "session:index:{a}", "0", "-1") == "name"
    assert embedded.say("HMGET", "session:notes:{a}", "name", "other").splitlines() == ["note"]
    assert embedded.say("GET", "session:ended:{a}") == "1"
