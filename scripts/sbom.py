"""Write what is in each image to `dist/`, a list in CycloneDX's format beside each: `python -m scripts.sbom SYFT`.

Syft looks into the image itself, so the list has what is there, Debian's packages too, and not what a lock promises. A
released image has its list, by the same program, beside it in the registry (SECURITY.md).
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from scripts.containers import bases, images
from scripts.containers.client import HOME, ROOT, Client, EngineError
from scripts.containers.engine import engine
from scripts.processes import CalledOff, Processes

FOLDER = ROOT / "dist"


def write(client: Client, syft: str | Path, image: str, folder: Path) -> Path:
    """Write the list of *image*, `NAME:VERSION`, to *folder*; its path. Raises EngineError."""
    name, _, version = image.partition(":")
    target = folder / f"{name}.cdx.json"
    with tempfile.TemporaryDirectory(dir=HOME, prefix="sbom-") as aside:
        archive = Path(aside) / "image.tar"
        client.docker("save", "--output", archive, image)
        command = [syft, "scan", f"docker-archive:{archive}", "--quiet", "--output", f"cyclonedx-json={target}"]
        result = subprocess.run(
            [*command, "--source-name", name, "--source-version", version],
            # It would ask its makers for a newer one.
            env=os.environ | {"SYFT_CHECK_FOR_APP_UPDATE": "false"},
            capture_output=True,
            text=True,
            check=False,
        )
    if result.returncode:
        raise EngineError(f"Syft could not look into {image}: {result.stderr.strip()}")
    return target


def main(syft: str) -> int:
    """Build the images and write their lists; 1 with a sentence when that could not be done."""
    HOME.mkdir(parents=True, exist_ok=True)
    FOLDER.mkdir(exist_ok=True)
    try:
        with Processes(), engine() as client:
            for image in images.build(client, bases.ensure(client)).values():
                print(write(client, syft, image, FOLDER).relative_to(ROOT), flush=True)
    except EngineError as error:
        print(error, file=sys.stderr)
        return 1
    except CalledOff as called_off:
        return 128 + called_off.signal
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
