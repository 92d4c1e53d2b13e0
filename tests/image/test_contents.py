"""What is in the images and what is not: looked for in the layers themselves, where a deleted file still lies."""

import re
import stat
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from scripts.containers import bases, images
from scripts.containers.client import Client
from tests.image.layers import copy_context, members
from tests.servers.containers import Containers

MB = 1_000_000
# Marks that no other file has, for whatever a person may have beside the Dockerfile or in the environment.
SECRET = "marked-secret-4b1f0c9a7e5d"
INSTALLER = re.compile(r"(^|/)(pip|pip3?[.\d]*|pip-[^/]*\.whl|ensurepip|npm|npx)$")
# Python's own library, the packages, the code; and where the bytecode of a module lies.
SOURCE = re.compile(r"((?:usr/(?:local/)?lib/python3\.\d+|opt/app/lib|srv)/(?:.+/)?)([^/]+)\.py")
BYTECODE = re.compile(r"((?:.+/)?)__pycache__/([^/]+)\.cpython-\d+\.pyc")
# PEP 552: it goes by the source's hash, and nobody compares.
UNCHECKED_HASH = 1
COMPILER = re.compile(r"(^|/)bin/([\w-]*-)?(gcc|cc|g\+\+|clang|ld|make)[-.\d]*$")


@pytest.fixture(scope="module", params=images.TARGETS)
def image(request: pytest.FixtureRequest, docker: Containers) -> str:
    """Each of the three."""
    return docker.tags[request.param]


@pytest.fixture(scope="module")
def files(docker: Containers, image: str, tmp_path_factory: pytest.TempPathFactory) -> list[tarfile.TarInfo]:
    """Every file of every layer."""
    return [member for _, member in members(docker, image, tmp_path_factory.mktemp("layers"))]


def test_the_user_is_nobodys_and_no_program_makes_another_of_it(
    docker: Containers, image: str, files: list[tarfile.TarInfo]
) -> None:
    assert docker.inspect(image)["Config"]["User"] == "65532:65532"
    assert not [file.name for file in files if file.isfile() and file.mode & (stat.S_ISUID | stat.S_ISGID)]
    # What setcap gives.
    assert not [file.name for file in files if "SCHILY.xattr.security.capability" in file.pax_headers]


def test_nothing_may_be_written_but_tmp_and_nothing_is_its_own(files: list[tarfile.TarInfo]) -> None:
    writable = [file for file in files if not file.issym() and file.mode & stat.S_IWOTH]
    assert {file.name for file in writable if not file.ischr()} == {"tmp"}
    assert not [file.name for file in files if 65532 in (file.uid, file.gid)]


def test_there_is_neither_an_installer_nor_a_compiler(files: list[tarfile.TarInfo]) -> None:
    assert not [file.name for file in files if INSTALLER.search(file.name) or COMPILER.search(file.name)]


def test_all_of_python_is_compiled_and_the_sources_times_are_not_looked_at(docker: Containers, tmp_path: Path) -> None:
    sources, compiled = set(), set()
    for layer, member in members(docker, docker.tags["app"], tmp_path):
        if found := SOURCE.fullmatch(member.name):
            sources.add(found.groups())
        elif found := BYTECODE.fullmatch(member.name):
            content = layer.extractfile(member)
            if content and int.from_bytes(content.read(8)[4:], "little") == UNCHECKED_HASH:
                compiled.add(found.groups())
    assert {("srv/app/", "__init__"), ("opt/app/lib/python3.13/site-packages/flask/", "app")} <= sources
    assert sources - compiled == set()


@dataclass(frozen=True)
class Checkout:
    """A folder with the sources, and the images that were built of it, by target."""

    folder: Path
    tags: dict[str, str]


@pytest.fixture(scope="module")
def checkout(docker: Containers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    """One in which somebody works: settings, keys, what editors and tools leave, and secrets in the environment."""
    folder = tmp_path_factory.mktemp("checkout")
    copy_context(folder)
    for name in (".env", "app/.env", "app/pages/.env.local", "nginx/notes.md", "deploy/identity/.env", "id_rsa"):
        (folder / name).write_text(f"AUTH0_CLIENT_SECRET={SECRET}\n")
    configuration = tmp_path_factory.mktemp("home") / "configuration"
    configuration.write_text(f"# {SECRET}\n")
    # An index of one's own, with its credentials.
    secrets = ("--secret", f"id=pip,src={configuration}", "--secret", f"id=npm,src={configuration}")
    variables = ("AUTH0_SECRET", "AUTH0_CLIENT_SECRET", "PIP_INDEX_URL", "REDIS_URL")
    client = Client({**docker.client.environment, **dict.fromkeys(variables, SECRET)})
    options = [part for name, value in docker.variables.items() for part in ("--build-arg", f"{name}={value}")]
    tags = {target: f"test-checkout-{target}" for target in images.TARGETS}
    try:
        for target, tag in tags.items():
            client.docker("build", "--quiet", *options, *secrets, "--target", target, "--tag", tag, folder)
        yield Checkout(folder, tags)
    finally:
        client.docker("rmi", "--force", *tags.values())


def test_no_secret_is_in_a_layer_or_in_the_history(docker: Containers, checkout: Checkout, tmp_path: Path) -> None:
    for tag in checkout.tags.values():
        assert SECRET not in docker.client.docker("history", "--no-trunc", "--format", "{{json .}}", tag)
        assert SECRET not in docker.client.docker("inspect", tag)
        for layer, member in members(docker, tag, tmp_path):
            content = layer.extractfile(member) if member.isfile() else None
            assert SECRET.encode() not in (content.read() if content else b""), member.name


def test_of_the_repository_there_is_what_runs_and_nothing_else(
    docker: Containers, checkout: Checkout, tmp_path: Path
) -> None:
    def in_image(target: str) -> set[str]:
        found = {member.name for _, member in members(docker, checkout.tags[target], tmp_path) if member.isfile()}
        return {name for name in found if name.startswith("srv/") and "/node_modules/" not in name}

    def in_checkout(folder: str) -> set[str]:
        paths = [path.relative_to(checkout.folder / folder) for path in (checkout.folder / folder).rglob("*")]
        files = [path for path in paths if (checkout.folder / folder / path).is_file()]
        return {
            f"srv/{Path(folder).name}/{path}"
            for path in files
            if path.suffix != ".md" and path.name.lstrip(".") == path.name
        }

    code = {name for name in in_image("app") if not name.endswith(".pyc")}
    assert code == in_checkout("app")
    compiled = in_image("app") - code
    assert len(compiled) == len([name for name in code if name.endswith(".py")])
    assert in_image("nginx") == in_checkout("nginx")
    assert in_image("identity") == in_checkout("deploy/identity")


def test_labels_say_what_it_is_and_of_what_it_was_made(docker: Containers) -> None:
    for target, tag in docker.tags.items():
        labels = docker.inspect(tag)["Config"]["Labels"]
        prefix = "org.opencontainers.image."
        assert labels[prefix + "title"] == images.TARGETS[target]
        assert labels[prefix + "licenses"] == "Apache-2.0"
        assert labels[prefix + "version"] == images.version()
        assert re.fullmatch(r"[0-9a-f]{40}(-changed)?", labels[prefix + "revision"])
        variable = {"app": "PYTHON_IMAGE", "nginx": "NGINX_IMAGE", "identity": "NODE_IMAGE"}[target]
        assert labels[prefix + "base.name"] == docker.variables.get(variable, bases.official(variable))


def test_the_app_is_no_larger_than_it_has_to_be(docker: Containers) -> None:
    whole = docker.inspect(docker.tags["app"])["Size"]
    assert whole <= 220 * MB
    # Python is part of what is ours; the Debian below it, the first layer of Python's image, is not.
    base = docker.variables.get("PYTHON_IMAGE", bases.official("PYTHON_IMAGE"))
    sizes = docker.client.docker("history", "--human=false", "--format", "{{.Size}}", base).split()
    assert whole - int(sizes[-1]) <= 130 * MB
