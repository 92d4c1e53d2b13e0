"""`python -m app settings`: the table of all settings, and a check of them without starting.

`python -m app metrics`: the page docs/metrics.md. `python -m app health`: whether the server on this machine is well.
`python -m app keys`: a new secret for sessions. `python -m app pseudonym SUB`: what a user is called in the log.
"""

import argparse
import secrets
import sys

_SECRET_BYTES = 32


def main(arguments: list[str] | None = None) -> int:
    """Run a command; its exit status is 0, or 1 when the settings cannot be used or the server is not well."""
    parser = argparse.ArgumentParser(prog="python -m app", description="Commands of the app.")
    commands = parser.add_subparsers(dest="command", required=True)
    settings = commands.add_parser("settings", help="print all settings and check them")
    settings.add_argument("--markdown", action="store_true", help="print docs/settings.md instead, without a check")
    health = commands.add_parser("health", help="ask the server that runs here whether it is ready")
    health.add_argument(
        "--live", action="store_true", help="ask only whether it answers, not whether it has what it needs"
    )
    commands.add_parser("metrics", help="print docs/metrics.md: every metric, its labels and what it means")
    commands.add_parser("keys", help="print a new secret for AUTH0_SECRET")
    pseudonym = commands.add_parser("pseudonym", help="print what a user is called in security events, by each key")
    pseudonym.add_argument("sub", help="the user's `sub`, such as auth0|5f7c8ec7c33c6c004bbafe82")
    options = parser.parse_args(arguments)
    if options.command == "keys":
        print(secrets.token_hex(_SECRET_BYTES))
        return 0
    if options.command == "metrics":
        return _metrics()
    if options.command == "health":
        return _health("live" if options.live else "ready")
    if options.command == "pseudonym":
        return _pseudonym(options.sub)
    return _settings(options.markdown)


# What each command needs is imported by it: a health check must not wait for the settings' library.
def _health(question: str) -> int:
    from . import health  # noqa: PLC0415

    try:
        health.ask(question)
    except health.NotWell as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _metrics() -> int:
    from .ops.metrics import page  # noqa: PLC0415

    print(page.markdown(), end="")
    return 0


def _pseudonym(sub: str) -> int:
    from .sessions.keyring import KeyRing  # noqa: PLC0415
    from .settings import SettingsError, load_settings  # noqa: PLC0415

    try:
        keyring = KeyRing(load_settings().secrets)
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 1
    print(*keyring.pseudonyms(sub), sep="\n")
    return 0


def _settings(markdown: bool) -> int:
    from . import settings_table  # noqa: PLC0415
    from .settings import SettingsError, load_settings  # noqa: PLC0415

    if markdown:
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
