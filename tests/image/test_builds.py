"""How the images are built: the same twice, and only what has changed."""

import os
import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from scripts.containers import images
from tests.image.layers import copy_context
from tests.servers.containers import Containers

EPOCH = "1700000000"
TAG = "test-builds"


def build(docker: Containers, context: Path, target: str, *options: str) -> str:
    """Build a target of *context* and return what was said."""
    arguments = [part for name, value in docker.variables.items() for part in ("--build-arg", f"{name}={value}")]
    command = ["docker", "build", "--progress=plain", *arguments, *options, "--target", target, "--tag", TAG, context]
    environment = dict(docker.client.environment)
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stderr


@pytest.mark.timeout(900)
@pytest.mark.parametrize("target", images.TARGETS)
def test_the_same_sources_make_the_same_layers_whenever_and_wherever_they_are_built(
    docker: Containers, tmp_path: Path, target: str
) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    copy_context(here)
    # Another person's checkout: cloned at another time, with another umask.
    copy_context(there)
    for path in there.rglob("*"):
        path.chmod(path.stat().st_mode & 0o700)
        os.utime(path, (1, 1))
    layers = []
    for context in (here, there):
        # The cache compares contents, not times.
        build(docker, context, target, "--no-cache", "--build-arg", f"SOURCE_DATE_EPOCH={EPOCH}")
        layers.append(docker.inspect(TAG)["RootFS"]["Layers"])
    docker.client.docker("rmi", "--force", TAG)
    assert layers[0] == layers[1]


def _change_a_page(context: Path) -> None:
    with (context / "app/pages/templates/home.html").open("a") as page:
        page.write(f"<!-- {time.time_ns()} -->")


def _change_the_lock(context: Path) -> None:
    with (context / "requirements/app.txt").open("a") as lock:
        lock.write(f"# {time.time_ns()}\n")


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("change", "reused"), [(_change_a_page, {"system", "packages"}), (_change_the_lock, {"system", "code"})]
)
def test_a_change_is_built_and_the_rest_taken_from_the_cache(
    docker: Containers, tmp_path: Path, change: Callable[[Path], None], reused: set[str]
) -> None:
    copy_context(tmp_path)
    build(docker, tmp_path, "app")
    change(tmp_path)
    said = build(docker, tmp_path, "app")
    docker.client.docker("rmi", "--force", TAG)
    # `#12 [packages 3/4] RUN ...`, and `#12 CACHED` if nothing had to be done for it.
    stages = re.findall(r"^#(\d+) \[(\w+) \d+/\d+\] (?!FROM)", said, re.MULTILINE)
    cached = set(re.findall(r"^#(\d+) CACHED", said, re.MULTILINE))
    whole = {stage for _, stage in stages} - {stage for step, stage in stages if step not in cached}
    assert whole & {"system", "packages", "code"} == reused
