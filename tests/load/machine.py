"""What the figures were taken on: enough to compare, nothing that names a host or a folder."""

import os
import platform
import shutil
import subprocess
from importlib.metadata import version
from pathlib import Path

_PACKAGES = (
    "auth0-server-python",
    "flask",
    "flask-session",
    "redis",
    "hiredis",
    "gunicorn",
    "uvicorn",
    "uvicorn-worker",
    "uvloop",
    "httptools",
    "asgiref",
    "greenlet",
    "cryptography",
    "msgspec",
    "prometheus-client",
)
_PROGRAMS = {"redis-server": "--version", "nginx": "-v", "wrk": "-v"}
_SEARCH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin"])


def describe() -> dict[str, str]:
    """Names and values, for a table."""
    described = {
        "CPU": _cpu(),
        "cores": str(os.cpu_count()),
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.1f} GiB",
        "kernel": f"{platform.system()} {platform.release()}",
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
    }
    described |= {name: version(name) for name in _PACKAGES}
    return described | {name: _program(name, option) for name, option in _PROGRAMS.items()}


def load_average() -> float:
    """How many processes wanted a core, in the last minute."""
    return os.getloadavg()[0]


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _program(name: str, option: str) -> str:
    path = shutil.which(name, path=_SEARCH)
    if path is None:
        raise RuntimeError(f"{name} is missing: on Debian and Ubuntu, `apt-get install {name}`.")
    said = subprocess.run([path, option], capture_output=True, text=True, check=False)
    words = (said.stdout + said.stderr).replace("v=", "").replace("nginx/", "").split()
    return next(word for word in words if any(character.isdigit() for character in word))
