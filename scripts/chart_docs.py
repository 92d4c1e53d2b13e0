"""Renew what is generated in helm/auth0-flask: README.md from values.yaml, and the settings in values.schema.json.

`python -m scripts.chart_docs`, as a part of `make docs`.
"""

import json
import re
import sys
from pathlib import Path
from typing import Any

import yaml
from pydantic import SecretStr

from app.settings import Settings

CHART = Path(__file__).resolve().parents[1] / "helm" / "auth0-flask"
README = CHART / "README.md"
SCHEMA = CHART / "values.schema.json"
# Settings that follow from other values, so that they fit each other.
FROM_VALUES = frozenset(
    [
        "APP_ENV",
        "APP_PAGES",
        "AUTH0_DOMAIN",
        "AUTH0_CLIENT_ID",
        "AUTH0_REDIRECT_URI",
        "AUTH0_CLIENT_CERTIFICATE",
        "AUTH0_CLIENT_CERTIFICATE_KEY",
        "AUTH0_SCOPE",
        "AUTH0_AUDIENCE",
        "SESSION_BACKEND",
        "SESSION_COOKIE_SECURE",
        "REDIS_TLS_CA",
        "METRICS_BIND",
        "TRUSTED_PROXIES",
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "SERVER_BIND",
        "SERVER_WORKERS",
        "SERVER_GRACE_SECONDS",
        "SERVER_DRAIN_SECONDS",
        "SERVER_MAX_BODY_BYTES",
        "SERVER_TLS_CERTIFICATE",
        "SERVER_TLS_KEY",
    ]
)
_KEY = re.compile(r"^( *)([A-Za-z0-9]+):(.*)$")
_INTRODUCTION = """# auth0-flask

{description}.

Made by `make docs` from [values.yaml](values.yaml); change it there. How to install, connect, rotate and upgrade is in
`docs/kubernetes.md` of the repository.

Kubernetes {kubernetes}; Helm 3.19 or newer, Helm 4 included.

| value | default | meaning |
|---|---|---|
"""


def settings() -> dict[str, str]:
    """The settings that `settings` in the values may have, with their descriptions; no secrets, none of FROM_VALUES."""
    return {
        name.upper(): field.description or ""
        for name, field in Settings.model_fields.items()
        if SecretStr.__name__ not in str(field.annotation) and name.upper() not in FROM_VALUES
    }


def schema() -> str:
    """values.schema.json with the settings as they are now, and with what the templates cannot do without.

    Helm adds the defaults before it looks; but with `--reuse-values` those of the version before, and not to a null.
    """
    document = json.loads(SCHEMA.read_text(encoding="utf-8"))
    _require(document, yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8")))
    scalar = ["string", "number", "boolean"]
    document["properties"]["settings"] = {
        "type": "object",
        "additionalProperties": False,
        "properties": {name: {"type": scalar, "description": text} for name, text in settings().items()},
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _require(described: dict[str, Any], defaults: dict[str, Any]) -> None:
    here = {name: value for name, value in defaults.items() if value not in (None, [], {})}
    described["required"] = list(here)
    for name, value in here.items():
        below = described["properties"][name]
        # What a container may use is Kubernetes' own, where null is no limit.
        if isinstance(value, dict) and name != "resources" and below.get("additionalProperties") is False:
            _require(below, value)


def rows(text: str) -> list[tuple[str, str, str]]:
    """Path, default and comment of every value that values.yaml documents, in its order."""
    values = yaml.safe_load(text)
    found: list[tuple[str, str, str]] = []
    path: list[tuple[int, str]] = []
    comment: list[str] = []
    for line in text.splitlines():
        stripped = line.strip()
        if stripped.startswith("#"):
            comment.append(stripped[1:].strip())
            continue
        key = _KEY.match(line)
        if key:
            indentation = len(key[1])
            path = [part for part in path if part[0] < indentation] + [(indentation, key[2])]
            if comment:
                names = [name for _, name in path]
                found.append((".".join(names), _shown(_at(values, names)), " ".join(comment)))
        comment = []
    return found


def readme() -> str:
    """README.md as values.yaml and Chart.yaml have it now."""
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    head = _INTRODUCTION.format(
        description=chart["description"],
        kubernetes=chart["kubeVersion"].removesuffix("-0").replace(">=", "") + " or newer",
    )
    lines = [
        f"| `{name}` | {default} | {text} |"
        for name, default, text in rows((CHART / "values.yaml").read_text(encoding="utf-8"))
    ]
    return head + "\n".join(lines) + "\n"


def _at(values: Any, names: list[str]) -> Any:
    for name in names:
        values = values[name]
    return values


def _shown(value: Any) -> str:
    if isinstance(value, dict) and value and any(isinstance(part, dict | list) for part in value.values()):
        return "see values.yaml"
    text = json.dumps(value, ensure_ascii=False)
    return "see values.yaml" if len(text) > 60 else f"`{text}`"


def main() -> int:
    """Write both."""
    README.write_text(readme(), encoding="utf-8")
    SCHEMA.write_text(schema(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
