"""The images, run as strictly as an orchestrator may: read-only, without capabilities, privileges, or a shell."""

import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from scripts.containers.client import ROOT, EngineError
from tests.servers.certificates import authority
from tests.servers.containers import WAIT_SECONDS, Containers
from tests.servers.gunicorn import ENVIRONMENT

STRICT = ("--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--tmpfs=/tmp:size=16m,mode=1777")
NO_SHELL = tuple(f"--volume=/dev/null:{path}:ro" for path in ("/usr/bin/dash", "/usr/bin/bash"))
# A period of 0 means that of the image.
QUICK = ("--health-interval=1s", "--health-start-period=1ms")
SETTINGS = ENVIRONMENT | {
    "APP_ENV": "production",
    "SERVER_BIND": "0.0.0.0:8000",
    "SERVER_WORKERS": "2",
    "METRICS_BIND": "0.0.0.0:9464",
}


def settings(**changes: str) -> tuple[str, ...]:
    """The options that set them."""
    return tuple(f"--env={name}={value}" for name, value in (SETTINGS | changes).items())


@pytest.fixture(scope="module")
def app(docker: Containers) -> Iterator[str]:
    """The app, healthy, with a port of this machine's."""
    options = (*STRICT, *NO_SHELL, *QUICK, *settings(), "--publish=127.0.0.1::8000")
    with docker.run(docker.tags["app"], options=options) as name:
        docker.wait_for_health(name, "healthy")
        yield name


def url(docker: Containers, name: str, port: str = "8000/tcp") -> str:
    """Where a container's port is on this machine."""
    (bound, *_) = docker.inspect(name)["NetworkSettings"]["Ports"][port]
    return f"http://127.0.0.1:{bound['HostPort']}"


def processes(docker: Containers, name: str) -> list[tuple[str, str]]:
    """Owner (`uid:gid`) and command line of each process in a container."""
    lines = docker.client.docker("top", name, "-eo", "pid,uid,gid,args").splitlines()[1:]
    fields = [line.split(None, 3) for line in lines]
    return [(f"{uid}:{gid}", command) for _, uid, gid, command in fields]


def logs(docker: Containers, name: str) -> list[str]:
    """What a container has said, on both its outputs."""
    command = ["docker", "logs", name]
    environment = dict(docker.client.environment)
    return subprocess.run(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=True
    ).stdout.splitlines()


def test_it_serves_on_a_read_only_root_without_capabilities_and_without_a_shell(docker: Containers, app: str) -> None:
    # The app knows its own host only.
    answer = httpx.get(url(docker, app), headers={"Host": "localhost"}, timeout=30)
    assert (answer.status_code, "<h1>" in answer.text) == (200, True)


def test_gunicorn_is_the_first_process_and_all_are_of_the_user_without_privileges(docker: Containers, app: str) -> None:
    found = processes(docker, app)
    assert [owner for owner, _ in found] == ["65532:65532"] * 3
    assert all("gunicorn" in command for _, command in found)
    status = docker.client.docker("exec", app, "python", "-c", "print(open('/proc/1/status').read())")
    assert "Name:\tgunicorn" in status
    assert "CapEff:\t0000000000000000" in status
    assert "NoNewPrivs:\t1" in status


def test_what_it_consists_of_cannot_be_written_to(docker: Containers, app: str) -> None:
    with pytest.raises(EngineError, match="Read-only file system"):
        docker.client.docker("exec", app, "python", "-c", "open('/srv/app/x', 'w')")


def test_two_workers_take_no_more_memory_than_they_should(docker: Containers, app: str) -> None:
    with httpx.Client(headers={"Host": "localhost", "Connection": "close"}, timeout=30) as client:
        for _ in range(50):
            assert client.get(url(docker, app)).status_code == 200
    used = docker.client.docker("stats", "--no-stream", "--format", "{{.MemUsage}}", app).split("/")[0].strip()
    amount, unit = re.fullmatch(r"([\d.]+)(\w+)", used).groups()  # type: ignore[union-attr]
    assert float(amount) * {"MiB": 1, "GiB": 1024}[unit] <= 160, used


def test_a_stop_ends_with_0_within_the_grace(docker: Containers) -> None:
    options = (*STRICT, *NO_SHELL, *QUICK, *settings(SERVER_GRACE_SECONDS="20"))
    with docker.run(docker.tags["app"], options=options) as name:
        docker.wait_for_health(name, "healthy")
        start = time.monotonic()
        docker.client.docker("stop", "--time", "25", name)
        assert time.monotonic() - start < 20
        state = docker.inspect(name)["State"]
        assert (state["ExitCode"], state["OOMKilled"]) == (0, False)


def test_a_health_check_that_fails_says_why_and_the_container_is_unhealthy(docker: Containers) -> None:
    # Nobody listens at that port of the container's own.
    away = settings(SESSION_BACKEND="redis", REDIS_URL="redis://127.0.0.1:6379/0")
    with docker.run(docker.tags["app"], options=(*STRICT, *NO_SHELL, *QUICK, *away)) as name:
        # Until it listens, another sentence says so.
        sentence = "The server is not ready: the session store does not answer.\n"
        deadline = time.monotonic() + WAIT_SECONDS
        while (log := docker.inspect(name)["State"]["Health"]["Log"] or [{}])[-1].get("Output") != sentence:
            assert time.monotonic() < deadline, log
            time.sleep(0.1)
        docker.wait_for_health(name, "unhealthy")
        assert docker.client.docker("exec", name, "python", "-m", "app", "health", "--live") == ""


def test_a_missing_setting_is_one_sentence_and_no_start(docker: Containers) -> None:
    with docker.run(docker.tags["app"], options=(*STRICT, *settings(AUTH0_DOMAIN=""))) as name:
        assert docker.client.docker("wait", name) == "1"
        assert logs(docker, name) == [
            "The settings have one problem:",
            "  - AUTH0_DOMAIN is missing (for example: my-tenant.us.auth0.com).",
        ]


def test_nginx_and_the_provider_run_as_strictly_with_a_certificate_and_end_with_0(
    docker: Containers, tmp_path: Path
) -> None:
    certificate, key = authority(tmp_path).issue()
    for file in (certificate, key):
        file.chmod(0o644)
    tmp_path.chmod(0o755)
    mounted = ("--volume", f"{tmp_path}:/tls:ro")
    variables = {
        "nginx": {"NGINX_CERTIFICATE": f"/tls/{certificate.name}", "NGINX_CERTIFICATE_KEY": f"/tls/{key.name}"},
        "identity": {"IDENTITY_CERTIFICATE": f"/tls/{certificate.name}", "IDENTITY_KEY": f"/tls/{key.name}"},
    }
    for target, own in variables.items():
        options = (*STRICT, *QUICK, *mounted, *(f"--env={name}={value}" for name, value in own.items()))
        with docker.run(docker.tags[target], options=options) as name:
            docker.wait_for_health(name, "healthy")
            assert {owner for owner, _ in processes(docker, name)} == {"65532:65532"}
            docker.client.docker("stop", "--time", "20", name)
            assert docker.inspect(name)["State"]["ExitCode"] == 0


def test_an_unhealthy_provider_and_an_nginx_that_hangs_are_told(docker: Containers) -> None:
    for target, hang in (("nginx", ("sleep", "600")), ("identity", ("node", "-e", "setInterval(() => 0, 1000)"))):
        options = (*STRICT, *QUICK, "--health-retries=1", f"--entrypoint={hang[0]}")
        with docker.run(docker.tags[target], *hang[1:], options=options) as name:
            docker.wait_for_health(name, "unhealthy")


def test_pages_of_ones_own_on_top_of_the_image(docker: Containers, tmp_path: Path) -> None:
    tag = "test-own-pages"
    docker.client.docker(
        "build", "--quiet", "--build-arg", f"APP_IMAGE={docker.tags['app']}", "--tag", tag, ROOT / "docs" / "examples"
    )
    try:
        with docker.run(tag, options=(*STRICT, *QUICK, *settings(), "--publish=127.0.0.1::8000")) as name:
            docker.wait_for_health(name, "healthy")
            page = httpx.get(url(docker, name), headers={"Host": "localhost"}, timeout=30).text
            assert "<h1>Keep your notes</h1>" in page
    finally:
        docker.client.docker("rmi", "--force", tag)
