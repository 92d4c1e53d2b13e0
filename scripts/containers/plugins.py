"""Docker's plugins compose and buildx; Debian's, unpacked, where the client has none."""

import os
import shutil
import subprocess

from .client import HOME, Client, EngineError
from .debian import RELEASE, mirror

PACKAGES = {"compose": "docker-compose", "buildx": "docker-buildx"}
_CONFIG = HOME / "config"
_FOLDER = _CONFIG / "cli-plugins"


def with_plugins(client: Client) -> Client:
    """The client, with another DOCKER_CONFIG if its own lacks a plugin. Raises EngineError."""
    if _has_all(client):
        return client
    client = Client({**client.environment, "DOCKER_CONFIG": str(_CONFIG)})
    if not _has_all(client):
        _unpack()
        if not _has_all(client):
            raise EngineError(f"The plugins in {_FOLDER} do not run: remove the folder, or install them yourself.")
    return client


def _has_all(client: Client) -> bool:
    try:
        for name in PACKAGES:
            client.docker(name, "version", timeout=60)
    except (EngineError, subprocess.TimeoutExpired):
        return False
    return True


def _unpack() -> None:
    if not shutil.which("apt-get"):
        raise EngineError(
            "Docker's plugins compose and buildx are missing: install docker-compose-plugin and docker-buildx-plugin."
        )
    # Apt's files for another release, apart from the system's, which stay as they are.
    apt = HOME / "apt"
    shutil.rmtree(apt, ignore_errors=True)
    for folder in ("lists/partial", "cache/archives/partial", "none"):
        (apt / folder).mkdir(parents=True)
    (apt / "status").touch()
    (apt / "sources.list").write_text(f"deb {mirror()} {RELEASE} main\n")
    options = {
        "Dir::State": apt,
        "Dir::State::status": apt / "status",
        "Dir::Cache": apt / "cache",
        "Dir::Etc::sourcelist": apt / "sources.list",
        "Dir::Etc::sourceparts": apt / "none",
        # What it downloads is root's, in a folder that nobody else may enter.
        "APT::Sandbox::User": "root",
    }
    configuration = apt / "apt.conf"
    configuration.write_text("".join(f'{name} "{value}";\n' for name, value in options.items()))
    environment = os.environ | {"APT_CONFIG": str(configuration)}
    try:
        for arguments in (["update"], ["download", *PACKAGES.values()]):
            subprocess.run(
                ["apt-get", "--quiet", *arguments], env=environment, cwd=apt, check=True, capture_output=True
            )
        for package in apt.glob("*.deb"):
            subprocess.run(["dpkg", "--extract", package, apt / "unpacked"], check=True, capture_output=True)
    except subprocess.CalledProcessError as error:
        raise EngineError(
            f"Docker's plugins could not be had: {error.stderr.decode(errors='replace').strip()}"
        ) from None
    _FOLDER.mkdir(parents=True, exist_ok=True)
    for name in PACKAGES:
        (apt / "unpacked/usr/libexec/docker/cli-plugins" / f"docker-{name}").replace(_FOLDER / f"docker-{name}")
    shutil.rmtree(apt)
