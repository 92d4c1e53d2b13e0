"""The file that a newcomer copies to `.env`."""

from pathlib import Path

import pytest
from dotenv import dotenv_values

from app.settings import Settings, SettingsError, load_settings

EXAMPLE = Path(__file__).parents[2] / ".env.example"


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_it_names_settings_only_and_the_guides_five_among_them() -> None:
    names = set(dotenv_values(EXAMPLE))
    assert names <= {name.upper() for name in Settings.model_fields}
    assert names >= {
        "AUTH0_DOMAIN",
        "AUTH0_CLIENT_ID",
        "AUTH0_CLIENT_SECRET",
        "AUTH0_SECRET",
        "AUTH0_REDIRECT_URI",
    }


def test_copied_and_not_filled_in_it_is_refused_for_its_four_placeholders(directory: Path) -> None:
    (directory / ".env").write_bytes(EXAMPLE.read_bytes())
    with pytest.raises(SettingsError) as caught:
        load_settings({})
    assert {problem.variable: problem.sentence for problem in caught.value.problems} == dict.fromkeys(
        ("AUTH0_DOMAIN", "AUTH0_CLIENT_ID", "AUTH0_CLIENT_SECRET", "AUTH0_SECRET"),
        "still has the placeholder of the guide",
    )


def test_filled_in_it_is_a_valid_development_environment(directory: Path, variables: dict[str, str]) -> None:
    text = EXAMPLE.read_text(encoding="utf-8")
    for name, value in dotenv_values(EXAMPLE).items():
        if name in variables and str(value).startswith("your"):
            text = text.replace(f"{name}={value}", f"{name}={variables[name]}")
    (directory / ".env").write_text(text, encoding="utf-8")
    settings = load_settings({})
    assert settings.app_env == "development"
    assert settings.origin == "http://localhost:5000"
