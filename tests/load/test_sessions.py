"""The measurement of sessions works, and its part of the page is renewed alone. How fast is not a test's to say."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SECONDS = 300


@pytest.mark.timeout(SECONDS + 20)
def test_sessions_are_measured_and_their_part_of_the_page_is_renewed(tmp_path: Path) -> None:
    """It fails where a logout ends nothing, a login is not let in, or a page waits for a Redis that hangs."""
    old = (ROOT / "docs" / "benchmarks.md").read_text()
    page = tmp_path / "benchmarks.md"
    page.write_text(old)
    command = [
        sys.executable,
        "-m",
        "tests.load",
        "--sessions",
        "--quick",
        f"--docs={tmp_path}",
        f"--reports={tmp_path}",
    ]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as run:
        try:
            said, _ = run.communicate(timeout=SECONDS)
        finally:
            # Not killed: it has servers to stop.
            run.terminate()
    assert run.returncode == 0, said
    found = json.loads((tmp_path / "bench-sessions.json").read_text())
    # Claims and three tokens do not take less, and what an index of two labels adds is not for nothing.
    assert 1_000 < found["blob"] < found["bytes_each"] < 4 * found["blob"]
    assert len(found["few"]) == len(found["many"]) == 3
    assert found["hanging"][0]["refusals"]
    new = page.read_text()
    for line in ("logins a second and core", "the same among 2,000, ms", "503 of a page with a session then"):
        assert line in new
    before, _, rest = old.partition("<!-- sessions -->")
    assert new.startswith(before)
    assert new.endswith(rest.partition("<!-- end of sessions -->")[2])
