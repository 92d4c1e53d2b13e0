"""Debian on this machine: where its packages come from, and a small one of a newer release as an image's beginning."""

import os
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path

from scripts import packages

from .client import HOME, EngineError

# The release of the official images that the stand-ins stand in for.
RELEASE = "trixie"
_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
# As Debian's own images leave out.
_LEFT_OUT = ("doc", "man", "info", "locale")


def mirror() -> str:
    """The mirror that this machine's apt uses. Raises EngineError where there is none of Debian's."""
    command = ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages", "Origin: Debian"]
    try:
        listed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    except (OSError, subprocess.CalledProcessError):
        listed = ""
    # Security updates have a mirror of their own, which comes later in the list.
    if not listed.strip():
        raise EngineError("This machine's apt knows no Debian mirror: the stand-ins are made of Debian's packages.")
    return listed.split()[0]


def base() -> Path:
    """The path of an archive with a minimal Debian, made once. Raises EngineError."""
    archive = HOME / f"{RELEASE}.tar"
    if archive.exists():
        return archive
    if not packages.provide({"mmdebstrap": "mmdebstrap"}):
        raise EngineError("mmdebstrap, which makes the stand-ins' Debian, could not be installed: see above.")
    HOME.mkdir(parents=True, exist_ok=True)
    aside = archive.with_suffix(".part.tar")
    address = mirror()
    command = ["mmdebstrap", "--quiet", "--variant=minbase", "--include=ca-certificates"]
    command += [f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in _LEFT_OUT]
    # Whom this machine trusts, the builds in the image have to trust too.
    if _CERTIFICATES.exists():
        command += [f"--customize-hook=copy-in {_CERTIFICATES} {_CERTIFICATES.parent}"]
    command += [RELEASE, str(aside), f"deb {address} {RELEASE} main"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        aside.unlink(missing_ok=True)
        raise EngineError(f"mmdebstrap could not make a {RELEASE}: {result.stderr.strip()}")
    return aside.rename(archive)


def unpack(names: Iterable[str], release: str, target: Path) -> None:
    """Unpack packages of another release, without those that they depend on, into *target*. Raises EngineError."""
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="apt-") as folder:
        # Apt's files for that release, apart from the system's, which stay as they are.
        apt = Path(folder)
        for name in ("lists/partial", "cache/archives/partial", "none"):
            (apt / name).mkdir(parents=True)
        (apt / "status").touch()
        (apt / "sources.list").write_text(f"deb {mirror()} {release} main\n")
        options = {
            "Dir::State": apt,
            "Dir::State::status": apt / "status",
            "Dir::Cache": apt / "cache",
            "Dir::Etc::sourcelist": apt / "sources.list",
            "Dir::Etc::sourceparts": apt / "none",
            # What it downloads is root's, in a folder that nobody else may enter.
            "APT::Sandbox::User": "root",
            # A mirror's sid may be older than apt likes; its signature is checked all the same.
            "Acquire::Check-Valid-Until": "false",
        }
        configuration = apt / "apt.conf"
        configuration.write_text("".join(f'{name} "{value}";\n' for name, value in options.items()))
        environment = os.environ | {"APT_CONFIG": str(configuration)}
        try:
            for arguments in (["update"], ["download", *names]):
                subprocess.run(
                    ["apt-get", "--quiet", *arguments], env=environment, cwd=apt, check=True, capture_output=True
                )
            for package in apt.glob("*.deb"):
                subprocess.run(["dpkg", "--extract", package, target], check=True, capture_output=True)
        except subprocess.CalledProcessError as error:
            raise EngineError(
                f"Debian's {', '.join(names)} could not be had: {error.stderr.decode(errors='replace').strip()}"
            ) from None
