"""What docker-compose.yml has to have from elsewhere."""

import re
from pathlib import Path

from app.settings import Settings
from scripts.stack.prepare import APP_COMMANDS

ROOT = Path(__file__).parents[2]
COMPOSE = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")


def test_every_setting_of_the_app_has_its_place() -> None:
    _, _, environment = COMPOSE.partition("x-app-environment:")
    given = set(re.findall(r"^  ([A-Z0-9_]+):", environment.partition("\nservices:")[0], re.MULTILINE))
    given |= {name for name in ("SERVER_BIND",) if COMPOSE.count(f"      {name}: unix:") == 2}
    names = {name.upper() for name in Settings.model_fields}
    assert {name for name in names if not {name, f"{name}_FILE"} & given} == set()
    assert {name for name in given if name.removesuffix("_FILE") not in names} == {"SSL_CERT_FILE"}


def test_every_variable_of_the_file_is_documented() -> None:
    documents = (ROOT / "docs" / "compose.md").read_text() + (ROOT / "docs" / "settings.md").read_text()
    variables = set(re.findall(r"\$\{([A-Z0-9_]+)", COMPOSE))
    own = {
        *("AUTHORITY_CERTIFICATE", "AUTHORITY_KEY", "EGRESS_AUTHORITIES", "PUBLIC_NAME", "PUBLIC_PORT"),
        *("COMPOSE_PROJECT_NAME", "NGINX_LOGIN_RATE"),
    }
    assert {name for name in variables if f"`{name.removesuffix('_FILE')}" not in documents} == own & variables


def test_redis_lets_the_app_send_what_its_code_sends() -> None:
    code = "".join(path.read_text() for path in (ROOT / "app" / "sessions").glob("*.py"))
    sent = set(re.findall(r"""(?:execute\(\s*|redis\.call\()["']([A-Z]+)["']""", code))
    assert {"GET", "SET", "EVAL", "ZADD"} <= sent
    assert {f"+{name.lower()}" for name in sent} <= set(APP_COMMANDS.split())
