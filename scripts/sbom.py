"""Write lists of parts in CycloneDX's format to `dist/`: `python -m scripts.sbom CYCLONEDX_PY`.

One for the app, from its lock with the hashes, one for the local identity provider, from npm's. A released image has a
list of its own, of all that is in it (`docker buildx imagetools inspect IMAGE --format '{{ json .SBOM }}'`).
"""

import subprocess
import sys
from pathlib import Path

from scripts import node

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "dist"


def app(program: str, target: Path) -> int:
    """The exit status of cyclonedx-py (*program*) for requirements/app.txt."""
    command = [program, "requirements", "requirements/app.txt", "--pyproject", "pyproject.toml"]
    command += ["--mc-type", "application", "--output-reproducible", "--output-format", "JSON"]
    return subprocess.run([*command, "--output-file", target], cwd=ROOT, check=False).returncode


def identity(target: Path) -> int:
    """The exit status of `npm sbom` for deploy/identity. Raises node.InstallationError."""
    with target.open("w") as output:
        command = ("sbom", "--sbom-format", "cyclonedx", "--sbom-type", "application", "--omit", "dev")
        return node.npm(node.node(), *command, "--package-lock-only", output=output)


def main(program: str) -> int:
    """Write both; 1 when one failed."""
    FOLDER.mkdir(exist_ok=True)
    names = {name: FOLDER / f"{name}.cdx.json" for name in ("auth0-flask", "auth0-flask-identity")}
    try:
        failed = app(program, names["auth0-flask"]) or identity(names["auth0-flask-identity"])
    except node.InstallationError as error:
        print(error, file=sys.stderr)
        return 1
    if not failed:
        print("\n".join(str(path.relative_to(ROOT)) for path in names.values()))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
