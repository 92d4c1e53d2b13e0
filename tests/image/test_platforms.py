"""What the images are made of is to be had for both architectures; nothing is compiled that could differ."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.containers.bases import official
from scripts.containers.client import ROOT

LOCK = ROOT / "requirements" / "app.txt"
# What a wheel may need of the C library: not more than Debian 13's has.
GLIBC = ("manylinux2014", "manylinux_2_17", "manylinux_2_24", "manylinux_2_26", "manylinux_2_28", "manylinux_2_34")


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_every_locked_package_has_a_wheel_whose_hash_is_locked(machine: str, tmp_path: Path) -> None:
    (minor,) = re.findall(r"python:3\.(\d+)", official("PYTHON_IMAGE"))
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    command += ["--cache-dir", ROOT / ".local" / "cache" / "pip", "--dest", tmp_path]
    command += ["--only-binary", ":all:", "--require-hashes", "--requirement", LOCK]
    command += ["--python-version", f"3.{minor}", "--implementation", "cp"]
    command += [part for abi in (f"cp3{minor}", "abi3", "none") for part in ("--abi", abi)]
    command += [part for libc in GLIBC for part in ("--platform", f"{libc}_{machine}")]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    wheels = [path.name for path in tmp_path.glob("*.whl")]
    # All but the one that only an older Python needs.
    assert len(wheels) == len(re.findall(r"^[a-z0-9-]+==(?!.*python_full_version <)", LOCK.read_text(), re.MULTILINE))
    native = [name for name in wheels if not name.endswith("-none-any.whl")]
    assert len(native) > 5
    assert all(f"_{machine}.whl" in name for name in native)


def test_no_package_of_the_provider_is_for_one_machine_or_builds_itself() -> None:
    packages = json.loads((ROOT / "deploy" / "identity" / "package-lock.json").read_text())["packages"].values()
    assert len(packages) > 30
    assert not [package for package in packages if {"os", "cpu", "libc", "hasInstallScript"} & set(package)]


def test_no_step_of_the_dockerfile_is_for_one_machine() -> None:
    for name in ("Dockerfile", "deploy/image/system.sh", "nginx/start.sh"):
        assert not re.search(r"amd64|x86_64|arm64|aarch64|--platform", (ROOT / name).read_text()), name
