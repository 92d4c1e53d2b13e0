"""The table of all settings: in the terminal, and as the page docs/settings.md."""

import re
import sys
from pathlib import Path

import pytest

from app import settings_table
from app.__main__ import main
from app.sessions.keyring import KeyRing
from app.settings import Settings

ROOT = Path(__file__).parents[2]
SECRETS = {"AUTH0_CLIENT_SECRET": "R2Vb1XhVvJY0vCqKdW8fYVJwNn3KcQy7", "REDIS_URL": "redis://:f3DQo7k@redis"}


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory: a developer's own `.env` is not read."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def environment(variables: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """A valid deployment's variables, set for this process."""
    variables |= SECRETS
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return variables


def test_the_page_is_fresh() -> None:
    page = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    assert page == settings_table.markdown(), "docs/settings.md is stale: run `make docs`"


def test_the_page_has_one_row_of_five_cells_for_every_setting() -> None:
    rows = [line for line in settings_table.markdown().splitlines() if line.startswith("| `")]
    assert [row.split("`")[1].lower() for row in rows] == list(Settings.model_fields)
    for row in rows:
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        assert len(cells) == 5
        assert all(cells[:4])
        assert all(cell.count("`") % 2 == 0 and "``" not in cell for cell in cells)


def test_every_setting_says_what_it_means() -> None:
    for field in Settings.model_fields.values():
        assert re.fullmatch(r"[A-Z`].*\.", str(field.description))


def test_the_command_prints_the_page(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["settings", "--markdown"]) == 0
    assert capsys.readouterr().out == settings_table.markdown()


def test_the_command_lists_every_setting_and_says_that_they_are_valid(
    environment: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["settings"]) == 0
    output = capsys.readouterr().out
    for name in Settings.model_fields:
        assert re.search(rf"^{name.upper()}  \(", output, re.MULTILINE)
    assert "AUTH0_DOMAIN  (text; required; set)" in output
    assert "AUTH0_AUDIENCE  (text; none; not set)" in output
    assert "AUTH0_SECRET  (secret, list, comma-separated; required; set)" in output
    assert "SESSION_BACKEND  (redis or cookie; redis; set)" in output
    assert output.endswith("The settings are complete and valid.\n")


def test_the_command_never_shows_a_secret(
    environment: dict[str, str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("APP_ENV", "wrong")
    assert main(["settings"]) == 1
    printed = "".join(capsys.readouterr())
    for name in ("AUTH0_CLIENT_SECRET", "AUTH0_SECRET", "REDIS_URL"):
        assert environment[name] not in printed


def test_the_command_says_which_file_a_setting_comes_from(
    environment: dict[str, str],
    directory: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (directory / "secret").write_text(environment["AUTH0_SECRET"])
    monkeypatch.delenv("AUTH0_SECRET")
    monkeypatch.setenv("AUTH0_SECRET_FILE", str(directory / "secret"))
    assert main(["settings"]) == 0
    assert "required; set by AUTH0_SECRET_FILE)" in capsys.readouterr().out


def test_the_command_lists_all_problems_and_fails(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["settings"]) == 1
    captured = capsys.readouterr()
    assert "AUTH0_DOMAIN  (text; required; not set)" in captured.out
    assert "The settings have 6 problems:" in captured.err


def test_the_table_fits_the_terminal(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "70")
    meanings = [line for line in settings_table.text().splitlines() if line.startswith("    ")]
    assert max(map(len, meanings)) <= 70


def test_a_user_has_a_pseudonym_by_each_key_and_the_first_is_that_of_the_log(
    environment: dict[str, str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    new, old = SECRETS["AUTH0_CLIENT_SECRET"] + SECRETS["AUTH0_CLIENT_SECRET"][::-1], environment["AUTH0_SECRET"]
    monkeypatch.setenv("AUTH0_SECRET", f"{new},{old}")
    assert main(["pseudonym", "auth0|jane"]) == 0
    printed = capsys.readouterr().out.split()
    assert printed == [KeyRing([key]).pseudonyms("auth0|jane")[0] for key in (new, old)]
    monkeypatch.setenv("AUTH0_SECRET", "")
    assert main(["pseudonym", "auth0|jane"]) == 1


def test_an_unknown_command_is_refused_with_the_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["setings"])
    assert caught.value.code == 2
    assert "usage: python -m app" in capsys.readouterr().err


def test_the_module_runs_as_a_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["python -m app", "settings", "--markdown"])
    assert main() == 0
