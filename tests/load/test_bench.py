"""The benchmark works: every way answers rightly and the report is complete. How fast is not a test's to say."""

import json
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from .figures import Figure, Goal
from .ways import WAYS

ROOT = Path(__file__).parents[2]
SECONDS = 900


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a quick run wrote. It fails where an answer is wrong or belongs to somebody else."""
    folder = tmp_path_factory.mktemp("bench")
    command = [sys.executable, "-m", "tests.load", "--quick", f"--docs={folder}/docs", f"--reports={folder}"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as run:
        try:
            said, _ = run.communicate(timeout=SECONDS)
        finally:
            # Not killed: it has servers to stop.
            run.terminate()
    assert run.returncode == 0, said
    return folder


@pytest.mark.timeout(SECONDS + 20)
def test_every_way_was_timed_without_a_wrong_answer(folder: Path) -> None:
    report = json.loads((folder / "bench.json").read_text())
    assert list(report["ways"]) == [way.key for way in WAYS]
    for way in report["ways"].values():
        (sample,) = way["samples"]
        assert sample["errors"] == 0
        assert sample["load"]["requests"] > 0
        assert sample["cpu_us"] > 0
        assert sample["memory"]["resident"] > 0
        assert sample["start_seconds"] > 0
    (turns,) = report["nginx"]
    assert turns["direct"]["errors"] == turns["terminated"]["errors"] == 0
    assert report["memory"][-1]["requests"] >= 500
    counts = report["instructions"]
    assert counts["all"] > counts["floor"] + counts["parts"]["log"] > counts["floor"] > 100_000


@pytest.mark.timeout(SECONDS + 20)
def test_the_report_says_everything_there_is_to_say(folder: Path) -> None:
    page = (folder / "docs" / "benchmarks.md").read_text()
    assert [way.title for way in WAYS if f"| {way.title} |" not in page] == []
    for heading in ("Through nginx with TLS", "Memory over many requests", "Where the instructions", "What is to be"):
        assert f"## {heading}" in page
    for part in ("| CPU |", "| kernel |", "| Python |", "| flask |", "| wrk |"):
        assert part in page
    assert str(ROOT) not in page
    chart = ET.parse(folder / "docs" / "images" / "benchmarks.svg").getroot()
    assert len(chart.findall("{*}rect")) == len(WAYS) + 1


@pytest.mark.timeout(SECONDS + 20)
def test_every_goal_is_in_the_report_once(folder: Path) -> None:
    goals = [Goal(**goal) for goal in json.loads((folder / "bench.json").read_text())["goals"]]
    assert len({goal.what for goal in goals}) == len(goals) == 11


def test_a_figure_is_the_median_and_its_range() -> None:
    assert Figure.of([3.0, 1.0, 2.0]) == Figure(2.0, 1.0, 3.0)
