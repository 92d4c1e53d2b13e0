"""What an image is made of: the files of its layers; and the files of the repository that go into one."""

import json
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path

from scripts.containers.client import ROOT
from tests.servers.containers import Containers


def members(docker: Containers, image: str, folder: Path) -> Iterator[tuple[tarfile.TarFile, tarfile.TarInfo]]:
    """Every file of every layer, with the layer's archive; *folder* is for the image's."""
    archive = folder / "image.tar"
    docker.client.docker("save", "--output", archive, image)
    with tarfile.open(archive) as outer:
        manifest = outer.extractfile("manifest.json")
        assert manifest
        for name in json.load(manifest)[0]["Layers"]:
            with tarfile.open(fileobj=outer.extractfile(name)) as inner:
                for member in inner:
                    yield inner, member
    archive.unlink()


def copy_context(folder: Path) -> None:
    """Copy what the images are built of, so that a test can change it, or nobody can while it runs."""
    ignored = shutil.ignore_patterns("node_modules", "__pycache__", ".env*")
    for name in ("app", "nginx", "deploy/identity", "deploy/image"):
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    for name in ("Dockerfile", ".dockerignore", "requirements/app.txt"):
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
