"""Our images, built: `python -m scripts.containers build`."""

import os
import subprocess
import tomllib
from collections.abc import Iterable, Mapping

from .client import ROOT, Client

# The Dockerfile's targets, and what their images are called.
TARGETS = {"app": "auth0-flask", "nginx": "auth0-flask-nginx", "identity": "auth0-flask-identity"}
# What each is made of, and all are.
_SOURCES = {"app": ("app", "requirements/app.txt"), "nginx": ("nginx",), "identity": ("deploy/identity",)}
_OF_ALL = ("Dockerfile", ".dockerignore", "deploy/image")


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


def for_labels() -> dict[str, str]:
    """The variables of docker-compose.yml with which `make up` builds; empty ones outside of Git.

    Not of the last commit but of the last that has changed what the image is made of: another label is another image,
    and another image another container.
    """
    return {"IMAGE_VERSION": version(), **{f"{target.upper()}_REVISION": _last_change(target) for target in TARGETS}}


def _last_change(target: str) -> str:
    sources = ("--", *_OF_ALL, *_SOURCES[target])
    commit = _git("log", "-1", "--format=%H", *sources)
    return f"{commit}-changed" if commit and _git("status", "--porcelain", *sources) else commit


def _git(*arguments: str) -> str:
    try:
        return subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""
