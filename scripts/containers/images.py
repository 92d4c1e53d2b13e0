"""Our images, built: `python -m scripts.containers build`."""

import os
import subprocess
import tomllib
from collections.abc import Iterable, Mapping

from .client import ROOT, Client

# The Dockerfile's targets, and what their images are called.
TARGETS = {"app": "auth0-flask", "nginx": "auth0-flask-nginx", "identity": "auth0-flask-identity"}


def build(client: Client, bases: Mapping[str, str], targets: Iterable[str] = TARGETS) -> dict[str, str]:
    """Build them on *bases* (`bases.ensure`) and tag them with the version and `latest`; names with version by target.

    Of a commit without changes every layer is the same whenever and wherever it is built.
    """
    arguments = {"VERSION": version(), **revision(), **bases}
    options = [option for name, value in arguments.items() for option in ("--build-arg", f"{name}={value}")]
    tags = {target: f"{TARGETS[target]}:{arguments['VERSION']}" for target in targets}
    for target, tag in tags.items():
        print(f"Building {tag} ...", flush=True)
        client.docker(
            "build", "--quiet", *options, "--target", target, "--tag", tag, "--tag", TARGETS[target], ROOT, timeout=1800
        )
    return tags


def version() -> str:
    """Of pyproject.toml."""
    return str(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"])


def revision() -> dict[str, str]:
    """The commit, and its time for the files; no time if something was changed since, nothing outside of Git."""
    commit = _git("rev-parse", "HEAD")
    if not commit:
        return {}
    if _git("status", "--porcelain", "--untracked-files=no"):
        return {"REVISION": f"{commit}-changed"}
    return {
        "REVISION": commit,
        "SOURCE_DATE_EPOCH": os.environ.get("SOURCE_DATE_EPOCH") or _git("log", "-1", "--format=%ct"),
    }


def _git(*arguments: str) -> str:
    try:
        return subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""
