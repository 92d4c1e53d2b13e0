"""What continuous integration runs."""

import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FAKE_MAKE = """#!/bin/sh
test -t 0 || read -r line && exit 3
echo "running $1"
[ "$1" != "$FAILS" ]
"""


@pytest.mark.parametrize(
    ("fails", "status", "verdicts"),
    [
        ("", 0, {"lint": "passed", "test": "passed"}),
        ("lint", 1, {"lint": "FAILED", "test": "passed"}),
        ("test", 1, {"lint": "passed", "test": "FAILED"}),
    ],
)
def test_every_part_runs_and_is_timed_and_one_that_fails_fails_all(
    tmp_path: Path, fails: str, status: int, verdicts: dict[str, str]
) -> None:
    make = tmp_path / "make"
    make.write_text(FAKE_MAKE)
    make.chmod(0o755)
    environment = os.environ | {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}", "FAILS": fails}
    result = subprocess.run(
        [ROOT / ".ci" / "run"], env=environment, input="y\n", capture_output=True, text=True, check=False, timeout=60
    )
    assert result.returncode == status
    *output, lint, test = result.stdout.splitlines()
    assert [line for line in output if line.startswith("running")] == ["running lint", "running test"]
    for name, line in (("lint", lint), ("test", test)):
        assert re.fullmatch(rf"make {name} +{verdicts[name]} in \d+ s", line)
