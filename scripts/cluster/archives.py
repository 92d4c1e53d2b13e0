"""An image of one program that needs no libraries, as an OCI archive: `docker load` and `ctr images import` take it."""

import hashlib
import io
import json
import platform
import tarfile
from pathlib import Path
from typing import Any

_OCI = "application/vnd.oci.image"


def write(archive: Path, name: str, program: Path, user: str) -> None:
    """Write the image *name* (with its registry and tag) that runs *program* as *user*, `0:0` or the like."""
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as files:
        for folder in ("tmp", "etc"):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            files.addfile(entry)
        entry = tarfile.TarInfo(program.name)
        entry.mode, entry.size = 0o755, program.stat().st_size
        with program.open("rb") as content:
            files.addfile(entry, content)
    with tarfile.open(archive, "w") as files:
        blobs = _Blobs(files)
        filled = blobs.add(f"{_OCI}.layer.v1.tar", layer.getvalue())
        configuration = {
            "architecture": _architecture(),
            "os": "linux",
            "config": {"User": user, "Entrypoint": [f"/{program.name}"]},
            # Not compressed, so that its digest is the same.
            "rootfs": {"type": "layers", "diff_ids": [filled["digest"]]},
        }
        manifest = {
            "schemaVersion": 2,
            "mediaType": f"{_OCI}.manifest.v1+json",
            "config": blobs.add_json(f"{_OCI}.config.v1+json", configuration),
            "layers": [filled],
        }
        described = blobs.add_json(f"{_OCI}.manifest.v1+json", manifest)
        index = {"schemaVersion": 2, "manifests": [described | {"annotations": {"io.containerd.image.name": name}}]}
        _add(files, "index.json", json.dumps(index).encode())
        _add(files, "oci-layout", json.dumps({"imageLayoutVersion": "1.0.0"}).encode())


def _architecture() -> str:
    """This machine's, for which the programs are built, by the name that images have for it."""
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())


class _Blobs:
    """The archive's parts, by their digests."""

    def __init__(self, files: tarfile.TarFile) -> None:
        self._files = files

    def add(self, kind: str, content: bytes) -> dict[str, Any]:
        """Add one; its descriptor."""
        digest = hashlib.sha256(content).hexdigest()
        _add(self._files, f"blobs/sha256/{digest}", content)
        return {"mediaType": kind, "digest": f"sha256:{digest}", "size": len(content)}

    def add_json(self, kind: str, value: dict[str, Any]) -> dict[str, Any]:
        return self.add(kind, json.dumps(value).encode())


def _add(files: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.mode, entry.size = 0o644, len(content)
    files.addfile(entry, io.BytesIO(content))
