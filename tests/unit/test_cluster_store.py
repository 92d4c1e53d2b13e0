"""What is kept outside of the checkout for the cluster's tests."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.cluster import store

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _own_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLUSTER_CACHE", str(tmp_path / "cache"))


def make(folder: Path) -> None:
    (folder / "file").write_text("made")


def test_a_thing_is_made_once_and_again_for_another_version() -> None:
    made: list[Path] = []
    for version in ("1", "1", "2"):
        assert (store.kept("thing", version, lambda folder: (made.append(folder), make(folder))[1]) / "file").exists()  # type: ignore[func-returns-value]
    assert len(made) == 2


def test_what_fails_leaves_nothing_half_and_is_made_the_next_time() -> None:
    def fail(folder: Path) -> None:
        make(folder)
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        store.kept("thing", "1", fail)
    assert not list(store.home().glob("thing-*"))
    assert (store.kept("thing", "1", make) / "file").read_text() == "made"
    assert not list(store.home().glob(".thing-*"))


def test_a_killed_run_leaves_nothing_half() -> None:
    program = """
import os, signal
from scripts.cluster import store
def make(folder):
    (folder / "file").write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
store.kept("thing", "1", make)
"""
    ended = subprocess.run([sys.executable, "-c", program], cwd=ROOT, env=os.environ, check=False, timeout=60)
    assert ended.returncode < 0
    assert (store.kept("thing", "1", make) / "file").read_text() == "made"
    assert not list(store.home().glob(".thing-*"))


def test_old_versions_go_when_there_are_many() -> None:
    for version in range(6):
        os.utime(store.kept("thing", str(version), make), (version, version))
    assert sorted(path.name for path in store.home().glob("thing-*")) == ["thing-3", "thing-4", "thing-5"]


def test_a_digest_differs_with_names_contents_and_order(tmp_path: Path) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    first.write_text("x")
    second.write_text("x")
    assert len({store.digest(parts) for parts in ([first], [second], [first, second], [second, first], ["x"])}) == 5
    assert store.digest([first]) == store.digest([first])


def test_one_who_does_not_wait_is_told_that_the_lock_is_taken() -> None:
    with store.alone("node"), pytest.raises(BlockingIOError), store.alone("node", wait=False):
        pass
