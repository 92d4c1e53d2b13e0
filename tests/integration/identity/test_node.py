"""scripts/node.py finds or installs Node.js and the provider's packages, once."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers.identity import FOLDER, ROOT, node


def run(script: Path, path: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PATH": str(path)} | variables
    return subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, check=False, timeout=300, env=environment
    )


def node_that_says(folder: Path, version: str) -> Path:
    folder.mkdir()
    executable = folder / "node"
    executable.write_text(f"#!/bin/sh\necho {version}\n")
    executable.chmod(0o755)
    return folder


def ended_process() -> int:
    with subprocess.Popen(["true"]) as process:
        return process.pid


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The script in a checkout that has its Node.js and its packages already."""
    for name in ("scripts", "requirements", "deploy", ".local"):
        (tmp_path / name).mkdir()
    node()
    for name in ("scripts/node.py", "requirements/node.txt"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    (tmp_path / "deploy" / "identity").symlink_to(FOLDER)
    return tmp_path


def test_it_prints_the_path_of_a_node_that_the_library_supports() -> None:
    version = subprocess.run([node(), "--version"], capture_output=True, text=True, check=True).stdout

    assert int(version.removeprefix("v").split(".")[0]) >= 22


def test_the_second_call_starts_neither_pip_nor_npm(tmp_path: Path) -> None:
    node()
    (tmp_path / "bin").mkdir()
    again = run(ROOT / "scripts" / "node.py", tmp_path / "bin", PIP_INDEX_URL="https://127.0.0.1:1/")

    assert (again.returncode, again.stderr) == (0, "")
    assert Path(again.stdout.strip()).exists()


def test_a_new_node_on_path_is_taken(checkout: Path, tmp_path: Path) -> None:
    path = node_that_says(tmp_path / "bin", "v22.0.0")

    assert run(checkout / "scripts" / "node.py", path).stdout.strip() == str(path / "node")


@pytest.mark.parametrize("version", ["v20.20.2", "v8.0.0", "nonsense", ""])
def test_an_old_one_is_not_and_without_pip_it_says_what_to_install(
    checkout: Path, tmp_path: Path, version: str
) -> None:
    path = node_that_says(tmp_path / "bin", version)
    left_by_a_killed_call, under_way = (checkout / ".local" / f"node.{pid}" for pid in (ended_process(), os.getpid()))
    left_by_a_killed_call.mkdir()
    under_way.mkdir()
    nowhere = {"PIP_INDEX_URL": "https://127.0.0.1:1/", "PIP_FIND_LINKS": "", "PIP_RETRIES": "0", "PIP_NO_INPUT": "1"}
    refused = run(checkout / "scripts" / "node.py", path, **nowhere, PIP_CONFIG_FILE=os.devnull)

    assert refused.returncode == 1
    assert refused.stdout == ""
    assert refused.stderr.splitlines()[-1] == (
        "pip could not install Node.js, see above: install Node.js 22 or newer and put it on PATH."
    )
    assert list((checkout / ".local").iterdir()) == [under_way]


def test_the_locks_have_hashes_and_no_addresses() -> None:
    packages = json.loads((FOLDER / "package-lock.json").read_text())["packages"]
    installed = {name: package for name, package in packages.items() if name}

    assert "node_modules/oidc-provider" in installed
    assert all(package["integrity"].startswith("sha512-") for package in installed.values())
    for lock in (FOLDER / "package-lock.json", ROOT / "requirements" / "node.txt"):
        assert "://" not in lock.read_text().replace('"url": "https://', "")
        assert "resolved" not in lock.read_text()
    assert "--hash=sha256:" in (ROOT / "requirements" / "node.txt").read_text()


def test_every_module_of_the_provider_is_small_and_parses() -> None:
    modules = [FOLDER / "server.mjs", *(FOLDER / "lib").glob("*.mjs")]
    assert len(modules) > 10
    for module in modules:
        assert len(module.read_text().splitlines()) < 250, module
        subprocess.run([node(), "--check", str(module)], check=True)
