"""`make demo`, as a person runs it: what it shows, that one can sign in, and that nothing is left of it."""

import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from scripts.demo.ports import obstacle
from scripts.processes import is_running
from tests.integration.identity.browser import form_of
from tests.servers.demo import ROOT, Demo, copy_of_checkout, demo, demo_ports
from tests.servers.redis import redis_server

PYTHON = ".venv/bin/python"
# What a company's machine may have set, each of which would break a login if it reached the app.
HOSTILE = {
    "HTTPS_PROXY": "http://127.0.0.1:9",
    "SSL_CERT_FILE": os.devnull,
    "SSL_CERT_DIR": os.devnull,
    "REQUESTS_CA_BUNDLE": os.devnull,
    "CURL_CA_BUNDLE": os.devnull,
    "NODE_EXTRA_CA_CERTS": os.devnull,
    "GUNICORN_CMD_ARGS": "--workers 0",
    "WEB_CONCURRENCY": "0",
    "AUTH0_DOMAIN": "somebody.eu.auth0.com",
    "AUTH0_MISSPELT": "x",
    "SESSION_COOKIE_SECURE": "false",
    "APP_ENV": "development",
}


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of the checkout."""
    return copy_of_checkout(tmp_path / "checkout")


@contextmanager
def person(running: Demo) -> Iterator[httpx.Client]:
    """A browser that trusts the demo's authority and nobody else."""
    trust = ssl.create_default_context(cafile=str(running.authority))
    with httpx.Client(verify=trust, follow_redirects=True, timeout=30, trust_env=False) as client:
        yield client


def sign_in_look_around_and_sign_out(running: Demo) -> httpx.Cookies:
    """All that the demo is for; the cookies while signed in."""
    with person(running) as browser:
        page = browser.get(f"{running.origin}/login")
        assert page.url.port == int(running.ports["DEMO_IDENTITY_PORT"])
        form = form_of(page)
        action = page.url.join(form.action or "")
        button = {"action": str(form.buttons[0])} if form.buttons[0] else {}
        fields = form.fields | button | {"username": "jane@example.com", "password": "correct-horse"}
        page = browser.post(action, data=fields)
        assert str(page.url) == f"{running.origin}/"
        assert "Jane Doe" in page.text
        profile = browser.get(f"{running.origin}/profile")
        assert "jane@example.com" in profile.text
        api_call = browser.get(f"{running.origin}/api-call")
        assert api_call.status_code == 200
        assert "auth0|6650c1b1f4c0aa0001a11ce5" in api_call.text
        cookies = httpx.Cookies(browser.cookies)
        page = browser.get(f"{running.origin}/logout")
        assert str(page.url).rstrip("/") == running.origin
        assert "Jane" not in page.text
        assert browser.get(f"{running.origin}/profile").url.port == int(running.ports["DEMO_IDENTITY_PORT"])
    return cookies


def assert_nothing_is_left(running: Demo, before: set[Path]) -> None:
    """No process, no port, no file outside the checkout, and in it none but under .local."""
    assert not [pid for pid in running.started if is_running(pid)]
    for port in running.ports.values():
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", int(port))) != 0
    assert list((running.folder.parent / f"{running.folder.name}-home").iterdir()) == []
    assert files(running.folder) == before
    assert not (running.folder / ".local" / "demo" / "redis.sock").exists()


def files(folder: Path) -> set[Path]:
    """All files of a checkout but those that are made at run time."""
    found = {Path(name).relative_to(folder) for name in map(str, folder.rglob("*"))}
    return {path for path in found if not {".local", "__pycache__"}.intersection(path.parts)}


def run(checkout: Path, *command: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    """Run a command that is expected to end at once, and leave nothing running."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(checkout.parent), **demo_ports(), **variables}
    return subprocess.run(
        command, cwd=checkout, env=environment, capture_output=True, text=True, check=False, timeout=120
    )


def refusal(checkout: Path, **variables: str) -> str:
    """The one sentence of a demo that does not start."""
    result = run(checkout, PYTHON, "-m", "scripts.demo", **variables)
    assert result.returncode == 1
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert not list((checkout / ".local" / "demo").glob("*.log"))
    return result.stderr.removeprefix("The demo cannot run. ").strip()


def test_a_person_signs_in_and_out_and_ctrl_c_leaves_nothing(checkout: Path) -> None:
    before = files(checkout)
    with demo(checkout, environment=HOSTILE) as running:
        running.wait_for("Ctrl-C")
        assert re.search(rf"Open +{running.origin}\n", running.text)
        assert re.search(r"Sign in +jane@example.com, password correct-horse\n", running.text)
        assert "stateless: the session is in encrypted cookies" in running.text
        assert "make demo SESSION_BACKEND=redis" in running.text
        assert str(running.authority) in running.text
        assert "\033[" in running.output.decode()
        cookies = sign_in_look_around_and_sign_out(running)
        assert max(len(str(value)) for value in cookies.values()) > 1000
        running.press_ctrl_c()
        running.wait()
        assert "Stopping ..." in running.text
        assert "Traceback" not in running.text
        assert_nothing_is_left(running, before)


def test_the_stateful_setup_runs_a_redis_of_its_own(checkout: Path) -> None:
    before = files(checkout)
    with demo(checkout, "make", "demo", "SESSION_BACKEND=redis") as running:
        running.wait_for("Ctrl-C")
        assert "stateful: the session is in Redis" in running.text
        assert (checkout / ".local" / "demo" / "redis.sock").stat().st_mode & 0o077 == 0
        cookies = sign_in_look_around_and_sign_out(running)
        assert max(len(str(value)) for value in cookies.values()) < 1000
        running.press_ctrl_c()
        running.wait()
        assert_nothing_is_left(running, before)


def test_the_stateful_setup_takes_the_redis_that_there_is(checkout: Path, tmp_path: Path) -> None:
    with redis_server(tmp_path) as redis:
        with demo(checkout, "make", "demo", "SESSION_BACKEND=redis", environment={"REDIS_URL": redis.url}) as running:
            running.wait_for("Ctrl-C")
            assert "in the Redis of REDIS_URL" in running.text
            assert not (checkout / ".local" / "demo" / "redis.sock").exists()
            sign_in_look_around_and_sign_out(running)
            assert "cmdstat_eval" in redis.client.info("commandstats")
            running.press_ctrl_c()
            running.wait()
        # It is not the demo's to end.
        assert redis.client.ping()


def test_on_a_signal_it_ends_well_and_its_secret_outlives_it(checkout: Path) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        with demo(checkout, PYTHON, "-m", "scripts.demo", environment={"NO_COLOR": "1"}) as running:
            running.wait_for("Ctrl-C")
            assert "\033[" not in running.output.decode()
            secret = checkout / ".local" / "demo" / "secret"
            assert secret.stat().st_mode & 0o777 == 0o600
            kept = secret.read_text()
            running.process.send_signal(number)
            assert running.wait() == 0
            assert not [pid for pid in running.started if is_running(pid)]
            assert secret.read_text() == kept


def test_a_closed_terminal_ends_it_without_a_complaint(checkout: Path) -> None:
    environment = {"PATH": os.environ["PATH"], "HOME": str(checkout.parent), **demo_ports()}
    command = [checkout / PYTHON, "-m", "scripts.demo"]
    with subprocess.Popen(
        command, cwd=checkout, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        assert process.stderr
        assert any("Ctrl-C" in line for line in process.stdout)
        process.stdout.close()
        process.send_signal(signal.SIGHUP)
        assert process.stderr.read() == ""
        assert process.wait(60) == 0


def test_a_signal_before_it_is_ready_ends_it_well(checkout: Path) -> None:
    with demo(checkout, PYTHON, "-m", "scripts.demo") as running:
        running.wait_for("Starting the app")
        running.press_ctrl_c()
        assert running.wait() == 0
        assert not [pid for pid in running.started if is_running(pid)]


def test_plain_http_redirects_and_metrics_stay_on_this_machine(checkout: Path) -> None:
    with demo(checkout, PYTHON, "-m", "scripts.demo") as running:
        running.wait_for("Ctrl-C")
        plain = f"http://127.0.0.1:{running.ports['DEMO_HTTP_PORT']}"
        with httpx.Client(trust_env=False) as client:
            for method, target, location in (
                ("GET", "/profile?tab=claims", "/profile?tab=claims"),
                ("POST", "/", "/"),
                ("HEAD", "//evil.example/", "/evil.example/"),
            ):
                answer = client.request(method, plain + target)
                assert (answer.status_code, answer.headers["location"]) == (308, running.origin + location)
            metrics = client.get(f"http://127.0.0.1:{running.ports['DEMO_METRICS_PORT']}/metrics")
            assert metrics.status_code == 200
        listening = Path("/proc/net/tcp").read_text().splitlines()[1:]
        numbers = {int(port) for port in running.ports.values()}
        addresses = {line.split()[1] for line in listening if line.split()[3] == "0A"}
        ours = {address for address in addresses if int(address.partition(":")[2], 16) in numbers}
        assert {address.partition(":")[0] for address in ours} == {"0100007F"}
        assert len(ours) == len(numbers)


def test_when_a_process_ends_the_demo_says_which_and_ends_with_it(checkout: Path) -> None:
    with demo(checkout, PYTHON, "-m", "scripts.demo") as running:
        running.wait_for("Ctrl-C")
        (node,) = [pid for pid in running.started if "server.mjs" in Path(f"/proc/{pid}/cmdline").read_text()]
        os.kill(node, signal.SIGKILL)
        assert running.wait() == 1
        assert "The identity provider has ended with status -9. Its log, " in running.text
        assert "identity provider ready: https://localhost:" in running.text
        assert not [pid for pid in running.started if is_running(pid)]


def test_a_demo_that_is_killed_takes_its_processes_with_it(checkout: Path) -> None:
    with demo(checkout, PYTHON, "-m", "scripts.demo", environment={"SESSION_BACKEND": "redis"}) as running:
        running.wait_for("Ctrl-C")
        assert len(running.started) >= 4
        running.process.kill()
        running.wait()
        deadline = time.monotonic() + 30
        while left := [pid for pid in running.started if is_running(pid)]:
            assert time.monotonic() < deadline, left
            time.sleep(0.05)


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0", "::1"])
@pytest.mark.parametrize("name", ["DEMO_PORT", "DEMO_HTTP_PORT", "DEMO_IDENTITY_PORT", "DEMO_METRICS_PORT"])
def test_a_port_that_is_taken_is_named_with_who_has_it_and_the_way_out(checkout: Path, address: str, name: str) -> None:
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as other:
        other.bind((address, 0))
        other.listen()
        port = other.getsockname()[1]
        sentence = refusal(checkout, **{name: str(port)})
    who = Path("/proc/self/comm").read_text().strip()
    assert sentence.startswith(f"Port {port}, for the ")
    assert f"is taken by {who} (process {os.getpid()}): stop that, or choose another port with" in sentence
    assert f"`make demo {name}=" in sentence


def test_the_port_that_is_proposed_is_free_and_not_wanted_for_something_else(checkout: Path) -> None:
    port = next(port for port in range(21_000, 32_000, 3) if not any(obstacle(port + step) for step in range(3)))
    with socket.socket() as other, socket.socket() as next_but_one:
        for taken, number in ((other, port), (next_but_one, port + 2)):
            taken.bind(("127.0.0.1", number))
            taken.listen()
        sentence = refusal(checkout, DEMO_PORT=str(port), DEMO_IDENTITY_PORT=str(port + 1))
        [proposed] = map(int, re.findall(r"`make demo DEMO_PORT=(\d+)`", sentence))
        assert proposed > port + 2
        with socket.socket() as free:
            free.bind(("127.0.0.1", proposed))


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({"SESSION_BACKEND": "memcached"}, "SESSION_BACKEND is 'memcached': choose cookie or redis"),
        ({"DEMO_PORT": "https"}, "DEMO_PORT is 'https': give a port from 1 to 65535, for example 8443."),
        ({"DEMO_PORT": "0"}, "DEMO_PORT is '0': give a port"),
        ({"DEMO_PORT": "65536"}, "DEMO_PORT is '65536': give a port"),
        ({"DEMO_PORT": "5000", "DEMO_HTTP_PORT": "5000"}, "DEMO_PORT and DEMO_HTTP_PORT are both 5000"),
        (
            {"SESSION_BACKEND": "redis", "REDIS_URL": "redis://:hidden-word@127.0.0.1:1"},
            "REDIS_URL is set, but Redis does not answer there",
        ),
    ],
)
def test_a_choice_that_cannot_be_is_one_sentence(checkout: Path, variables: dict[str, str], sentence: str) -> None:
    said = refusal(checkout, **variables)
    assert said.startswith(sentence)
    assert "hidden-word" not in said


def test_a_missing_redis_server_is_named_with_how_to_get_it(checkout: Path, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    sentence = refusal(checkout, SESSION_BACKEND="redis", PATH=str(tmp_path / "bin"))
    assert sentence.startswith("SESSION_BACKEND=redis needs redis-server, which is not on PATH: install it")
    assert "or set REDIS_URL" in sentence


def test_a_missing_node_that_cannot_be_installed_is_named_with_how_to_get_it(checkout: Path, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (checkout / ".local" / "node").unlink(missing_ok=True)
    result = run(checkout, PYTHON, "-m", "scripts.demo", PATH=str(tmp_path / "bin"), PIP_NO_INDEX="1")
    assert result.returncode == 1
    assert "The demo cannot run. " in result.stderr
    assert result.stderr.endswith("install Node.js 22 or newer and put it on PATH.\n")


def test_what_is_installed_leaves_no_cache_elsewhere_and_is_mended_when_half_done(
    checkout: Path, tmp_path: Path
) -> None:
    (checkout / "deploy" / "identity" / "node_modules").unlink()
    lock = (checkout / "requirements" / "app.txt").read_text()
    (entry,) = re.findall(r"^itsdangerous==(?:.*\\\n)+.*\n", lock, re.MULTILINE)
    (checkout / "requirements" / "small.txt").write_text(entry)
    home = tmp_path / "home"
    home.mkdir()
    # Where the machine's packages come from may stand in the person's own configuration.
    configuration = {"npm_config_userconfig": str(Path.home() / ".npmrc")}
    pip = Path.home() / ".config" / "pip" / "pip.conf"
    configuration |= {"PIP_CONFIG_FILE": str(pip)} if pip.exists() else {}
    environment = os.environ | configuration | {"HOME": str(home), "PIP_NO_CACHE_DIR": ""}
    for script in (["scripts/environment.py", "new-environment", "small"], ["scripts/node.py"]):
        subprocess.run([PYTHON, *script], cwd=checkout, env=environment, check=True, timeout=120)
    # As a killed installation leaves it: known to pip, and not all there.
    (packages,) = (checkout / "new-environment").glob("lib/python*/site-packages")
    (packages / "itsdangerous" / "__init__.py").unlink()
    (record,) = packages.glob("itsdangerous-*.dist-info/RECORD")
    record.unlink()
    again = [PYTHON, "scripts/environment.py", "new-environment", "small"]
    subprocess.run(again, cwd=checkout, env=environment, check=True, timeout=120)
    assert (packages / "itsdangerous" / "__init__.py").exists()
    assert not {".cache", ".npm"}.intersection(path.name for path in home.iterdir())
    assert (checkout / ".local" / "cache" / "npm").is_dir()


def test_a_python_that_is_too_old_gets_a_sentence_and_no_environment(checkout: Path) -> None:
    code = (
        "import runpy, sys; sys.version_info = (3, 9, 18, 'final', 0); sys.version = '3.9.18 (main)';"
        "sys.argv = ['scripts/environment.py', 'new-environment', 'app'];"
        "runpy.run_path(sys.argv[0], run_name='__main__')"
    )
    result = run(checkout, sys.executable, "-c", code)
    assert result.returncode == 1
    assert result.stderr == (
        "Python 3.11 or newer is needed, this is 3.9.18: install one, then `make PYTHON=python3.12 ...`.\n"
    )
    assert not (checkout / "new-environment").exists()


def test_the_environment_script_is_text_that_any_python_3_reads() -> None:
    compile((ROOT / "scripts" / "environment.py").read_text(), "environment.py", "exec", dont_inherit=True)
    source = (ROOT / "scripts" / "environment.py").read_text()
    assert not re.search(r"(?<![\w])f[\"']|:=|^\s*match ", source, re.MULTILINE)
