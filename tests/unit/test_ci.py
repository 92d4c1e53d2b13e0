"""What continuous integration runs."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FAKE_MAKE = """#!/bin/sh
test -t 0 || read -r line && exit 3
echo "running $1"
[ "$1" != "$FAILS" ] || { seq 100; echo "the reason" >&2; exit 1; }
"""


PARTS = ["lint", "test", "test-compose", "test-cluster"]


@pytest.mark.parametrize("fails", [None, *PARTS])
def test_every_part_runs_and_is_timed_and_the_end_of_one_that_fails_is_shown_last(
    tmp_path: Path, fails: str | None
) -> None:
    (tmp_path / ".ci").mkdir()
    script = shutil.copy2(ROOT / ".ci" / "run", tmp_path / ".ci")
    make = tmp_path / "make"
    make.write_text(FAKE_MAKE)
    make.chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {"PATH": path, "FAILS": fails or "nothing"}
    result = subprocess.run(
        [script], env=environment, input="y\n", capture_output=True, text=True, check=False, timeout=60
    )
    assert result.returncode == (fails is not None)
    *lines, last = result.stdout.split("\n\n")
    for part, line in zip(PARTS, last.splitlines(), strict=True):
        assert re.fullmatch(rf"make {part} +{'FAILED' if part == fails else 'passed'} in \d+ s", line)
    numbers = [str(number) for number in range(1, 101)]
    printed = {part: [f"running {part}", *((*numbers, "the reason") if part == fails else ())] for part in PARTS}
    expected = [f"== make {part}\n" + "\n".join(printed[part]) for part in PARTS]
    if fails:
        expected.append(f"== The end of make {fails}\n" + "\n".join(printed[fails][-60:]))
    assert "\n\n".join(lines).lstrip("\n").split("\n\n") == expected


WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_grants_nothing_by_default_and_none_of_its_jobs_runs_forever(workflow: Path) -> None:
    text = workflow.read_text(encoding="utf-8")
    assert "\npermissions: {}\n" in text
    assert text.count("    runs-on: ") == text.count("    timeout-minutes: ")
    # A tag of somebody else's repository can be moved to other code.
    foreign = re.findall(r"uses: ([^.\s]\S*)(.*)", text)
    assert foreign
    for action, comment in foreign:
        assert re.fullmatch(r"[\w.-]+/[\w./-]+@[0-9a-f]{40}", action), action
        assert re.fullmatch(r" # v\d+\.\d+\.\d+", comment), action


def test_continuous_integration_elsewhere_runs_the_same_script() -> None:
    assert ".ci/run\n" in (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")


def test_a_release_builds_every_image_of_the_dockerfile_and_the_chart() -> None:
    release = (ROOT / ".github" / "workflows" / "release.yml").read_text(encoding="utf-8")
    stages = set(re.findall(r"^FROM \S+ AS (\S+)$", (ROOT / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE))
    assert {"app", "nginx", "identity"} <= stages
    assert re.findall(r"- target: (\S+)", release) == ["app", "nginx", "identity"]
    assert "helm package helm/auth0-flask " in release
