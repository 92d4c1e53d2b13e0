"""The app's version stands in three places that no tool keeps together."""

import tomllib
from pathlib import Path

import app

ROOT = Path(__file__).parents[2]


def test_the_app_says_the_version_of_the_project_and_of_the_chart() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    chart = (ROOT / "helm" / "auth0-flask" / "Chart.yaml").read_text(encoding="utf-8")
    assert app.__version__ == project["version"]
    assert f"\nversion: {app.__version__}\n" in chart
