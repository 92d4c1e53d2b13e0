"""Our images and Redis' as one archive for a cluster, built when what they are made of has changed."""

from dataclasses import dataclass
from pathlib import Path

import yaml

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
# The chart's other images, by where they stand in its values and by the variable of their stand-in; what each is called
# here.
_OTHERS = {
    ("redis", "embedded"): ("REDIS_IMAGE", "auth0-flask-redis"),
    ("metrics", "nginx"): ("NGINX_EXPORTER_IMAGE", "auth0-flask-nginx-exporter"),
    ("metrics", "certificate"): ("BLACKBOX_IMAGE", "auth0-flask-blackbox"),
    ("metrics", "redis"): ("REDIS_EXPORTER_IMAGE", "auth0-flask-redis-exporter"),
}
EXPORTERS = {part: name for (group, part), (_, name) in _OTHERS.items() if group == "metrics"}


@dataclass(frozen=True)
class Images:
    """The archive, and the tag of all in it: ours, auth0-flask-redis, and EXPORTERS.

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
    version = digest([*_official().values(), *(part for path in paths for part in (str(path.relative_to(ROOT)), path))])
    try:
        folder = kept("images", version, lambda target: _build(target / "images.tar", version))
    except EngineError as error:
        raise ClusterError(str(error)) from None
    return Images(folder / "images.tar", version)


def _official() -> dict[str, str]:
    """What the chart takes unless it is told otherwise."""
    values = yaml.safe_load((ROOT / "helm" / "auth0-flask" / "values.yaml").read_text())
    found = {name: values[group][part]["image"] for (group, part), (_, name) in _OTHERS.items()}
    return {name: f"{image['repository']}:{image['tag']}" for name, image in found.items()}


def _files(source: Path) -> list[Path]:
    if source.is_file():
        return [source]
    left_out = {"node_modules", "__pycache__"}
    return [path for path in source.rglob("*") if path.is_file() and not left_out.intersection(path.parts)]


def _build(archive: Path, tag: str) -> None:
    with engine() as client:
        variables = bases.ensure(client)
        built = {images.TARGETS[target]: name for target, name in images.build(client, variables).items()}
        official = _official()
        for variable, name in _OTHERS.values():
            built[name] = variables.get(variable) or _pulled(client, official[name])
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
