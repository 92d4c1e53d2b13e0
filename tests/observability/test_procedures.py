"""The runbook's procedures: the commands that stand there, run as they stand there, against what they are for."""

import ast
import os
import re
import ssl
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from cryptography import x509

from scripts.certificates import CA, authority
from tests.integration.browser import AppBrowser, until
from tests.servers.app import ServedApp, allow, app
from tests.servers.identity import CLIENT, IdentityProvider
from tests.servers.nginx import Nginx, nginx
from tests.servers.ports import free_ports
from tests.servers.redis import RedisServer, redis_server

ROOT = Path(__file__).parents[2]
_, _, PROCEDURES = (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8").partition("\n## Procedures\n")
OLD = "old-key-0123456789-0123456789-abcdef"
TAKEN = "the keys of sessions were read anew"
# How many blocks of commands a procedure has: each of them is run here.
BLOCKS = {
    "Rotate the sessions' secret": 3,
    "Rotate the client secret": 1,
    "Revoke everybody's sessions": 1,
    "Renew the certificate": 1,
    "Redis lost": 1,
    "A noisy client": 3,
}
# Commands for a cluster, and the test that runs them there: its file, its name, the tool and what that is told.
IN_A_CLUSTER = {
    "Rotate the client secret": (
        "test_rotation.py",
        "test_a_new_client_secret_is_taken_by_a_restart_which_loses_no_request_of_those_who_are_signed_in",
        ("kubectl", "rollout", "restart", "deployment/auth0-flask"),
    ),
    "Roll back": (
        "test_rollouts.py",
        "test_an_upgrade_to_another_image_and_its_rollback_lose_no_request",
        ("helm", "rollback", "auth0-flask", "--wait"),
    ),
}


def procedure_of(name: str) -> str:
    """The text of a procedure."""
    _, _, text = PROCEDURES.partition(f"\n### {name}\n")
    return text.partition("\n### ")[0]


def blocks(procedure: str) -> list[str]:
    """The blocks of commands of a procedure."""
    return re.findall(r"^```sh\n(.*?)^```", procedure_of(procedure), re.MULTILINE | re.DOTALL)


def run(commands: str, **variables: str) -> str:
    """Run commands from the checkout, as who reads them would; what they print. Raises CalledProcessError."""
    environment = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **variables}
    shell = ["bash", "-euo", "pipefail", "-c", commands]
    done = subprocess.run(shell, cwd=ROOT, env=environment, capture_output=True, text=True, check=True, timeout=60)
    return done.stdout


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis that listens on a port as well."""
    [port] = free_ports(1)
    folder = tmp_path / "redis"
    folder.mkdir()
    with redis_server(folder, "--port", str(port), "--bind", "127.0.0.1") as server:
        yield server


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """What ends after the test."""
    with ExitStack() as entered:
        yield entered


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """The file of the sessions' keys."""
    file = tmp_path / "auth0_secret"
    file.write_text(OLD)
    return file


Start = Callable[..., ServedApp]


@pytest.fixture
def start(stack: ExitStack, tmp_path: Path, running_provider: IdentityProvider, secret: Path) -> Start:
    """Start the app with the sessions' keys from the file."""

    def started(name: str = "app", **options: object) -> ServedApp:
        files = {"AUTH0_SECRET": "", "AUTH0_SECRET_FILE": str(secret)}
        return stack.enter_context(app(tmp_path / name, running_provider, **files, **options))  # type: ignore[arg-type]

    return started


def signed_in(served: ServedApp, stack: ExitStack) -> AppBrowser:
    """Somebody's browser."""
    browser = AppBrowser(served)
    stack.callback(browser.http.close)
    browser.sign_in_as()
    assert browser.user
    return browser


def metric(served: ServedApp, line: str) -> float:
    """The value of a series."""
    page = httpx.get(served.server.metrics_url, timeout=30, trust_env=False).text
    found = re.search(rf"^{re.escape(line)} ([0-9.e+]+)$", page, re.MULTILINE)
    return float(found[1]) if found else 0.0


def test_every_block_of_commands_is_run_here() -> None:
    procedures = re.findall(r"^### (.+)$", PROCEDURES, re.MULTILINE)
    assert {name: len(blocks(name)) for name in procedures if blocks(name)} == BLOCKS


@pytest.mark.parametrize("procedure", IN_A_CLUSTER)
def test_the_commands_for_a_cluster_are_those_that_its_tests_run(procedure: str) -> None:
    file, name, (tool, *arguments) = IN_A_CLUSTER[procedure]
    text = procedure_of(procedure)
    assert f"\n    {tool} -n NAMESPACE {' '.join(arguments)}\n" in text
    assert f"`{name}` in `tests/cluster/{file}`" in " ".join(text.split())
    tree = ast.parse((ROOT / "tests" / "cluster" / file).read_text(encoding="utf-8"))
    [function] = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == name]
    # `app` is the release of that name, its tools are told the namespace: tests/cluster/release.py.
    told = [
        [ast.unparse(argument).strip("f'").replace("{app.name}", "app.name") for argument in call.args]
        for call in ast.walk(function)
        if isinstance(call, ast.Call) and ast.unparse(call.func) == f"app.{tool}"
    ]
    wanted = [argument.replace("auth0-flask", "app.name") for argument in arguments]
    assert any(found[: len(wanted)] == wanted for found in told), told


def test_the_sessions_secret_is_rotated_and_nobody_is_signed_out(
    start: Start, redis: RedisServer, secret: Path, stack: ExitStack
) -> None:
    served = start(redis=redis)
    browser = signed_in(served, stack)
    first, second, third = blocks("Rotate the sessions' secret")
    run(first, AUTH0_SECRET_FILE=str(secret))
    served.server.wait_for(f"{TAKEN}: there are 2")
    assert browser.user
    run(second, AUTH0_SECRET_FILE=str(secret))
    served.server.wait_for(TAKEN, times=2)
    assert browser.user
    run(third, AUTH0_SECRET_FILE=str(secret))
    served.server.wait_for(TAKEN, times=3)
    assert browser.user
    assert OLD not in secret.read_text()
    assert len(secret.read_text()) == 64


@pytest.mark.parametrize("backend", ["redis", "cookie"])
def test_everybodys_sessions_are_revoked_at_once_and_people_sign_in_again(
    start: Start, redis: RedisServer, secret: Path, stack: ExitStack, backend: str
) -> None:
    served = start(workers=2, **({"redis": redis} if backend == "redis" else {}))
    browsers = [signed_in(served, stack) for _ in range(2)]
    stolen = dict(browsers[0].cookies)
    [commands] = blocks("Revoke everybody's sessions")
    run(commands, AUTH0_SECRET_FILE=str(secret))
    served.server.wait_for(TAKEN, times=2)
    assert [browser.user for browser in browsers] == [None, None]
    assert metric(served, 'session_undecryptable_total{where="session"}') >= 2
    thief = AppBrowser(served)
    stack.callback(thief.http.close)
    for name, value in stolen.items():
        thief.set_cookie(name, value)
    assert thief.user is None
    browsers[0].sign_in_as()
    assert browsers[0].user
    # Nor when the process starts anew.
    assert OLD not in secret.read_text()


def test_the_clients_secret_is_rotated_and_who_is_signed_in_stays_so(
    start: Start, redis: RedisServer, running_provider: IdentityProvider, tmp_path: Path, stack: ExitStack
) -> None:
    file = tmp_path / "client_secret"
    file.write_text(CLIENT["client_secret"])
    options = {"AUTH0_CLIENT_SECRET": "", "AUTH0_CLIENT_SECRET_FILE": str(file), "redis": redis}
    served = start("before", **options)
    browser = signed_in(served, stack)
    new = "the-clients-new-secret-0123456789-abcdef"
    running_provider.knobs.change_clients({"client_id": CLIENT["client_id"], "client_secret": new})
    try:
        other = AppBrowser(served)
        stack.callback(other.http.close)
        assert other.sign_in_as().status_code == 500
        assert "login failed: misconfigured" in served.log
        assert browser.user
        [commands] = blocks("Rotate the client secret")
        run(commands, AUTH0_CLIENT_SECRET_FILE=str(file), NEW_CLIENT_SECRET=new)
        # With TLS in gunicorn itself, a connection that a client keeps open holds up the stop.
        browser.http.close()
        other.http.close()
        served.server.stop()
        restarted = start("after", **options)
        assert signed_in(restarted, stack).user
        again = AppBrowser(restarted)
        stack.callback(again.http.close)
        for name, value in browser.cookies.items():
            again.set_cookie(name, value)
        assert again.user
    finally:
        running_provider.knobs.change_clients(
            {"client_id": CLIENT["client_id"], "client_secret": CLIENT["client_secret"]}
        )


def test_the_certificate_is_renewed_on_a_connection_that_stays(ca: CA, tmp_path: Path) -> None:
    pair, new, other = (authority(tmp_path / name).issue() for name in ("first", "second", "third"))
    [commands] = blocks("Renew the certificate")
    with nginx(pair, upstream="127.0.0.1:1") as server:
        assert server.process
        variables = {
            "NGINX_CERTIFICATE": server.variables["NGINX_CERTIFICATE"],
            "NGINX_CERTIFICATE_KEY": server.variables["NGINX_CERTIFICATE_KEY"],
            "NGINX_PID": str(server.process.pid),
        }
        assert shown(server) == serial(pair[0])
        with httpx.Client(verify=False, base_url=server.origin, timeout=30, trust_env=False) as http:
            assert http.get("/metrics").status_code == 404
            run(commands, NEW_CERTIFICATE=str(new[0]), NEW_KEY=str(new[1]), **variables)
            until(lambda: shown(server), lambda found: found == serial(new[0]))
            assert http.get("/metrics").status_code == 404
        run(commands, NEW_CERTIFICATE=str(other[0]), NEW_KEY=str(new[1]), **variables)
        server.wait_for_error("key values mismatch")
        assert shown(server) == serial(new[0])


def shown(server: Nginx) -> int:
    """The serial number of the certificate that nginx shows."""
    pem = ssl.get_server_certificate(("localhost", server.https_port), timeout=30)
    return x509.load_pem_x509_certificate(pem.encode()).serial_number


def serial(path: Path) -> int:
    """That of a file."""
    return x509.load_pem_x509_certificate(path.read_bytes()).serial_number


def test_redis_is_lost_and_back_with_nothing_in_it(start: Start, redis: RedisServer, stack: ExitStack) -> None:
    served = start(redis=redis)
    browser = signed_in(served, stack)
    [commands] = blocks("Redis lost")
    variables = {
        "REDIS_URL": f"redis://127.0.0.1:{redis.options[1]}",
        "METRICS_BIND": urlsplit(served.server.metrics_url).netloc,
    }
    ping, health = commands.splitlines()
    assert run(commands, **variables) == "PONG\n"
    redis.stop()
    with pytest.raises(subprocess.CalledProcessError):
        run(ping, **variables)
    with pytest.raises(subprocess.CalledProcessError) as failed:
        run(health, **variables)
    assert failed.value.stderr == "The server is not ready: the session store does not answer.\n"
    redis.start()
    allow(redis)
    until(lambda: browser.get("/tests/user").status_code, lambda status: status == 200)
    assert run(commands, **variables) == "PONG\n"
    # What was in it is gone.
    assert browser.user is None
    browser.sign_in_as()
    assert browser.user


def test_a_noisy_client_is_found_in_nginx_log_and_kept_out(ca: CA, tmp_path: Path) -> None:
    who, what, out = blocks("A noisy client")
    with nginx(ca.issue(), upstream="127.0.0.1:1") as server:
        with httpx.Client(verify=False, base_url=server.origin, timeout=30, trust_env=False) as http:
            for _ in range(7):
                http.get("/metrics?nobody=knows")
            http.get("/healthz/live")
        until(lambda: len(server.lines), lambda count: count == 8)
        variables = {"NGINX_LOG": str(server.folder / "stdout"), "CLIENT": "127.0.0.1"}
        assert run(who, **variables).split() == ["8", '"client":"127.0.0.1"']
        asked = [line.split() for line in run(what, **variables).splitlines()]
        assert ["8", '"status":404'] in asked
        assert ["7", '"path":"/metrics"'] in asked
    # As `make up` hands the file on: one line, one variable.
    run(out, ENV_FILE=str(tmp_path / "env"), CLIENT=variables["CLIENT"])
    name, _, value = (tmp_path / "env").read_text().removesuffix("\n").partition("=")
    with nginx(ca.issue(), upstream="127.0.0.1:1", variables={name: value}) as server:
        assert httpx.get(server.origin, verify=False, timeout=30, trust_env=False).status_code == 403
