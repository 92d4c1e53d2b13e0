"""The images that ours are made of, and those beside them: the official ones, or stand-ins if no registry answers."""

import hashlib
import os
import re

from .client import ROOT, Client, EngineError
from .debian import base

DOCKERFILE = ROOT / "Dockerfile"
STAND_INS = ROOT / "scripts" / "containers" / "stand-ins.Dockerfile"
CONTEXT = ROOT / "requirements"
# The variables of the Dockerfile and of docker-compose.yml; the targets of the stand-ins are named alike.
VARIABLES = (
    *("PYTHON_IMAGE", "NGINX_IMAGE", "NODE_IMAGE", "REDIS_IMAGE", "PROMETHEUS_IMAGE", "ALERTMANAGER_IMAGE"),
    *("NGINX_EXPORTER_IMAGE", "REDIS_EXPORTER_IMAGE", "BLACKBOX_IMAGE"),
)
PREFIX = "standin/"
DEBIAN = PREFIX + "debian"
_LABEL = "made-from"


def ensure(client: Client) -> dict[str, str]:
    """The variables to set, as build arguments and for compose; none where the registry answers.

    What the environment says already stays. Raises EngineError.
    """
    given = {name: os.environ[name] for name in VARIABLES if os.environ.get(name)}
    if len(given) == len(VARIABLES):
        return given
    problem = _pulled(client, official("PYTHON_IMAGE"))
    return ({**stand_ins(client), **given}) if problem else given


def official(variable: str) -> str:
    """The default of one of the Dockerfile's arguments."""
    found = re.search(rf"^ARG {variable}=(\S+)$", DOCKERFILE.read_text(), re.MULTILINE)
    if not found:
        raise EngineError(f"{DOCKERFILE} has no `ARG {variable}=...`.")
    return found[1]


def stand_ins(client: Client) -> dict[str, str]:
    """Build the stand-ins that are not there yet; the variables with their names. Raises EngineError."""
    version = hashlib.sha256(STAND_INS.read_bytes() + (CONTEXT / "node.txt").read_bytes()).hexdigest()[:16]
    targets = {variable: variable.removesuffix("_IMAGE").lower().replace("_", "-") for variable in VARIABLES}
    missing = [target for target in targets.values() if _label(client, PREFIX + target) != version]
    if missing and not client.docker("images", "--quiet", DEBIAN):
        client.docker("import", base(), DEBIAN)
    for target in missing:
        print(f"Building a stand-in for {target} ...", flush=True)
        command = ["build", "--quiet", "--file", str(STAND_INS), "--target", target, "--tag", PREFIX + target]
        client.docker(*command, "--label", f"{_LABEL}={version}", CONTEXT, timeout=1800)
    return {variable: PREFIX + target for variable, target in targets.items()}


def _pulled(client: Client, image: str) -> str:
    """Why the image is not there and cannot be pulled; nothing if it is there now."""
    try:
        client.docker("image", "inspect", image)
        return ""
    except EngineError:
        pass
    try:
        client.docker("pull", "--quiet", image)
    except EngineError as error:
        return str(error)
    return ""


def _label(client: Client, image: str) -> str:
    try:
        return client.docker("image", "inspect", "--format", f'{{{{index .Config.Labels "{_LABEL}"}}}}', image)
    except EngineError:
        return ""
