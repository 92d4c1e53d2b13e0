"""The stack as it stands: healthy, closed to the outside, and usable by a person."""

import json
import re
import socket
import ssl
import subprocess
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import expect

from scripts.certificates import authority
from scripts.containers import images
from tests.compose.stack import SERVICES, WITHOUT_SHELL, Stack, Visitor, wait_until
from tests.servers.chromium import chromium
from tests.servers.demo import copy_of_checkout

USERNAME, PASSWORD = "jane@example.com", "correct-horse"
MIB = 1024 * 1024
APP_MEMORY = 160 * MIB


def test_every_container_is_healthy(stack: Stack) -> None:
    checked = [service for service in SERVICES if service not in WITHOUT_SHELL]
    assert {service: stack.health(service) for service in checked} == dict.fromkeys(checked, "healthy")
    assert all(stack.inspect(service)["State"]["Running"] for service in WITHOUT_SHELL)
    assert stack.inspect("init")["State"]["ExitCode"] == 0


def test_a_second_up_changes_nothing_and_says_where_it_is(stack: Stack) -> None:
    before = stack.containers()
    lead_to_one(stack)
    said = stack.up()
    assert stack.containers() == before
    # As after an upgrade that was broken off.
    assert upstreams(stack) == {"unix:/run/app/app-1.sock", "unix:/run/app/app-2.sock"}
    assert f"Open     {stack.origin}\n" in said
    assert f"Sign in  {USERNAME}, password {PASSWORD}\n" in said
    assert "Stop     make down; with the data: make down VOLUMES=1\n" in said


def lead_to_one(stack: Stack) -> None:
    """What an upgrade does before it replaces the other replica."""
    one = "NGINX_UPSTREAM=unix:/run/app/app-1.sock"
    stack.docker("exec", "--env", one, stack.container("nginx"), "/srv/nginx/start.sh", "-s", "reload")
    assert upstreams(stack) == {"unix:/run/app/app-1.sock"}


def upstreams(stack: Stack) -> set[str]:
    """Where nginx sends requests."""
    written = stack.docker("exec", stack.container("nginx"), "cat", "/tmp/nginx/site/http.conf")
    return set(re.findall(r"^  server (\S+);$", written, re.MULTILINE))


def test_another_checkout_neither_takes_the_stack_over_nor_removes_it(stack: Stack, tmp_path: Path) -> None:
    before = stack.containers()
    other = Stack(stack.client, stack.variables, copy_of_checkout(tmp_path / "checkout"))
    for verb in ("up", "down"):
        result = other.run(verb)
        assert result.returncode == 1
        assert f"The stack {stack.project} is that of {stack.root}: say `make down` there, or " in result.stderr
    assert stack.containers() == before


def test_a_person_signs_in_and_out_in_a_browser(stack: Stack, tmp_path: Path) -> None:
    ca = authority(stack.authority.parent)
    with chromium(tmp_path, ca) as start:
        browser = start.browser()
        page = browser.new_page()
        page.goto(f"{stack.origin}/profile")
        page.fill("#username", USERNAME)
        page.fill("#password", PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Jane Doe")
        # The app asks the provider with the access token: from inside, by the browser's name for it.
        page.get_by_role("link", name="API call").click()
        expect(page.get_by_role("main")).to_contain_text("answered 200")
        page.get_by_role("link", name="Logout").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Welcome!")
        browser.close()


@pytest.mark.parametrize("service", SERVICES)
def test_a_container_may_do_little(stack: Stack, service: str) -> None:
    found = stack.inspect(service)
    host = found["HostConfig"]
    assert found["Config"]["User"] == "65532:65532"
    assert host["CapDrop"] == ["ALL"]
    assert not host["CapAdd"]
    assert host["ReadonlyRootfs"]
    assert not host["Privileged"]
    assert "no-new-privileges:true" in host["SecurityOpt"]
    assert host["Memory"] > 0
    assert host["NanoCpus"] > 0
    assert host["PidsLimit"] > 0
    assert host["RestartPolicy"]["Name"] == "unless-stopped"
    assert host["LogConfig"] == {"Type": "json-file", "Config": {"max-size": "10m", "max-file": "3"}}
    # By another container that sees its processes: not every image has a `cat`.
    beside = ["run", "--rm", "--network", "none", "--pid", f"container:{stack.container(service)}"]
    status = stack.docker(*beside, "--entrypoint", "cat", stack.image(), "/proc/1/status")
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert fields["Uid"].split() == ["65532"] * 4
    assert {fields[name] for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {"0" * 16}
    assert fields["NoNewPrivs"] == "1"


def test_the_one_that_runs_as_root_has_no_network_and_two_capabilities(stack: Stack) -> None:
    host = stack.inspect("init")["HostConfig"]
    assert (host["NetworkMode"], host["CapDrop"]) == ("none", ["ALL"])
    assert {name.removeprefix("CAP_") for name in host["CapAdd"]} == {"CHOWN", "DAC_READ_SEARCH"}
    assert host["ReadonlyRootfs"]


def test_an_image_says_of_which_version_and_commit_it_is(stack: Stack) -> None:
    command = ["git", "rev-parse", "HEAD"]
    commit = subprocess.run(command, cwd=stack.root, capture_output=True, text=True, check=True).stdout.strip()
    for service in ("app-1", "app-2", "nginx", "identity"):
        labels = stack.inspect(service)["Config"]["Labels"]
        found = [labels[f"org.opencontainers.image.{name}"] for name in ("version", "revision")]
        assert found == [images.version(), commit]


def test_no_secret_stands_where_the_engine_shows_it(stack: Stack) -> None:
    script = "import pathlib; print(*[path.read_text() for path in pathlib.Path('/run/secrets').iterdir()], sep='|')"
    app = stack.docker("exec", stack.container("app-1"), "python", "-c", script).split("|")
    redis = next(text for text in app if text.startswith("rediss://"))
    secrets = {text.strip() for text in app if len(text.split()) == 1} | {redis.partition("@")[0].rpartition(":")[2]}
    # Of the sessions, the client, Redis' URL and the password in it, and the way to the local provider.
    assert len(secrets) == 5
    shown = "".join(json.dumps(stack.inspect(service)) for service in (*SERVICES, "init"))
    assert not [secret for secret in secrets if secret in shown]


def test_only_nginx_is_published_and_on_loopback_what_this_machines_browser_needs(stack: Stack) -> None:
    published = {
        (service, binding["HostIp"], binding["HostPort"])
        for service in (*SERVICES, "init")
        for bindings in (stack.inspect(service)["HostConfig"]["PortBindings"] or {}).values()
        for binding in bindings
    }
    ports = {
        name: stack.variables[f"{name}_PORT"] for name in ("HTTPS", "HTTP", "IDENTITY", "PROMETHEUS", "ALERTMANAGER")
    }
    assert published == {
        ("nginx", "127.0.0.1", ports["HTTPS"]),
        ("nginx", "127.0.0.1", ports["HTTP"]),
        ("identity", "127.0.0.1", ports["IDENTITY"]),
        ("prometheus", "127.0.0.1", ports["PROMETHEUS"]),
        ("alertmanager", "127.0.0.1", ports["ALERTMANAGER"]),
    }


def test_another_machine_reaches_none_of_the_ports(stack: Stack) -> None:
    # Where the containers' network has this machine: one of its addresses beside loopback.
    found = json.loads(stack.docker("network", "inspect", f"{stack.project}_public"))[0]
    address = found["IPAM"]["Config"][0]["Gateway"]
    for name, port in stack.variables.items():
        if name.endswith("_PORT"):
            with socket.create_connection(("127.0.0.1", int(port)), 30):
                pass
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection((address, int(port)), 30)


def test_the_app_and_redis_are_on_no_port_and_the_stores_network_leads_nowhere(stack: Stack) -> None:
    for service, network in (("redis", "store"), ("app-1", "store"), ("app-2", "metrics")):
        networks = stack.inspect(service)["NetworkSettings"]["Networks"]
        assert f"{stack.project}_{network}" in networks
        found = json.loads(stack.docker("network", "inspect", f"{stack.project}_{network}"))[0]
        assert found["Internal"]
    assert set(stack.inspect("redis")["NetworkSettings"]["Networks"]) == {f"{stack.project}_store"}
    assert set(stack.inspect("nginx")["NetworkSettings"]["Networks"]) == {
        f"{stack.project}_{network}" for network in ("public", "handshake")
    }
    # All that a process of the app listens on, in the container's own network: metrics, and the engine's resolver.
    listening = stack.docker("exec", stack.container("app-1"), "cat", "/proc/net/tcp", "/proc/net/tcp6")
    ports = {
        int(line.split()[1].rpartition(":")[2], 16)
        for line in listening.splitlines()
        if len(line.split()) > 3 and line.split()[3] == "0A" and not line.split()[1].startswith("0B00007F")
    }
    assert ports == {9464}


def test_nobody_gets_at_health_and_metrics_through_nginx(stack: Stack) -> None:
    with httpx.Client(verify=stack.trust, trust_env=False, timeout=60) as http:
        for path in ("/metrics", "/healthz/ready", "/healthz/live"):
            assert http.get(stack.origin + path).status_code == 404
        plain = http.get(f"http://localhost:{stack.variables['HTTP_PORT']}/profile?a=b")
        assert (plain.status_code, plain.headers["location"]) == (308, f"{stack.origin}/profile?a=b")


def test_redis_wants_tls_and_a_password_and_lets_the_app_do_what_it_needs_alone(stack: Stack) -> None:
    script = """
import os, pathlib, redis
url = pathlib.Path("/run/secrets/redis_url").read_text()
ours, others = os.environ["REDIS_TLS_CA"], "/run/secrets/authority.pem"
def outcome(url, *command, authority=ours):
    tls = {"ssl_ca_certs": authority} if url.startswith("rediss:") else {}
    try:
        return type(redis.Redis.from_url(url, **tls).execute_command(*command)).__name__
    except redis.RedisError as error:
        return type(error).__name__
plain = url.replace("rediss:", "redis:")
nobody = "rediss://redis:6379/0"
wrong = url.replace("flask:", "flask:0")
print(outcome(url, "PING"), outcome(url, "SET", "session:probe", "1", "EX", "1"), outcome(url, "SET", "x", "1"),
      outcome(url, "KEYS", "*"), outcome(url, "CONFIG", "GET", "*"), outcome(url, "FLUSHALL"),
      outcome(plain, "PING"), outcome(nobody, "PING"), outcome(wrong, "PING"), outcome(url, "PING", authority=others))
"""
    outcomes = stack.docker("exec", stack.container("app-1"), "python", "-c", script).split()
    assert outcomes[:2] == ["bool", "bool"]
    assert outcomes[2:6] == ["NoPermissionError"] * 4
    assert outcomes[6] == "ConnectionError"
    assert set(outcomes[7:9]) == {"AuthenticationError"}
    assert outcomes[9] == "ConnectionError"


def test_a_handshake_for_another_name_is_refused(stack: Stack) -> None:
    with socket.create_connection(("127.0.0.1", int(stack.variables["HTTPS_PORT"])), 30) as plain:
        context = ssl.create_default_context(cafile=str(stack.authority))
        context.check_hostname = False
        with pytest.raises(ssl.SSLError):
            context.wrap_socket(plain, server_hostname="nginx")


def test_prometheus_scrapes_every_service_that_it_is_told_of(stack: Stack, visitor: Visitor) -> None:
    prometheus = f"http://127.0.0.1:{stack.variables['PROMETHEUS_PORT']}"
    with httpx.Client(trust_env=False, timeout=60) as http:

        def value(query: str) -> str:
            result = http.get(f"{prometheus}/api/v1/query", params={"query": query}).json()["data"]["result"]
            return str(result[0]["value"][1]) if result else ""

        wait_until(lambda: value('sum(up{job="app"})') == "2", "two replicas scraped")
        for job in ("nginx", "redis", "certificate", "prometheus", "alertmanager"):
            wait_until(lambda job=job: value(f'up{{job="{job}"}}') == "1", f"{job} scraped")  # type: ignore[misc]
        # What stands behind the exporters answers them: nginx' status and certificate, and Redis.
        for metric in ("nginx_up", "nginx_probe_success", "redis_up"):
            wait_until(lambda metric=metric: value(metric) == "1", metric)  # type: ignore[misc]
        wait_until(
            lambda: float(value('sum(http_request_duration_seconds_count{url_rule="/profile"})') or 0) > 0,
            "a page counted",
        )
        wait_until(
            lambda: bool(http.get(f"{prometheus}/api/v1/alertmanagers").json()["data"]["activeAlertmanagers"]),
            "Prometheus knows Alertmanager",
        )
        alertmanager = f"http://127.0.0.1:{stack.variables['ALERTMANAGER_PORT']}"
        assert http.get(f"{alertmanager}/-/ready").status_code == 200


def test_nobody_can_send_the_exporter_of_redis_to_another_address_with_its_password(stack: Stack) -> None:
    # From where Prometheus asks; such an answer would have the numbers of whatever Redis is named.
    script = """
import sys, urllib.error, urllib.request
try:
    print(urllib.request.urlopen("http://redis-exporter:9121" + sys.argv[1], timeout=30).read().decode())
except urllib.error.HTTPError as error:
    print(error.code)
"""

    def asked(path: str) -> str:
        return stack.docker("exec", stack.container("app-1"), "python", "-c", script, path)

    assert "redis_up 1" in asked("/metrics")
    assert "redis_up" not in asked("/scrape?target=rediss://redis:6379")


def test_a_replica_with_two_workers_stays_small(stack: Stack, visitor: Visitor) -> None:
    for _ in range(50):
        assert visitor.is_signed_in()
    # Pages that several processes share count once, as the container's limit counts them. Of the first process and its
    # children alone: a health check comes and goes, and while it begins it is nobody's to be read.
    script = """
import pathlib
processes = ["1", *pathlib.Path("/proc/1/task/1/children").read_text().split()]
for process in processes:
    lines = pathlib.Path("/proc", process, "smaps_rollup").read_text().splitlines()
    print(sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")))
"""
    for replica in ("app-1", "app-2"):
        each = stack.docker("exec", stack.container(replica), "python", "-c", script).split()
        assert len(each) == 3
        used = sum(map(int, each)) * 1024
        assert used < APP_MEMORY, f"{replica}: {used / MIB:.0f} MiB"
