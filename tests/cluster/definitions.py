"""Prometheus Operator's resources, where a cluster has none: its schemas in tests/chart as definitions."""

import json
from typing import Any

from tests.chart.conftest import ROOT
from tests.cluster.cluster import Object

GROUP = "monitoring.coreos.com"
KINDS = {"PodMonitor": "podmonitors", "PrometheusRule": "prometheusrules"}


def definition(kind: str) -> Object:
    """The CustomResourceDefinition of one of KINDS."""
    schema = json.loads((ROOT / "tests" / "chart" / "schemas" / f"{kind.lower()}-monitoring-v1.json").read_text())
    names = {"kind": kind, "listKind": f"{kind}List", "plural": KINDS[kind], "singular": kind.lower()}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": _structural(schema)}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{KINDS[kind]}.{GROUP}"},
        "spec": {"group": GROUP, "scope": "Namespaced", "names": names, "versions": [version]},
    }


def _structural(schema: Any) -> Any:
    """The schema as definitions have it: scripts/crd_schemas.py has made it one for kubeconform."""
    if isinstance(schema, list):
        return [_structural(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("type") == ["integer", "string"]:
        return {"x-kubernetes-int-or-string": True}
    # A definition drops what it does not know; kubectl and Helm ask it to refuse that.
    return {
        key: {name: _structural(part) for name, part in value.items()} if key == "properties" else _structural(value)
        for key, value in schema.items()
        if (key, value) != ("additionalProperties", False)
    }
