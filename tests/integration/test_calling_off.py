"""`make test` that is called off: the suites end, with every process that they started."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from scripts.processes import GRACE_SECONDS, descendants, is_running
from tests.servers.demo import ROOT

SECONDS = 60
# The suites of these tests need none, and to load ours takes five times as long as all the rest.
WITHOUT_PLUGINS = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
# A suite of one test. Its server ends with its fixture; the stray one is an orphan from the start.
SUITE = """
import os, signal, subprocess, time
from pathlib import Path
import pytest

STATE = Path(os.environ["STATE"])
NAME = Path(__file__).parent.name

@pytest.fixture(scope="session")
def server():
    process = subprocess.Popen(["sleep", "1000"], start_new_session=True)
    (STATE / f"{NAME}.server").write_text(str(process.pid))
    if "ONE_SIGNAL" in os.environ:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    yield
    if "TEARDOWN_HANGS" in os.environ:
        (STATE / f"{NAME}.hangs").touch()
        time.sleep(1000)
    process.terminate()
    process.wait()
    if "ONE_SIGNAL" in os.environ and signal.sigtimedwait({signal.SIGTERM}, 2):
        (STATE / f"{NAME}.interrupted").touch()
    (STATE / f"{NAME}.torn-down").touch()

def test_never_ends(server):
    if "STRAY" in os.environ:
        started = subprocess.check_output("sleep 1000 >/dev/null 2>&1 & echo $!", shell=True, text=True)
        (STATE / f"{NAME}.stray").write_text(started)
    (STATE / f"{NAME}.ready").touch()
    if "ENDS" not in os.environ:
        time.sleep(1000)
"""
SUITES = ("unit", "browser")


@dataclass
class Run:
    """A runner in a checkout with two suites, both in the middle of a test."""

    process: "subprocess.Popen[str]"
    state: Path
    output: Path
    started: set[int]

    def ids(self, kind: str) -> list[int]:
        """The processes that the tests have written down."""
        return [int(path.read_text()) for path in self.state.glob(f"*.{kind}")]

    def all_ended(self) -> bool:
        """Whether none of all that ever was started runs."""
        return not any(is_running(pid) for pid in self.started)

    def torn_down(self) -> int:
        """How many suites' fixtures came to their end."""
        return len(list(self.state.glob("*.torn-down")))


def what_our_suites_do_on_a_signal() -> str:
    """That part of tests/conftest.py; the rest of it takes its time."""
    source = (ROOT / "tests" / "conftest.py").read_text()
    (function,) = re.findall(r"^def pytest_configure\(.*?(?=\n\n\n)", source, re.DOTALL | re.MULTILINE)
    return f"import signal\n\n{function}\n"


def wait_until(true: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + SECONDS
    while not true():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


@contextmanager
def runner(folder: Path, *command: str, **variables: str) -> Iterator[Run]:
    """Start *command*, or the runner itself, in a checkout of its own with the two suites."""
    checkout, state = folder / "checkout", folder / "state"
    state.mkdir()
    shutil.copytree(ROOT / "scripts", checkout / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
    for script in ("packages.py", "node.py", "chart_tools.py"):
        (checkout / "scripts" / script).write_text("")
    (checkout / "scripts" / "newest_python.sh").write_text("#!/bin/sh\n")
    (checkout / ".ci").mkdir()
    shutil.copy2(ROOT / ".ci" / "run", checkout / ".ci")
    for suite in SUITES:
        (checkout / "tests" / suite).mkdir(parents=True)
        (checkout / "tests" / suite / "test_suite.py").write_text(SUITE)
    (checkout / "tests" / "conftest.py").write_text(what_our_suites_do_on_a_signal())
    (checkout / "pytest.ini").write_text("[pytest]\naddopts = --import-mode=importlib\n")
    makefile = f"test:\n\t@{sys.executable} -m scripts.test $(ARGS)\n\nlint test-compose test-cluster:\n\t@true\n"
    (checkout / "Makefile").write_text(makefile)
    with (folder / "output").open("w") as output:
        process = subprocess.Popen(
            command or [sys.executable, "-m", "scripts.test"],
            cwd=checkout,
            env=os.environ | WITHOUT_PLUGINS | {"STATE": str(state), "PYTHONDONTWRITEBYTECODE": "1"} | variables,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            text=True,
            start_new_session=True,
        )
    run = Run(process, state, folder / "output", {process.pid})
    try:
        yield run
    finally:
        for pid in run.started | descendants(process.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait(SECONDS)


def in_the_middle(run: Run, suites: int = len(SUITES)) -> None:
    """Wait until the tests run, and note every process."""

    def ready() -> bool:
        assert run.process.poll() is None, run.output.read_text()
        return len(list(run.state.glob("*.ready"))) == suites

    wait_until(ready, "the suites have not come to their tests")
    run.started |= descendants(run.process.pid)
    assert set(run.ids("server") + run.ids("stray")) <= run.started


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_the_runner_ends_the_suites_by_their_fixtures(tmp_path: Path, number: signal.Signals) -> None:
    with runner(tmp_path) as run:
        in_the_middle(run)
        run.process.send_signal(number)
        assert run.process.wait(SECONDS) == 128 + number
        assert run.all_ended()
        assert run.torn_down() == 2
        assert "Traceback" not in run.output.read_text()


def test_what_a_test_left_behind_ends_too(tmp_path: Path) -> None:
    with runner(tmp_path, STRAY="1") as run:
        in_the_middle(run)
        run.process.terminate()
        assert run.process.wait(SECONDS) == 128 + signal.SIGTERM
        assert len(run.ids("stray")) == 2
        assert run.all_ended()


def test_what_a_passing_test_leaves_behind_is_named_and_ended(tmp_path: Path) -> None:
    with runner(tmp_path, STRAY="1", ENDS="1") as run:
        assert run.process.wait(SECONDS) == 0
        output = run.output.read_text()
        assert output.count("Left running by a test, and ended now: sleep 1000") == 2
        assert "\n2 passed, 0 failed\n" in output
        assert not any(map(is_running, run.ids("stray")))


def test_a_second_signal_does_not_wait_for_fixtures_that_hang(tmp_path: Path) -> None:
    with runner(tmp_path, TEARDOWN_HANGS="1") as run:
        in_the_middle(run)
        run.process.terminate()
        wait_until(lambda: len(list(run.state.glob("*.hangs"))) == 2, "the fixtures have not been reached")
        assert run.process.poll() is None
        run.process.terminate()
        assert run.process.wait(GRACE_SECONDS / 2) == 128 + signal.SIGTERM
        wait_until(run.all_ended, "something is left")
        assert run.torn_down() == 0


def test_a_runner_that_is_killed_takes_the_suites_and_their_servers_with_it(tmp_path: Path) -> None:
    with runner(tmp_path) as run:
        in_the_middle(run)
        run.process.kill()
        wait_until(run.all_ended, "something is left")
        assert run.torn_down() == 2


def test_chosen_tests_in_front_end_too(tmp_path: Path) -> None:
    with runner(tmp_path, sys.executable, "-m", "scripts.test", "tests/unit") as run:
        in_the_middle(run, suites=1)
        run.process.terminate()
        assert run.process.wait(SECONDS) == 128 + signal.SIGTERM
        assert run.all_ended()
        assert run.torn_down() == 1


def test_ctrl_c_in_front_is_one_signal_and_the_fixtures_come_to_their_end(tmp_path: Path) -> None:
    with runner(tmp_path, sys.executable, "-m", "scripts.test", "tests/unit", ONE_SIGNAL="1") as run:
        in_the_middle(run, suites=1)
        # As a terminal does: to everybody in the group.
        os.killpg(run.process.pid, signal.SIGINT)
        assert run.process.wait(SECONDS) == 128 + signal.SIGINT
        assert not list(run.state.glob("*.interrupted"))
        assert run.all_ended()
        assert run.torn_down() == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_continuous_integration_that_is_called_off_leaves_nothing_and_runs_again(
    tmp_path: Path, number: signal.Signals
) -> None:
    with runner(tmp_path, ".ci/run") as run:
        in_the_middle(run)
        run.process.send_signal(number)
        if number == signal.SIGKILL:
            wait_until(run.all_ended, "something is left")
        else:
            assert run.process.wait(SECONDS) == 128 + number
            assert run.all_ended()
        assert run.torn_down() == 2
        again = subprocess.run(
            [".ci/run"],
            cwd=tmp_path / "checkout",
            env=os.environ | WITHOUT_PLUGINS | {"STATE": str(run.state), "ENDS": "1"},
            capture_output=True,
            text=True,
            check=False,
            timeout=SECONDS,
        )
        assert again.returncode == 0, again.stdout
        assert "\n2 passed, 0 failed\n" in again.stdout
