"""Our images and Redis' as one archive for a cluster, built when what they are made of has changed."""

from dataclasses import dataclass
from pathlib import Path

from scripts.chart_tools import ROOT
from scripts.containers import bases, images
from scripts.containers.client import Client, EngineError
from scripts.containers.engine import engine

from .errors import ClusterError
from .store import digest, kept

# What the Dockerfile copies, and what its bases are made of.
SOURCES = (
    "Dockerfile",
    "app",
    "nginx",
    "deploy/identity",
    "deploy/image",
    "requirements",
    "scripts/containers/stand-ins.Dockerfile",
)
_REDIS = "redis:8.2-alpine"


@dataclass(frozen=True)
class Images:
    """The archive, and the tag of auth0-flask, auth0-flask-nginx, auth0-flask-identity and auth0-flask-redis in it.

    `upgrade` is the tag of an app that differs from the first in its label alone.
    """

    archive: Path
    tag: str

    @property
    def upgrade(self) -> str:
        return f"{self.tag}-upgrade"


def ensure() -> Images:
    """Build them unless they are there. Raises ClusterError."""
    paths = sorted(path for source in SOURCES for path in _files(ROOT / source))
    version = digest([part for path in paths for part in (str(path.relative_to(ROOT)), path)])
    try:
        folder = kept("images", version, lambda target: _build(target / "images.tar", version))
    except EngineError as error:
        raise ClusterError(str(error)) from None
    return Images(folder / "images.tar", version)


def _files(source: Path) -> list[Path]:
    if source.is_file():
        return [source]
    left_out = {"node_modules", "__pycache__"}
    return [path for path in source.rglob("*") if path.is_file() and not left_out.intersection(path.parts)]


def _build(archive: Path, tag: str) -> None:
    with engine() as client:
        variables = bases.ensure(client)
        built = {images.TARGETS[target]: name for target, name in images.build(client, variables).items()}
        built["auth0-flask-redis"] = variables.get("REDIS_IMAGE") or _pulled(client, _REDIS)
        names = [f"{name}:{tag}" for name in built]
        for source, name in zip(built.values(), names, strict=True):
            client.docker("tag", source, name)
        upgrade = f"auth0-flask:{tag}-upgrade"
        container = client.docker("create", built["auth0-flask"])
        client.docker("commit", "--change", "LABEL org.opencontainers.image.version=upgrade", container, upgrade)
        client.docker("rm", container)
        client.docker("save", "--output", archive, *names, upgrade)
        client.docker("rmi", *names, upgrade)


def _pulled(client: Client, image: str) -> str:
    client.docker("pull", "--quiet", image)
    return image
