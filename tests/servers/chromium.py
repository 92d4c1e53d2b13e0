"""Debian's Chromium as a person's browser: it trusts the local authority and stays on this machine.

`with chromium(folder, ca) as start: browser = start.browser()`.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Playwright, expect, sync_playwright

from scripts.certificates import CA

# As Playwright's own waits: five seconds, its default here, a busy machine may take to show a page.
expect.set_options(timeout=30_000)
# Names that lead to this machine; every other one but localhost leads nowhere, so that no test depends on a network.
HOSTS = ("www.example.test", "evil.example.test")
_RULES = (*(f"MAP {name} 127.0.0.1" for name in HOSTS), "MAP * ~NOTFOUND", "EXCLUDE localhost", "EXCLUDE 127.0.0.1")
_ARGUMENTS = (
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-proxy-server",
    f"--host-resolver-rules={','.join(_RULES)}",
)


class Chromium:
    """Starts Chromium with a home of its own, in which nothing is but the authority to trust."""

    def __init__(self, playwright: Playwright, home: Path) -> None:
        self._type = playwright.chromium
        self._options: dict[str, Any] = {
            "executable_path": _program("chromium", "chromium"),
            # What it passes on to Chromium: no proxy, no settings of whoever runs this.
            "env": {"HOME": str(home), "PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8", "TZ": "UTC"},
            # Chromium's sandbox refuses to run as root. The pages are our own.
            "chromium_sandbox": os.geteuid() != 0,
        }

    def browser(self, *arguments: str, without: Sequence[str] = ()) -> Browser:
        """A browser, to be closed; *arguments* go to Chromium, *without* are some of Playwright's to leave out."""
        return self._type.launch(args=[*_ARGUMENTS, *arguments], ignore_default_args=list(without), **self._options)

    def profile(self, folder: Path, **options: Any) -> BrowserContext:
        """A browser whose cookies and settings stay in *folder*, as a person's do; closing the context ends it."""
        return self._type.launch_persistent_context(folder, args=list(_ARGUMENTS), **self._options, **options)


@contextmanager
def chromium(folder: Path, certificates: CA) -> Iterator[Chromium]:
    """Chromium with its home in *folder*, trusting *certificates*."""
    home = folder / "home"
    database = home / ".pki" / "nssdb"
    database.mkdir(parents=True)
    certutil = [_program("certutil", "libnss3-tools"), "-d", f"sql:{database}"]
    subprocess.run([*certutil, "-N", "--empty-password"], check=True, timeout=60)
    trust = ["-A", "-n", "auth0-flask local authority", "-t", "C,,", "-i", str(certificates.path)]
    subprocess.run([*certutil, *trust], check=True, timeout=60)
    with sync_playwright() as playwright:
        yield Chromium(playwright, home)


def _program(name: str, package: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise RuntimeError(f"{name} is missing: on Debian and Ubuntu, `apt-get install {package}`.")
    return found
