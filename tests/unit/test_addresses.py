"""The check that the repository names no registry and no folder of a machine."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "addresses.py"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with the script and nothing else."""
    (tmp_path / "scripts").mkdir()
    shutil.copy(SCRIPT, tmp_path / "scripts")
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    return tmp_path


def check(repository: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[int, str]:
    monkeypatch.setenv("PIP_INDEX_URL", "https://user:token@mirror.example.internal:8443/simple")
    # Git alone: npm takes a second to say which registry it uses.
    (repository / ".git" / "bin").mkdir()
    (repository / ".git" / "bin" / "git").symlink_to(str(shutil.which("git")))
    monkeypatch.setenv("PATH", str(repository / ".git" / "bin"))
    script = [sys.executable, repository / "scripts" / SCRIPT.name]
    result = subprocess.run(script, capture_output=True, text=True, check=False, timeout=60)
    assert result.stderr == ""
    return result.returncode, result.stdout


def test_a_clean_repository_passes(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (repository / "README.md").write_text("https://docs.python.org and /tmp/x and /home are fine\n")
    assert check(repository, monkeypatch) == (0, "")


@pytest.mark.parametrize(
    "line",
    [
        "--index-url https://mirror.example.internal/simple",
        # In two parts each: this very file is looked at too.
        '"resolved": ' + '"https://elsewhere.example/p.tgz",',
        "cd /home" + "/jane/project",
        "open /Users" + "/jane/project/README.md",
    ],
)
@pytest.mark.parametrize("tracked", [True, False])
def test_a_line_that_works_on_one_machine_only_is_shown(
    repository: Path, monkeypatch: pytest.MonkeyPatch, line: str, tracked: bool
) -> None:
    line = line.replace("~", "")
    (repository / "file").write_text(f"first\n{line}\n")
    if tracked:
        subprocess.run(["git", "-C", repository, "add", "file"], check=True)
    assert check(repository, monkeypatch) == (1, f"file:2:{line}\n")


def test_the_checkouts_own_folder_is_shown(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (repository / "file").write_text(f"cd {repository}\n")
    status, shown = check(repository, monkeypatch)
    assert (status, shown) == (1, f"file:1:cd {repository}\n")


def test_what_git_ignores_may_name_anything(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (repository / ".gitignore").write_text(".local/\n")
    (repository / ".local").mkdir()
    (repository / ".local" / "log").write_text("https://mirror.example.internal\n")
    assert check(repository, monkeypatch) == (0, "")
