"""Make tests/observability/schemas/ anew: JSON schemas of Grafana's dashboards and of the panels that ours have.

`python -m scripts.grafana_schemas`; they are made of the types in npm's @grafana/schema, at the version of the lock
there. What a type does not know is refused. Descriptions are left out.
"""

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from scripts.node import node, npm

ROOT = Path(__file__).resolve().parents[1]
SCHEMAS = ROOT / "tests" / "observability" / "schemas"
PINS = ("package.json", "package-lock.json", ".npmrc")
TYPES = "node_modules/@grafana/schema/dist/types/raw"
GENERATOR = "node_modules/ts-json-schema-generator/bin/ts-json-schema-generator.js"
# Each schema's file, the folder of the types with its file, and the type.
SOURCES = {
    "dashboard": ("dashboard/x/dashboard_types", "Dashboard"),
    "timeseries-options": ("composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types", "Options"),
    "timeseries-custom": ("composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types", "FieldConfig"),
    "stat-options": ("composable/stat/panelcfg/x/StatPanelCfg_types", "Options"),
    "bargauge-options": ("composable/bargauge/panelcfg/x/BarGaugePanelCfg_types", "Options"),
    "table-options": ("composable/table/panelcfg/x/TablePanelCfg_types", "Options"),
    "table-custom": ("composable/table/panelcfg/x/TablePanelCfg_types", "FieldConfig"),
}


def without_prose(schema: Any) -> Any:
    """The schema without descriptions; a property may be called so."""
    if isinstance(schema, list):
        return [without_prose(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: {name: without_prose(part) for name, part in value.items()}
        if key == "properties"
        else without_prose(value)
        for key, value in schema.items()
        if key != "description" or not isinstance(value, str)
    }


def main() -> int:
    """Install the types aside and write a file for each of SOURCES."""
    executable = node()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for pin in PINS:
            shutil.copy(SCHEMAS / pin, folder)
        (folder / "tsconfig.json").write_text('{"compilerOptions": {"moduleResolution": "node", "strict": true}}')
        if npm(executable, "ci", "--silent", folder=folder):
            print("npm could not install @grafana/schema, see above: check the network and npm's `registry`.")
            return 1
        for target, (source, type_) in SOURCES.items():
            command: list[str | Path] = [
                executable,
                "node_modules/ts-json-schema-generator/bin/ts-json-schema-generator.js",
            ]
            command += ["--no-type-check", "--tsconfig", "tsconfig.json", "--path", f"{TYPES}/{source}.gen.d.ts"]
            made = subprocess.run([*command, "--type", type_], cwd=folder, stdout=subprocess.PIPE, check=True)
            schema = without_prose(json.loads(made.stdout))
            (SCHEMAS / f"{target}.json").write_text(json.dumps(schema, separators=(",", ":")) + "\n", encoding="utf-8")
            print(target)
    return 0


if __name__ == "__main__":
    sys.exit(main())
