"""What changes while people use it: the app, the certificate; and how each container ends."""

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from scripts.certificates import authority
from tests.compose.load import load
from tests.compose.stack import SERVICES, Stack, Visitor, wait_until
from tests.nginx.client import Client, connect

# docker-compose.yml; each is looked up there by the engine.
GRACE_SECONDS = {
    "nginx": 65,
    "app-1": 35,
    "app-2": 35,
    "redis": 15,
    "identity": 10,
    "prometheus": 30,
    "alertmanager": 15,
    "nginx-exporter": 5,
    "redis-exporter": 5,
    "blackbox": 5,
}


def test_an_upgrade_replaces_one_replica_after_the_other_and_loses_no_request(stack: Stack, visitor: Visitor) -> None:
    before = stack.containers()
    with load(stack, visitor) as running:
        # A setting that changes is what a new image is: another container.
        said = stack.up(LOG_LEVEL="warning")
        running.wait_for(50)
    after = stack.containers()
    assert {name for name in before if before[name] != after[name]} == {
        stack.container("app-1"),
        stack.container("app-2"),
    }
    assert said.index("Replacing app-1 ...") < said.index("Replacing app-2 ...")
    assert running.failures == {}, running.outcomes


def test_an_upgrade_lets_the_app_send_redis_what_it_sends_now_and_brings_prometheus_its_rules(
    stack: Stack, visitor: Visitor
) -> None:
    # The checkout is this run's own, and nobody minds that the two stay.
    rules = stack.root / "deploy" / "prometheus" / "rules" / "of-the-upgrade.yml"
    allowed = stack.root / "scripts" / "stack" / "prepare.py"
    assert sent(stack, "ECHO", "x") == "NoPermissionError"
    allowed.write_text(allowed.read_text().replace('"+ping ', '"+ping +echo '))
    rules.write_text("groups: [{name: of-the-upgrade, rules: [{record: one, expr: '1'}]}]\n")
    rules.chmod(0o644)
    stack.up(LOG_LEVEL="warning")
    assert sent(stack, "ECHO", "x") == "x"
    with httpx.Client(trust_env=False, timeout=60) as http:
        answer = http.get(f"http://127.0.0.1:{stack.variables['PROMETHEUS_PORT']}/api/v1/rules").json()
    assert "of-the-upgrade" in {group["name"] for group in answer["data"]["groups"]}
    wait_until(visitor.is_signed_in, "signed in")


def sent(stack: Stack, *command: str) -> str:
    """What Redis answers the app's user."""
    script = """
import os, pathlib, redis, sys
url = pathlib.Path("/run/secrets/redis_url").read_text()
asked = redis.Redis.from_url(url, ssl_ca_certs=os.environ["REDIS_TLS_CA"])
try:
    print(asked.execute_command(*sys.argv[1:]).decode())
except redis.RedisError as error:
    print(type(error).__name__)
"""
    return stack.docker("exec", stack.container("app-1"), "python", "-c", script, *command)


def test_the_same_load_notices_an_upgrade_that_stops_both_at_once(stack: Stack, visitor: Visitor) -> None:
    with load(stack, visitor) as running:
        stack.docker("restart", stack.container("app-1"), stack.container("app-2"))
        stack.wait_until_healthy("app-1", "app-2")
        running.wait_for(20)
    # One worker of nginx has answered, the other may still know of no replica.
    stack.wait_until_trusted()
    assert {outcome for _, _, outcome in running.failures} == {"502"}


def test_a_replica_that_does_not_get_healthy_stops_the_upgrade_and_the_other_serves(
    stack: Stack, visitor: Visitor
) -> None:
    second = stack.containers()[stack.container("app-2")]
    with load(stack, visitor) as running:
        result = stack.run("up", APP_PAGES="not_there", LOG_LEVEL="warning")
        running.wait_for(20)
    assert result.returncode == 1
    assert "The new app-1 does not get healthy; the other replica serves" in result.stderr
    assert stack.containers()[stack.container("app-2")] == second
    assert running.failures == {}, running.outcomes
    stack.up(LOG_LEVEL="warning")
    assert stack.health("app-1") == "healthy"


def test_a_new_certificate_is_taken_without_dropping_a_connection(
    stack: Stack, visitor: Visitor, certificates: Path
) -> None:
    def serial() -> str:
        with connect(int(stack.variables["HTTPS_PORT"]), trust) as client:
            assert isinstance(client.socket, ssl.SSLSocket)
            return str((client.socket.getpeercert() or {})["serialNumber"])

    own = authority(certificates)
    trust = ssl.create_default_context(cafile=str(stack.authority))
    trust.load_verify_locations(own.path)
    before = serial()
    pair = dict(zip(("TLS_CERTIFICATE", "TLS_KEY"), map(str, own.issue()), strict=True))
    with connect(int(stack.variables["HTTPS_PORT"]), trust) as kept, upload(stack, kept):
        copy_into_place(stack, pair)
        wait_until(lambda: serial() != before, "the new certificate")
    # The same by the verb.
    stack.up(LOG_LEVEL="warning", **pair)
    assert serial() != before
    stack.up(LOG_LEVEL="warning")
    wait_until(lambda: serial() == before, "the certificate for localhost again")
    assert visitor.is_signed_in()


@contextmanager
def upload(stack: Stack, client: Client) -> Iterator[None]:
    """A request that has begun before the block and ends after it, a byte a second: nginx waits ten for the next."""
    length, sent, done = 1000, 0, threading.Event()

    def feed() -> None:
        nonlocal sent
        while not done.wait(1):
            client.send(b"x")
            sent += 1

    host = f"localhost:{stack.variables['HTTPS_PORT']}"
    client.send(f"POST /callback HTTP/1.1\r\nHost: {host}\r\nContent-Length: {length}\r\n\r\n".encode())
    feeder = threading.Thread(target=feed)
    feeder.start()
    try:
        yield
    finally:
        done.set()
        feeder.join()
    client.send(b"x" * (length - sent))
    assert client.response("POST").status == 405


def copy_into_place(stack: Stack, pair: dict[str, str]) -> None:
    """What `make up` does for it: init copies the files, nginx is told."""
    stack.compose("up", "--detach", "--no-build", "init", LOG_LEVEL="warning", **pair)
    assert stack.docker("wait", stack.container("init")) == "0", stack.docker("logs", stack.container("init"))
    # Not a signal by `docker kill`: an engine starts no container again that was sent one and then dies.
    stack.docker("exec", stack.container("nginx"), "/srv/nginx/start.sh", "-s", "reload")


@pytest.mark.parametrize("service", SERVICES)
def test_a_stop_ends_within_its_grace(stack: Stack, service: str) -> None:
    assert stack.inspect(service)["Config"]["StopTimeout"] == GRACE_SECONDS[service]
    stack.docker("stop", stack.container(service))
    state = stack.inspect(service)["State"]
    # Whoever has not ended by then is killed: 137.
    assert (state["ExitCode"], state["OOMKilled"]) == (0, False)
    stack.docker("start", stack.container(service))
    stack.wait_until_healthy(service)
