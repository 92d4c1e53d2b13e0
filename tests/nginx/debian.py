"""Newer versions of nginx and openssl than the machine's, out of Debian's packages; the machine's stay untouched."""

import shutil
import subprocess
from pathlib import Path

from tests.servers.nginx import ROOT

CACHE = ROOT / ".local" / "nginx"
SOURCES = Path("/etc/apt/sources.list.d/debian.sources")
PACKAGES = ("nginx", "openssl")


def _mirror() -> str:
    # The machine's own, which may be one that only it can reach.
    lines = SOURCES.read_text().splitlines() if SOURCES.exists() else []
    for line in lines:
        if line.startswith("URIs:"):
            return line.split()[1]
    raise RuntimeError(f"Newer versions of nginx come from Debian, and {SOURCES} names no mirror: run this on Debian.")


def _download(suite: str) -> Path:
    """The folder with the packages and all that they need, kept in `.local`."""
    folder = CACHE / suite
    if (folder / "complete").exists():
        return folder / "archives"
    shutil.rmtree(folder, ignore_errors=True)
    for name in ("lists/partial", "archives/partial"):
        (folder / name).mkdir(parents=True)
    (folder / "sources.list").write_text(f"deb {_mirror()} {suite} main\n")
    # Nothing is installed yet, so apt takes the C library too.
    (folder / "status").touch()
    settings = {
        "Dir::Etc::sourcelist": folder / "sources.list",
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::State": folder,
        "Dir::State::lists": folder / "lists",
        "Dir::State::status": folder / "status",
        "Dir::Cache": folder,
        "Dir::Cache::archives": folder / "archives",
        "APT::Sandbox::User": "",
        "Acquire::Languages": "none",
        "Debug::NoLocking": "1",
    }
    options = [text for name, value in settings.items() for text in ("-o", f"{name}={value}")]
    install = ["install", "--yes", "--no-install-recommends", "--download-only", *PACKAGES]
    for command in (["update"], install):
        result = subprocess.run(
            ["apt-get", "-qq", *options, *command], capture_output=True, text=True, check=False, timeout=100
        )
        if result.returncode:
            raise RuntimeError(f"apt-get could not fetch nginx of {suite}:\n{result.stdout}{result.stderr}")
    shutil.rmtree(folder / "lists")
    (folder / "complete").touch()
    return folder / "archives"


def unpack(suite: str, folder: Path) -> Path:
    """A folder with the programs `nginx` and `openssl` of *suite*, which run with the suite's own libraries.

    *folder* has to be one that every user may enter.
    """
    for package in sorted(_download(suite).glob("*.deb")):
        subprocess.run(["dpkg-deb", "--extract", package, folder], check=True, timeout=60)
    (loader,) = {path.resolve() for path in folder.glob("usr/lib/*/ld-linux-*.so.*")}
    programs = folder / "programs"
    programs.mkdir()
    for name, path in (("nginx", "usr/sbin/nginx"), ("openssl", "usr/bin/openssl")):
        script = programs / name
        script.write_text(f'#!/bin/sh\nexec {loader} --library-path {loader.parent} {folder / path} "$@"\n')
        script.chmod(0o755)
    folder.chmod(0o755)
    return programs
