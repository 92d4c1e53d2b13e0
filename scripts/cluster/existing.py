"""A cluster that is there: KUBECONFIG names it, and the command in CLUSTER_LOAD brings an archive of images into it."""

import json
import os
import shlex
import subprocess
from pathlib import Path
from typing import Any

from .errors import ClusterError
from .node import KUBECTL

NAME, LOAD = "KUBECONFIG", "CLUSTER_LOAD"
# The chart's kubeVersion.
_OLDEST = (1, 30)
_ANSWER_SECONDS = 20
_LOAD_SECONDS = 600
_DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"
_HOW = (
    f"write a command to which the archive's path can be added, such as {LOAD}='kind load image-archive' or"
    f" {LOAD}='k3d image import'."
)


def check() -> None:
    """Whether it answers and has what the tests need. Raises ClusterError."""
    _command()
    version = _asked("version")["serverVersion"]
    if (int(version["major"]), int(version["minor"].rstrip("+"))) < _OLDEST:
        found, least = version["gitVersion"], ".".join(map(str, _OLDEST))
        raise ClusterError(
            f"The cluster of {NAME} is Kubernetes {found}, and the chart is for {least} and newer: take another."
        )
    classes = _asked("get", "storageclasses")["items"]
    volumes = _asked("get", "persistentvolumes")["items"]
    offers = any((item["metadata"].get("annotations") or {}).get(_DEFAULT_CLASS) == "true" for item in classes)
    if not offers and not any(item["status"].get("phase") == "Available" for item in volumes):
        raise ClusterError(
            f"The cluster of {NAME} has no volume for Redis: give it a default StorageClass, or a volume of 1Gi."
        )


def load(archive: Path) -> None:
    """Bring images into it. Raises ClusterError."""
    command = [*_command(), str(archive)]
    try:
        result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_LOAD_SECONDS)
    except OSError as error:
        raise ClusterError(f"{LOAD} is `{command[0]} …`, which cannot be run ({error.strerror}): {_HOW}") from None
    if result.returncode:
        said = (result.stderr or result.stdout).strip()
        raise ClusterError(f"`{shlex.join(command)}` of {LOAD} failed ({said}): {_HOW}")


def _command() -> list[str]:
    if not (command := shlex.split(os.environ.get(LOAD, ""))):
        raise ClusterError(f"{NAME} is set, and {LOAD} must say how images come into that cluster: {_HOW}")
    return command


def _asked(*words: str) -> dict[str, Any]:
    command: list[str | Path] = [KUBECTL, *words, "--output=json", f"--request-timeout={_ANSWER_SECONDS}s"]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=2 * _ANSWER_SECONDS)
    if result.returncode:
        (said,) = result.stderr.strip().splitlines()[-1:] or ["it does not say why"]
        raise ClusterError(f"The cluster of {NAME} does not answer ({said}): start it, or unset {NAME}.")
    answer: dict[str, Any] = json.loads(result.stdout)
    return answer
