"""Make tests/chart/schemas/ anew: JSON schemas of the custom resources that the chart and deploy/gitops use.

`python scripts/crd_schemas.py`, with Go on PATH. The definitions are files in the projects' Go modules, at the versions
below. Descriptions are left out, and a field that a definition does not know is refused, as with kubeconform's -strict.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
SCHEMAS = ROOT / "tests" / "chart" / "schemas"
# Module, version, folder of its definitions, and which of them.
SOURCES = (
    ("sigs.k8s.io/gateway-api", "v1.7.0", "config/crd/standard", ("httproutes", "tlsroutes", "backendtlspolicies")),
    ("github.com/cert-manager/cert-manager", "v1.21.2", "deploy/crds", ("certificates",)),
    (
        "github.com/prometheus-operator/prometheus-operator",
        "v0.85.0",
        "example/prometheus-operator-crd",
        ("podmonitors", "prometheusrules"),
    ),
    ("github.com/external-secrets/external-secrets", "v1.3.2", "config/crds/bases", ("externalsecrets",)),
    ("github.com/argoproj/argo-cd/v3", "v3.6.1", "manifests/crds", ("application-crd",)),
    ("github.com/fluxcd/source-controller", "v1.10.1", "config/crd/bases", ("gitrepositories", "ocirepositories")),
)


def strict(schema: Any) -> Any:
    """The schema without prose; what is not described in an object is refused."""
    if isinstance(schema, list):
        return [strict(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("x-kubernetes-int-or-string"):
        return {"type": ["integer", "string"]}
    # A property may be called like a keyword of the schema language.
    kept = {
        key: {name: strict(part) for name, part in value.items()} if key == "properties" else strict(value)
        for key, value in schema.items()
        if (key != "description" or not isinstance(value, str)) and not key.startswith("x-kubernetes-")
    }
    if "properties" in kept and not schema.get("x-kubernetes-preserve-unknown-fields"):
        kept.setdefault("additionalProperties", False)
    return kept


def module(path: str, version: str) -> Path:
    """The module's folder in Go's cache."""
    command = ["go", "mod", "download", "-json", f"{path}@{version}"]
    # It is not compiled, so its wish for a newer Go does not matter.
    answer = subprocess.run(command, cwd="/", capture_output=True, text=True, check=False).stdout
    cache = subprocess.run(["go", "env", "GOMODCACHE"], capture_output=True, text=True, check=True).stdout.strip()
    return Path(json.loads(answer).get("Dir") or Path(cache, f"{path}@{version}"))


def main() -> int:
    """Write a file for each kind and served version."""
    SCHEMAS.mkdir(parents=True, exist_ok=True)
    for old in SCHEMAS.glob("*.json"):
        old.unlink()
    for path, version, folder, names in SOURCES:
        files = (module(path, version) / folder).iterdir()
        for file in (
            file for file in files if any(file.stem == name or file.stem.endswith(f"_{name}") for name in names)
        ):
            spec = yaml.safe_load(file.read_text(encoding="utf-8"))["spec"]
            for served in (version for version in spec["versions"] if version["storage"]):
                schema = strict(served["schema"]["openAPIV3Schema"])
                schema["properties"]["metadata"] = {"type": "object"}
                target = f"{spec['names']['kind'].lower()}-{spec['group'].partition('.')[0]}-{served['name']}.json"
                (SCHEMAS / target).write_text(json.dumps(schema, separators=(",", ":")) + os.linesep, encoding="utf-8")
                print(target)
    return 0


if __name__ == "__main__":
    sys.exit(main())
