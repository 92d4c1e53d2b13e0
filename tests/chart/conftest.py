"""The chart as Helm renders it."""

import json
import subprocess
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts import chart_tools
from scripts.chart_tools import BIN

ROOT = Path(__file__).parents[2]
CHART = ROOT / "helm" / "auth0-flask"
SITUATIONS = sorted(path.name.removesuffix("-values.yaml") for path in (CHART / "ci").iterdir())
# What the smallest installation sets, with nothing that is made up anew at each rendering.
VALUES: dict[str, Any] = {
    "host": "app.example.com",
    "auth0": {"domain": "acme.eu.auth0.com", "existingSecret": "auth0"},
    "session": {"backend": "cookie"},
    "tls": {"mode": "existingSecret", "existingSecret": "app-tls"},
}
Manifest = dict[str, Any]


class Refused(Exception):
    """Helm's message, for values that it does not render."""


@pytest.fixture(autouse=True, scope="session")
def _tools() -> None:
    chart_tools.install()


def merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Values on top of others, as Helm merges them."""
    result = dict(base)
    for key, value in changes.items():
        nested = isinstance(value, dict) and isinstance(result.get(key), dict)
        result[key] = merged(result[key], value) if nested else value
    return result


def values_of(path: str, value: Any) -> dict[str, Any]:
    """`a.b.c` and a value as nested values."""
    for name in reversed(path.split(".")):
        value = {name: value}
    return dict(value)


@cache
def _rendered(helm: str, values: str, arguments: tuple[str, ...], release: str = "release") -> str:
    command: list[str | Path] = [
        BIN / helm,
        "template",
        release,
        CHART,
        "--namespace",
        "ours",
        "--values",
        "-",
        *arguments,
    ]
    result = subprocess.run(command, input=values, capture_output=True, text=True, check=False, timeout=60)
    if result.returncode:
        raise Refused(result.stderr)
    return result.stdout


def template(values: Mapping[str, Any], *arguments: str, helm: str = "helm", release: str = "release") -> str:
    """What `helm template` prints for *values* on top of VALUES. Raises Refused."""
    return _rendered(helm, json.dumps(merged(VALUES, values)), arguments, release)


def manifests(text: str) -> list[Manifest]:
    """The objects in what Helm printed."""
    return [manifest for manifest in yaml.load_all(text, yaml.CSafeLoader) if manifest]


def render(changes: Mapping[str, Any] | None = None, *arguments: str, helm: str = "helm") -> dict[str, Manifest]:
    """Objects by kind and name after the release's, such as `Deployment` and `ConfigMap/nginx`."""
    found = {}
    for manifest in manifests(template(changes or {}, *arguments, helm=helm)):
        suffix = manifest["metadata"]["name"].removeprefix("release-auth0-flask").strip("-")
        found[f"{manifest['kind']}/{suffix}" if suffix else manifest["kind"]] = manifest
    return found


def situation(name: str) -> dict[str, Any]:
    """The values of one of ci/."""
    return dict(yaml.safe_load((CHART / "ci" / f"{name}-values.yaml").read_text(encoding="utf-8")))


def situation_text(name: str, helm: str = "helm") -> str:
    """What Helm prints for one of ci/, and for nothing else."""
    return _rendered(helm, json.dumps(situation(name)), ())


def differences(before: Any, after: Any, path: str = "") -> Iterator[str]:
    """Where two objects differ, as paths; items of lists that have a name go by it."""
    if isinstance(before, list) and isinstance(after, list):
        before, after = _by_name(before), _by_name(after)
    if isinstance(before, dict) and isinstance(after, dict):
        for key in sorted(before.keys() | after.keys(), key=str):
            yield from differences(before.get(key), after.get(key), f"{path}.{key}" if path else str(key))
    elif before != after:
        yield path


def _by_name(items: list[Any]) -> dict[Any, Any]:
    named = all(isinstance(item, dict) and "name" in item for item in items)
    return {item["name"] if named else number: item for number, item in enumerate(items)}


@pytest.fixture
def refusal() -> Callable[[Mapping[str, Any]], str]:
    """Helm's message for values that it must refuse."""

    def refuse(changes: Mapping[str, Any]) -> str:
        with pytest.raises(Refused) as refused:
            template(changes)
        return str(refused.value)

    return refuse
