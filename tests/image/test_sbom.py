"""The list of parts beside each image: it has what is in there, by name and version, and nothing that is not."""

import json
import re
from pathlib import Path

import pytest

from scripts import sbom
from scripts.containers.client import ROOT
from tests.servers.containers import Containers

SYFT = ROOT / ".local" / "sbom-tools" / "bin" / "syft"


# Names and versions by package type (`pypi`, `npm`, `deb`; purl-spec).
Parts = dict[str, set[tuple[str, str]]]


@pytest.fixture(scope="module")
def parts(docker: Containers, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Parts]:
    """What each image's list has, by target."""
    folder = tmp_path_factory.mktemp("dist")
    return {
        target: read(sbom.write(docker.client, SYFT, image, folder), image) for target, image in docker.tags.items()
    }


def read(path: Path, image: str) -> Parts:
    """What the list of *image* has."""
    listed = json.loads(path.read_text())
    described = listed["metadata"]["component"]
    assert (listed["bomFormat"], described["name"], described["version"]) == ("CycloneDX", *image.split(":"))
    found: Parts = {}
    for component in listed["components"]:
        if kind := re.match(r"pkg:(\w+)/", component.get("purl", "")):
            found.setdefault(kind[1], set()).add((component["name"], component["version"]))
    return found


def debian(docker: Containers, target: str) -> set[tuple[str, str]]:
    """What Debian's own records in the image say."""
    with docker.run(docker.tags[target], "-c", "cat /var/lib/dpkg/status", options=("--entrypoint=sh",)) as name:
        docker.client.docker("wait", name)
        status = docker.client.docker("logs", name)
    fields = [dict(re.findall(r"^([\w-]+): (.*)$", package, re.MULTILINE)) for package in status.split("\n\n")]
    return {(package["Package"], package["Version"]) for package in fields if package}


def test_the_apps_has_the_lock_and_debian_and_no_installer(docker: Containers, parts: dict[str, Parts]) -> None:
    found = parts["app"]
    lock = re.findall(
        r"^([a-z0-9-]+)==(\S+) (?!.*python_full_version <)", (ROOT / "requirements/app.txt").read_text(), re.M
    )
    assert {(name.lower().replace("_", "-"), version) for name, version in found["pypi"]} == set(lock)
    assert found["deb"] == debian(docker, "app")


@pytest.mark.parametrize(("target", "package"), [("nginx", "nginx"), ("identity", "libstdc++6")])
def test_the_others_have_what_debian_installed(
    docker: Containers, parts: dict[str, Parts], target: str, package: str
) -> None:
    found = parts[target]
    assert found["deb"] == debian(docker, target)
    assert package in {name for name, _ in found["deb"]}
    assert "pypi" not in found


def test_the_providers_has_its_lock(parts: dict[str, Parts]) -> None:
    packages = json.loads((ROOT / "deploy/identity/package-lock.json").read_text())["packages"]
    locked = {(path.rpartition("node_modules/")[2], package["version"]) for path, package in packages.items() if path}
    found = parts["identity"]["npm"]
    # And itself.
    assert {name for name, _ in found - locked} == {
        json.loads((ROOT / "deploy/identity/package.json").read_text())["name"]
    }
    assert locked <= found
