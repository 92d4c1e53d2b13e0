"""What the installation of Debian's packages leaves on the machine, also when it is called off."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from scripts import packages

ROOT = Path(__file__).parents[2]
OF_THE_MACHINE = "#!/bin/sh\nexit 0\n"
# apt-get that says when it is there, and waits to be ended.
APT = """#!/bin/sh
echo waiting >>"$STATE"
exec sleep 1000
"""


@pytest.fixture
def policy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the policy is, in place of the machine's."""
    monkeypatch.setattr(packages, "POLICY", tmp_path / "policy-rc.d")
    return tmp_path / "policy-rc.d"


def test_no_service_starts_during_an_installation_and_nothing_stays(policy: Path) -> None:
    with packages.no_services():
        assert subprocess.run([policy], check=False).returncode == 101
    assert not policy.exists()


def test_what_a_killed_installation_left_goes_with_the_next(policy: Path) -> None:
    policy.write_text(packages.NO_SERVICES)
    with packages.no_services():
        assert policy.exists()
    assert not policy.exists()


def test_a_policy_of_the_machines_own_stays(policy: Path) -> None:
    policy.write_text(OF_THE_MACHINE)
    with packages.no_services():
        assert policy.read_text() == OF_THE_MACHINE
    assert policy.read_text() == OF_THE_MACHINE


def test_an_installation_that_is_called_off_leaves_no_policy(policy: Path, tmp_path: Path) -> None:
    programs, state = tmp_path / "bin", tmp_path / "state"
    programs.mkdir()
    os.mkfifo(state)
    for name in ("dpkg", "apt-get"):
        (programs / name).write_text(APT if name == "apt-get" else "#!/bin/sh\n")
        (programs / name).chmod(0o755)
    source = (ROOT / "scripts" / "packages.py").read_text().replace("/usr/sbin/policy-rc.d", str(policy))
    (tmp_path / "scripts").mkdir()
    (tmp_path / "tests").mkdir()
    (tmp_path / "scripts" / "packages.py").write_text(source.replace("os.geteuid()", "0"))
    (tmp_path / "tests" / "packages.txt").write_text("no-such-program\n")
    environment = os.environ | {"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}", "STATE": str(state)}
    command = [sys.executable, tmp_path / "scripts" / "packages.py"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            assert state.read_text() == "waiting\n"
            assert policy.exists()
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) != 0
            assert not policy.exists()
        finally:
            process.kill()
