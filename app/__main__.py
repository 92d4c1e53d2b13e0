"""`python -m app settings`: the table of all settings, and a check of them without starting."""

import argparse
import sys

from . import settings_table
from .settings import SettingsError, load_settings


def main(arguments: list[str] | None = None) -> int:
    """Run a command; its exit status is 0, or 1 when the settings cannot be used."""
    parser = argparse.ArgumentParser(prog="python -m app", description="Commands of the app.")
    commands = parser.add_subparsers(dest="command", required=True)
    settings = commands.add_parser("settings", help="print all settings and check them")
    settings.add_argument("--markdown", action="store_true", help="print docs/settings.md instead, without a check")
    options = parser.parse_args(arguments)
    if options.markdown:
        print(settings_table.markdown(), end="")
        return 0
    print(settings_table.text())
    try:
        load_settings()
    except SettingsError as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    print("\nThe settings are complete and valid.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
