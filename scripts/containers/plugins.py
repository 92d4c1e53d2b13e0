"""Docker's plugins compose and buildx; Debian's, unpacked, where the client has none."""

import shutil
import subprocess

from .client import HOME, Client, EngineError
from .debian import RELEASE, unpack

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
    unpacked = HOME / "unpacked"
    shutil.rmtree(unpacked, ignore_errors=True)
    unpack(PACKAGES.values(), RELEASE, unpacked)
    _FOLDER.mkdir(parents=True, exist_ok=True)
    for name in PACKAGES:
        (unpacked / "usr/libexec/docker/cli-plugins" / f"docker-{name}").replace(_FOLDER / f"docker-{name}")
    shutil.rmtree(unpacked)
