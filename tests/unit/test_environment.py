"""Where settings come from: variables, the files they name, `.env` outside production."""

from pathlib import Path

import pytest

from app.environment import Environment, Problem, unknown_variables

NAMES = ("app_env", "auth0_domain", "auth0_secret", "session_backend", "session_cookie_secure")


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory: a developer's own `.env` is not read."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def read(**variables: str) -> Environment:
    return Environment.read(NAMES, variables)


def sentences(environment: Environment) -> list[str]:
    return [str(problem) for problem in environment.problems]


def test_a_variable_is_found_by_its_name_in_capitals() -> None:
    assert read(AUTH0_DOMAIN="acme.auth0.com").values == {"auth0_domain": "acme.auth0.com"}


def test_variables_of_others_are_no_settings() -> None:
    assert read(PATH="/bin", HOME="/").values == {}


def test_the_process_environment_is_read_unless_another_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTH0_DOMAIN", "acme.auth0.com")
    assert Environment.read(NAMES).values == {"auth0_domain": "acme.auth0.com"}


def test_an_empty_variable_counts_as_not_set(directory: Path) -> None:
    (directory / "secret").write_text("from the file")
    environment = read(AUTH0_DOMAIN="", AUTH0_SECRET="", AUTH0_SECRET_FILE=str(directory / "secret"))
    assert environment.values == {"auth0_secret": "from the file"}
    assert environment.problems == []


@pytest.mark.parametrize("ending", ["", "\n", "\r\n", "\n\n"])
def test_a_mounted_file_gives_its_text_without_the_last_newline(directory: Path, ending: str) -> None:
    (directory / "secret").write_bytes(b"one, two" + ending.encode())
    assert read(AUTH0_SECRET_FILE=str(directory / "secret")).values == {"auth0_secret": "one, two"}


def test_a_variable_and_its_file_together_are_a_problem_without_either_value(directory: Path) -> None:
    (directory / "secret").write_text("in-the-file")
    environment = read(AUTH0_SECRET="in-the-variable", AUTH0_SECRET_FILE=str(directory / "secret"))
    assert environment.values == {}
    assert sentences(environment) == ["AUTH0_SECRET is set, and so is AUTH0_SECRET_FILE: keep one of them."]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "cannot be read from 'secret', which AUTH0_SECRET_FILE names: No such file or directory"),
        (b"", "is empty in 'secret', which AUTH0_SECRET_FILE names"),
        (b" \n", "is empty in 'secret', which AUTH0_SECRET_FILE names"),
        (b"\xff\xfe", "cannot be read from 'secret', which AUTH0_SECRET_FILE names: not UTF-8 text"),
    ],
)
def test_a_file_that_gives_no_value_is_a_problem(directory: Path, content: bytes | None, reason: str) -> None:
    if content is not None:
        (directory / "secret").write_bytes(content)
    environment = read(AUTH0_SECRET_FILE="secret")
    assert environment.values == {}
    assert sentences(environment) == [f"AUTH0_SECRET {reason}."]


def test_a_directory_in_place_of_a_file_is_a_problem(directory: Path) -> None:
    environment = read(AUTH0_SECRET_FILE=str(directory))
    assert sentences(environment) == [
        f"AUTH0_SECRET cannot be read from {str(directory)!r}, which AUTH0_SECRET_FILE names: Is a directory."
    ]


def test_dotenv_is_read_outside_production_and_the_environment_goes_before_it(directory: Path) -> None:
    (directory / ".env").write_text("AUTH0_DOMAIN=acme.auth0.com\nAUTH0_SECRET='from .env'\n")
    environment = read(APP_ENV="development", AUTH0_SECRET="from the environment")
    assert environment.values["auth0_domain"] == "acme.auth0.com"
    assert environment.values["auth0_secret"] == "from the environment"
    assert not environment.ignored_dotenv


def test_dotenv_may_say_itself_that_this_is_not_production(directory: Path) -> None:
    (directory / ".env").write_text("APP_ENV=development\nAUTH0_DOMAIN=acme.auth0.com\n")
    assert read().values == {"app_env": "development", "auth0_domain": "acme.auth0.com"}


@pytest.mark.parametrize("variables", [{}, {"APP_ENV": "production"}])
def test_dotenv_is_ignored_in_production(directory: Path, variables: dict[str, str]) -> None:
    (directory / ".env").write_text("AUTH0_DOMAIN=acme.auth0.com\n")
    environment = read(**variables)
    assert "auth0_domain" not in environment.values
    assert environment.ignored_dotenv


def test_a_dotenv_file_cannot_lift_production(directory: Path) -> None:
    (directory / ".env").write_text("APP_ENV=development\nAUTH0_DOMAIN=acme.auth0.com\n")
    environment = read(APP_ENV="production")
    assert environment.values == {"app_env": "production"}
    assert environment.ignored_dotenv


def test_without_dotenv_nothing_is_said_to_be_ignored() -> None:
    assert not read(APP_ENV="production").ignored_dotenv


def test_a_dotenv_file_that_is_not_text_is_a_problem_where_it_is_read(directory: Path) -> None:
    (directory / ".env").write_bytes(b"AUTH0_DOMAIN=\xff\n")
    assert sentences(read(APP_ENV="development")) == [".env cannot be read: not UTF-8 text."]
    assert sentences(read(APP_ENV="production")) == []


def test_a_dotenv_file_may_name_a_mounted_file(directory: Path) -> None:
    (directory / "secret").write_text("mounted")
    (directory / ".env").write_text("AUTH0_SECRET_FILE=secret\n")
    assert read(APP_ENV="test").values == {"app_env": "test", "auth0_secret": "mounted"}


@pytest.mark.parametrize(
    ("misspelt", "meant"),
    [
        ("AUTH0_DOMIAN", "AUTH0_DOMAIN"),
        ("AUTH0_SECRETS", "AUTH0_SECRET"),
        ("AUTH0_SECRET_FIL", "AUTH0_SECRET_FILE"),
        ("SESSION_STORE_BACKEND", "SESSION_BACKEND"),
        ("SESSION_COOKIE_SECUR", "SESSION_COOKIE_SECURE"),
    ],
)
def test_a_misspelt_variable_is_a_problem_that_names_the_closest(misspelt: str, meant: str) -> None:
    assert unknown_variables({misspelt: "x", "AUTH0_DOMAIN": "x"}, NAMES) == [
        Problem(misspelt, f"is no setting of this app: probably {meant} is meant")
    ]


def test_a_variable_unlike_any_of_ours_is_to_be_removed() -> None:
    assert unknown_variables({"AUTH0_QQQQQQQQQQQQQQQQ": "x"}, NAMES) == [
        Problem("AUTH0_QQQQQQQQQQQQQQQQ", "is no setting of this app: remove it")
    ]


def test_only_our_own_prefixes_are_checked() -> None:
    assert unknown_variables({"APP_NAME": "x", "REDIS_HOST": "x", "SERVER_SOFTWARE": "x"}, NAMES) == []


@pytest.mark.parametrize(
    "foreign",
    [
        "SESSION_MANAGER",
        "AUTH0_FLASK_SERVICE_HOST",
        "AUTH0_FLASK_SERVICE_PORT",
        "AUTH0_FLASK_SERVICE_PORT_HTTPS",
        "AUTH0_FLASK_PORT",
        "AUTH0_FLASK_PORT_8443_TCP",
        "AUTH0_FLASK_PORT_8443_TCP_ADDR",
        "SESSION_STORE_PORT_6379_TCP_PROTO",
    ],
)
def test_what_a_desktop_or_kubernetes_sets_is_no_misspelling(foreign: str) -> None:
    assert unknown_variables({foreign: "x"}, NAMES) == []


def test_a_problem_reads_as_a_sentence_with_an_example() -> None:
    assert str(Problem("AUTH0_DOMAIN", "is missing", "my-tenant.us.auth0.com")) == (
        "AUTH0_DOMAIN is missing (for example: my-tenant.us.auth0.com)."
    )
    assert str(Problem("AUTH0_DOMAIN", "is missing")) == "AUTH0_DOMAIN is missing."
