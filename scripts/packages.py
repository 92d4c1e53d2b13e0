"""See to it that the programs of tests/packages.txt are there, or some: `python scripts/packages.py [PACKAGE...]`.

As root on Debian and Ubuntu it installs what is missing; elsewhere it names that and how to get it, and fails.
Uses the standard library only.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

LIST = Path(__file__).resolve().parents[1] / "tests" / "packages.txt"
# Where Debian has servers; not on the PATH of everybody.
SEARCH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])
POLICY = Path("/usr/sbin/policy-rc.d")
NO_SERVICES = "#!/bin/sh\n# Of auth0-flask's tests, while they install servers.\nexit 101\n"
# Another installation may be under way.
WAIT = ["--option", "DPkg::Lock::Timeout=600"]


def wanted(text: str) -> dict[str, str]:
    """The command that each package must give, by the package's name."""
    fields = [line.partition("#")[0].split() for line in text.splitlines()]
    return {names[0]: names[-1] for names in fields if names}


def missing(packages: dict[str, str]) -> list[str]:
    """The packages whose command is nowhere."""
    return [package for package, command in packages.items() if not shutil.which(command, path=SEARCH)]


def install(packages: list[str]) -> bool:
    """Install with apt-get, as root. Whether that worked."""
    print(f"Installing {' '.join(packages)} ...", flush=True)
    command = ["apt-get", *WAIT, "install", "--yes", "--quiet", "--no-install-recommends", *packages]
    with no_services():
        # One that was called off may have left packages half set up, and apt-get does nothing until they are.
        _quiet(["dpkg", "--configure", "--pending"])
        # The lists may be there and fresh, and their update takes longer than the installation.
        return _quiet(command) or (_quiet(["apt-get", "update"]) and _quiet(command, say_why=True))


@contextlib.contextmanager
def no_services() -> Iterator[None]:
    """Let no package start its service: the tests start their own servers (Debian policy 9.3.3).

    A policy of the machine's own stays; one that a killed installation has left goes.
    """
    if POLICY.exists() and POLICY.read_text() != NO_SERVICES:
        yield
        return
    POLICY.write_text(NO_SERVICES)
    try:
        POLICY.chmod(0o755)
        yield
    finally:
        POLICY.unlink(missing_ok=True)


def _quiet(command: list[str], *, say_why: bool = False) -> bool:
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if result.returncode and say_why:
        print(result.stdout + result.stderr, file=sys.stderr)
    return result.returncode == 0


def main(names: list[str]) -> int:
    """Install or name what is missing; 1 when something still is."""
    packages = wanted(LIST.read_text(encoding="utf-8"))
    return 0 if provide({name: packages[name] for name in names} if names else packages) else 1


def provide(packages: dict[str, str]) -> bool:
    """Install or name what is missing of *packages* (see `wanted`); whether all are there."""
    absent = missing(packages)
    if not absent:
        return True
    debian = shutil.which("apt-get") is not None
    if debian and os.geteuid() == 0:
        if not install(absent) or (absent := missing(packages)):
            print(f"apt-get could not install {' '.join(absent)}: see above.", file=sys.stderr)
            return False
        return True
    commands = ", ".join(packages[package] for package in absent)
    fix = f"`sudo apt-get install {' '.join(absent)}`" if debian else "install them with your package manager"
    print(f"The tests need {commands}, which PATH does not have: {fix}, then run this again.", file=sys.stderr)
    return False


if __name__ == "__main__":
    # So that the policy goes also when the run is called off.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(main(sys.argv[1:]))
