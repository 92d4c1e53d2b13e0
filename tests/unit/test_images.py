"""What `make up` says of the images that it builds."""

import re
import subprocess
from pathlib import Path

import pytest

from scripts.containers import images

ROOT = Path(__file__).parents[2]


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One that has what the images are made of, and something else."""
    monkeypatch.setattr(images, "ROOT", tmp_path)
    for name in ("app", "nginx", "deploy/identity", "deploy/image", "docs"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "file").touch()
    (tmp_path / "pyproject.toml").write_text('[project]\nversion = "1.2.3"\n')
    git(tmp_path, "init", "--quiet")
    return tmp_path


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-c", "user.name=tests", "-c", "user.email=tests@localhost", *arguments]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


def commit(folder: Path) -> str:
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "Changed")
    return git(folder, "rev-parse", "HEAD")


def test_the_revision_is_the_last_commit_that_changed_what_the_image_is_made_of(repository: Path) -> None:
    first = commit(repository)
    (repository / "docs" / "file").write_text("not in an image")
    commit(repository)
    (repository / "app" / "file").write_text("changed")
    second = commit(repository)
    assert images.for_labels() == {
        "IMAGE_VERSION": "1.2.3",
        "APP_REVISION": second,
        "NGINX_REVISION": first,
        "IDENTITY_REVISION": first,
    }
    (repository / "nginx" / "new").touch()
    (repository / "docs" / "new").touch()
    found = images.for_labels()
    assert (found["APP_REVISION"], found["NGINX_REVISION"]) == (second, f"{first}-changed")
    (repository / "deploy" / "image" / "file").write_text("changed")
    assert {value[40:] for name, value in images.for_labels().items() if "REVISION" in name} == {"-changed"}


def test_outside_of_git_there_is_none(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(repository.parent))
    (repository / ".git").rename(repository / "git")
    assert images.for_labels() == {
        "IMAGE_VERSION": "1.2.3",
        "APP_REVISION": "",
        "NGINX_REVISION": "",
        "IDENTITY_REVISION": "",
    }


def test_all_that_the_dockerfile_copies_counts() -> None:
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    known = {*images._OF_ALL, *(path for paths in images._SOURCES.values() for path in paths)}
    sources = {source for line in copied for source in line.split()}
    assert {"app", "nginx", "requirements/app.txt"} <= sources
    assert {source for source in sources if not any(f"{source}/".startswith(f"{path}/") for path in known)} == set()
