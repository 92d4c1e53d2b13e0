"""What `make test` says at the end, and what it counts as a failure."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from scripts import packages
from scripts import test as runner

ROOT = Path(__file__).parents[2]
TESTS = """
import pytest
def test_passes(): pass
def test_fails(): assert False
@pytest.fixture
def broken(): raise RuntimeError
def test_errs(broken): pass
@pytest.mark.skip
def test_is_skipped(): pass
"""


@pytest.fixture
def report(tmp_path: Path) -> Path:
    """What pytest reports of one test that passes, and of three that do not."""
    suite = tmp_path / "tests" / "browser"
    suite.mkdir(parents=True)
    (suite / "test_x.py").write_text(TESTS)
    report = tmp_path / "browser.xml"
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        f"--rootdir={tmp_path}",
        "-c",
        os.devnull,
    ]
    command += ["--import-mode=importlib", f"--junitxml={report}", str(suite)]
    # None of our plugins is needed, and to load them takes longer than the tests.
    environment = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, check=False, timeout=60)
    return report


def test_a_report_is_counted_by_suite_and_a_skipped_test_is_no_pass(report: Path) -> None:
    suite = runner.read(report)
    assert (suite.name, suite.passed) == ("browser", 1)
    assert suite.failed == [
        "tests.browser.test_x::test_fails (failure)",
        "tests.browser.test_x::test_errs (error)",
        "tests.browser.test_x::test_is_skipped (skipped)",
    ]


def test_no_report_is_a_suite_without_tests(tmp_path: Path) -> None:
    assert runner.read(tmp_path / "unit.xml") == runner.Suite("unit")


def test_every_folder_with_tests_is_a_suite_and_unit_is_the_first() -> None:
    first, *others = runner.suites()
    assert first == "unit"
    assert set(runner.FIRST) == {"unit", *others} & set(runner.FIRST), "what is named there is there"
    assert len(set(others)) == len(others)
    assert "servers" not in others
    folders = {path.parent for path in (ROOT / "tests").rglob("test_*.py")}
    known = {ROOT / "tests" / name for name in (first, *others, *runner.WITH_CONTAINERS, runner.ON_A_CLUSTER)}
    assert not [folder for folder in folders if not known & {folder, *folder.parents}]


def test_what_runs_apart_is_left_out_of_the_rest_and_runs_once() -> None:
    assert runner.files_of("integration") == ["tests/integration", *(f"--ignore=tests/{part}" for part in runner.APART)]
    for part in runner.APART:
        assert runner.files_of(part) == [f"tests/{part}"]
        assert runner.suites().count(part) == 1
    assert runner.files_of("unit") == ["tests/unit"]


def test_the_closing_line_stands_alone_after_the_suites(capsys: pytest.CaptureFixture[str]) -> None:
    suites = [runner.Suite("unit", passed=600, seconds=1.5), runner.Suite("browser", passed=12, seconds=30)]
    assert runner.conclude(suites, False) == 0
    *table, empty, closing = capsys.readouterr().out.splitlines()
    assert (empty, closing) == ("", "612 passed, 0 failed")
    assert [line.split() for line in table if line] == [
        ["unit", "600", "passed", "0", "failed", "1.5", "s"],
        ["browser", "12", "passed", "0", "failed", "30.0", "s"],
    ]


@pytest.mark.parametrize(
    ("suites", "failed"),
    [
        ([runner.Suite("unit", passed=1, failed=["tests.unit.x::y (failure)"])], False),
        ([runner.Suite("unit", passed=1)], True),
        ([runner.Suite("unit")], False),
        ([], False),
    ],
)
def test_a_failed_test_a_part_that_could_not_run_or_no_test_at_all_fails(
    suites: list[runner.Suite], failed: bool
) -> None:
    assert runner.conclude(suites, failed) == 1


def test_the_list_of_packages_has_a_command_for_each() -> None:
    assert packages.wanted("nginx  # why\n# only a comment\n\nlibnss3-tools certutil # trust\n") == {
        "nginx": "nginx",
        "libnss3-tools": "certutil",
    }


def test_elsewhere_a_missing_package_is_named_with_the_fix(tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, ROOT / "scripts" / "packages.py"],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert result.returncode == 1
    assert result.stderr.startswith("The tests need ")
    assert "redis-server" in result.stderr
    assert "install them with your package manager" in result.stderr
