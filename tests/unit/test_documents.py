"""What the documents promise: links lead somewhere, verbs exist, the example of one's own pages runs."""

import re
import subprocess
from pathlib import Path

import pytest

from app import create_app
from app.settings import Settings

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
# What is beside tests is a template of a page that stands elsewhere.
_NOT_OURS = {".venv", ".local", "node_modules", "tests"}
DOCUMENTS = sorted(path for path in ROOT.rglob("*.md") if not _NOT_OURS.intersection(path.relative_to(ROOT).parts))
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_VERB = re.compile(r"`(?:\.\./)?make ([a-z-]+)|^make ([a-z-]+)", re.MULTILINE)


def verbs() -> set[str]:
    """What `make help` lists."""
    listed = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60).stdout
    return set(re.findall(r"^ +make ([a-z-]+)", listed, re.MULTILINE))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_relative_link_leads_to_a_file(document: Path) -> None:
    for target in _LINK.findall(document.read_text(encoding="utf-8")):
        if not re.match(r"[a-z]+:|#", target):
            assert (document.parent / target.partition("#")[0]).exists(), target


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md"])
def test_every_verb_that_is_named_exists(name: str) -> None:
    named = {first or second for first, second in _VERB.findall((ROOT / name).read_text(encoding="utf-8"))}
    assert named
    assert named <= verbs()


def test_the_readmes_table_has_every_verb() -> None:
    assert set(re.findall(r"^\| `make ([a-z-]+)` \|", README, re.MULTILINE)) == verbs()


def test_the_readmes_map_has_every_folder() -> None:
    mapped = set(re.findall(r"^\| \[[^\]]+\]\(([^)]+)\) \|", README, re.MULTILINE))
    rooms = {f"app/{path.parent.name}" for path in (ROOT / "app").glob("*/__init__.py")}
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    folders = {path.partition("/")[0] for path in tracked if "/" in path and not path.startswith(".")}
    covered = {path.partition("/")[0] for path in mapped} | {"requirements"}
    assert rooms <= mapped
    assert folders <= covered


def test_the_readmes_verb_for_the_server_is_the_one_that_gunicorn_gets() -> None:
    command = "gunicorn -c app/server/gunicorn.conf.py app.server.main:app"
    assert f"\n{command}\n" in README
    assert (ROOT / "app" / "server" / "gunicorn.conf.py").exists()


def test_the_readmes_pages_run_in_place_of_ours(
    variables: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    (tmp_path / "mypages.py").write_text(example, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    settings = {name.lower(): value for name, value in variables.items()} | {"app_pages": "mypages"}
    client = create_app(Settings.model_validate(settings)).test_client()
    home = client.get("/", base_url="https://app.example.com")
    assert (home.status_code, "Dashboard" in home.text) == (200, True)
    guarded = client.get("/dashboard", base_url="https://app.example.com")
    assert guarded.status_code == 303
    assert guarded.headers["location"].startswith("/login?return_to=")
