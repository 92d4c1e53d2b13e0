"""Find lines that name this machine's package registries or folders, or a download address in a lock.

A repository with such a line works here only. Registries are read from the configuration of pip, npm, Go and apt.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CLIENTS = (["pip", "config", "list"], ["npm", "config", "get", "registry"], ["go", "env", "GOPROXY"])
VARIABLES = (
    "PIP_INDEX_URL",
    "PIP_EXTRA_INDEX_URL",
    "UV_INDEX_URL",
    "UV_DEFAULT_INDEX",
    "NPM_CONFIG_REGISTRY",
    "GOPROXY",
)
HOST = re.compile(r"https?://(?:[^/@\s]*@)?([A-Za-z0-9.-]+)")
LOCAL = ("localhost", "127.0.0.1")
# Everybody's own: `/home/jane/`, `/Users/jane/`.
HOME = r"/(home|Users)/[A-Za-z][A-Za-z0-9._-]*/"
RESOLVED = r'"resolved": *"http'
# The public ones, which a lock or a link names where no other is configured.
PUBLIC = r"(pypi|pythonhosted|npmjs|crates|(deb|security)\.debian|proxy\.golang)\.(org|com|io)"


def registries() -> set[str]:
    """The host names of the registries that this machine is configured to use."""
    texts = [os.environ.get(name, "") for name in VARIABLES]
    for command in CLIENTS:
        try:
            texts.append(subprocess.run(command, capture_output=True, text=True, check=False, timeout=60).stdout)
        except OSError:
            continue
    apt = Path("/etc/apt")
    texts += [
        path.read_text(errors="replace")
        for pattern in ("sources.list", "sources.list.d/*")
        for path in apt.glob(pattern)
    ]
    return {host for text in texts for host in HOST.findall(text)}.difference(LOCAL)


def pattern() -> str:
    """An extended regular expression for all that no line may have."""
    literal = [*sorted(registries()), str(ROOT)]
    return "|".join([*map(re.escape, literal), HOME, RESOLVED, PUBLIC])


def main() -> int:
    """Print the lines; 1 when there is one."""
    # The patterns themselves stand in this file.
    command = ["git", "grep", "--untracked", "-nIE", pattern(), "--", ".", f":!{Path(__file__).relative_to(ROOT)}"]
    return 1 - subprocess.run(command, cwd=ROOT, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
