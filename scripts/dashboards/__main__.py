"""`python -m scripts.dashboards`: write deploy/grafana/dashboards anew, as a part of `make docs`."""

import sys

from . import DASHBOARDS
from .model import FOLDER


def main() -> int:
    """Write a file for each dashboard, and remove those of dashboards that are no more."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for path in set(FOLDER.glob("*.json")) - {dashboard.path for dashboard in DASHBOARDS}:
        path.unlink()
    for dashboard in DASHBOARDS:
        dashboard.path.write_text(dashboard.text(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
