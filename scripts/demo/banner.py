"""What the demo says once it runs: where to go, who to be, what is running, whom to trust, how to end it."""

import os
import platform
import shutil
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TextIO

from .options import Options
from .services import CONFIGURATION, FOLDER, ROOT

_SETUPS = {
    "cookie": ("stateless: the session is in encrypted cookies", "make demo SESSION_BACKEND=redis"),
    "redis": ("stateful: the session is in Redis", "make demo SESSION_BACKEND=cookie"),
}


class Style:
    """Colour where a person looks at a terminal, plain text elsewhere (https://no-color.org)."""

    def __init__(self, output: TextIO) -> None:
        self._coloured = output.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"

    def bold(self, text: str) -> str:
        """Text that matters."""
        return self._in("1", text)

    def good(self, text: str) -> str:
        """Text that says that something worked."""
        return self._in("1;32", text)

    def bad(self, text: str) -> str:
        """Text that says that something did not."""
        return self._in("1;31", text)

    def _in(self, code: str, text: str) -> str:
        return f"\033[{code}m{text}\033[0m" if self._coloured else text


def show(options: Options, authority: Path, style: Style) -> None:
    """Print it."""
    user = CONFIGURATION["users"][0]
    setup, other = _SETUPS[options.backend]
    where = "in the Redis of REDIS_URL" if options.redis_url else ""
    rows = [
        ("Open", style.good(options.origin)),
        ("Sign in", f"{style.bold(user['username'])}, password {style.bold(user['password'])}"),
        ("Setup", f"{setup}{', ' + where if where else ''}; the other: {style.bold(other)}"),
        *zip(("Trust", *[""] * 9), trust(authority, style), strict=False),
        ("Metrics", f"http://127.0.0.1:{options.ports['DEMO_METRICS_PORT']}/metrics"),
        ("Logs", f"{FOLDER.relative_to(ROOT)}/app.log and others beside it"),
        ("Stop", style.bold("Ctrl-C")),
    ]
    table(rows)


def table(rows: Iterable[tuple[str, str]]) -> None:
    """Print what each row is called, and what it says."""
    print()
    for name, text in rows:
        print(f"  {name:9}{text}")
    print(flush=True)


def trust(authority: Path, style: Style) -> Iterator[str]:
    """How browsers of this system are made to trust the demo's authority."""
    yield "Your browser warns until it trusts the local authority, which can vouch for this machine only:"
    for whom, how in _instructions(authority):
        yield f"- {whom}: {style.bold(how)}"
    yield "- or accept the warning, once for the app and once for the identity provider."


def _instructions(authority: Path) -> Iterator[tuple[str, str]]:
    if sys.platform == "darwin":
        keychain = "~/Library/Keychains/login.keychain-db"
        yield "Safari, Chrome, Edge", f"security add-trusted-cert -r trustRoot -k {keychain} '{authority}'"
    elif "microsoft" in platform.release().lower():
        yield "Windows' browsers", f"certutil.exe -user -addstore Root \"$(wslpath -w '{authority}')\""
    else:
        install = "" if shutil.which("certutil") else " (certutil is in the package libnss3-tools)"
        database = "$HOME/.pki/nssdb"
        command = f"certutil -d sql:{database} -A -t C,, -n 'auth0-flask demo' -i '{authority}'"
        yield f"Chrome, Chromium{install}", f"mkdir -p {database} && {command}"
    yield "Firefox", f"Settings, Privacy & Security, View Certificates, Authorities, Import: {authority}"
