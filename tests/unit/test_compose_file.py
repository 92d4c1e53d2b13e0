"""What docker-compose.yml has to have from elsewhere."""

import re
from pathlib import Path

import yaml

from app.settings import Settings
from scripts.stack.prepare import APP_COMMANDS, CREDENTIALS

ROOT = Path(__file__).parents[2]
COMPOSE = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")


# What runs in production on one machine is decided by the file, whatever the environment says, and why.
DECIDED = {
    "APP_ENV": "it is production",
    "AUTH0_SECRET": "a file that init makes, of what is given or of its own",
    "SESSION_BACKEND": "it brings Redis",
    "SESSION_COOKIE_SECURE": "follows from AUTH0_REDIRECT_URI, which is https",
    "REDIS_URL": "its own Redis, with a password that init makes",
    "REDIS_TLS_CA": "its own authority",
    "REDIS_TLS_CERTIFICATE": "its own Redis asks for a password, not for a certificate",
    "REDIS_TLS_KEY": "as its certificate",
    "OTEL_EXPORTER_OTLP_CERTIFICATE": "the authorities of all its HTTP clients, by SSL_CERT_FILE",
    "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE": "no file of it is mounted",
    "OTEL_EXPORTER_OTLP_CLIENT_KEY": "as its certificate",
    "SERVER_BIND": "a socket for each replica, which nginx knows",
    "SERVER_GRACE_SECONDS": "less than stop_grace_period",
    "SERVER_DRAIN_SECONDS": "scripts/stack/rolling.py takes nginx away before",
    "SERVER_TLS_CERTIFICATE": "nginx ends TLS",
    "SERVER_TLS_KEY": "as its certificate",
    "METRICS_BIND": "where Prometheus asks",
    "TRUSTED_PROXIES": "nginx, on the socket",
}


def test_every_setting_of_the_app_is_passed_on_or_decided() -> None:
    """A new one cannot be forgotten."""
    _, _, environment = COMPOSE.partition("x-app-environment:")
    lines = re.findall(r"^  ([A-Z0-9_]+):((?:.*)(?:\n    .*)*)", environment.partition("\nservices:")[0], re.MULTILINE)
    given = {name.removesuffix("_FILE"): value for name, value in lines}
    if COMPOSE.count("      SERVER_BIND: unix:") == 2:
        given["SERVER_BIND"] = "unix:"
    passed_on = {name for name, value in given.items() if re.search(rf"\$\{{{name}(_FILE)?[:}}]", value)}
    assert given.keys() - {"SSL_CERT_FILE", "SSL_CERT"} == {name.upper() for name in Settings.model_fields}
    assert passed_on == given.keys() - {"SSL_CERT_FILE", "SSL_CERT"} - DECIDED.keys()


def test_the_apps_secrets_are_files_and_stand_in_no_containers_environment() -> None:
    secret = {name.upper() for name, field in Settings.model_fields.items() if "SecretStr" in str(field.annotation)}
    assert {"AUTH0_CLIENT_SECRET", "AUTH0_PROXY_URL", "OTEL_EXPORTER_OTLP_HEADERS"} <= secret
    services = yaml.safe_load(COMPOSE)["services"]
    for service in services.values():
        assert not secret & service.get("environment", {}).keys()
    environment = services["app-1"]["environment"]
    for name in secret:
        # The path alone, of the secret that init makes a file of; nothing where nothing is set.
        path = re.escape(f"/run/secrets/{name.lower()}")
        assert re.sub(rf"\$\{{{name}(_FILE)?:\+{path}\}}", "", environment[f"{name}_FILE"]) in ("", path)
    assert {name.lower() for name in CREDENTIALS} <= set(services["init"]["secrets"])


def test_blackbox_which_asks_any_address_it_is_told_reaches_nginx_and_is_told_by_prometheus_alone() -> None:
    document = yaml.safe_load(COMPOSE)
    shared = {
        network: {name for name, service in document["services"].items() if network in service.get("networks", [])}
        for network in document["services"]["blackbox"]["networks"]
    }
    assert shared == {"handshake": {"blackbox", "nginx"}, "probe": {"blackbox", "prometheus"}}
    assert all(document["networks"][network] == {"internal": True} for network in shared)


def test_what_is_not_built_here_is_pinned_by_a_release_and_its_digest() -> None:
    images = {service["image"] for service in yaml.safe_load(COMPOSE)["services"].values()}
    others = {image for image in images if not image.startswith("${COMPOSE_PROJECT_NAME:-auth0-flask}")}
    assert len(others) == 7
    pinned = r"\$\{[A-Z_]+_IMAGE:-[a-z0-9_/-]+:v?[0-9]+\.[0-9]+\.[0-9]+(-[a-z]+)?@sha256:[0-9a-f]{64}\}"
    assert [image for image in others if not re.fullmatch(pinned, image)] == []


def test_every_variable_of_the_file_is_documented() -> None:
    documents = (ROOT / "docs" / "compose.md").read_text() + (ROOT / "docs" / "settings.md").read_text()
    variables = set(re.findall(r"\$\{([A-Z0-9_]+)", COMPOSE))
    own = {
        *("AUTHORITY_CERTIFICATE", "AUTHORITY_KEY", "EGRESS_AUTHORITIES", "PUBLIC_NAME", "PUBLIC_PORT"),
        *("IMAGE_VERSION", "APP_REVISION", "NGINX_REVISION", "IDENTITY_REVISION"),
        *(f"{service}_CONFIGURATION" for service in ("REDIS", "PROMETHEUS", "ALERTMANAGER", "BLACKBOX", "GRAFANA")),
    }
    assert {name for name in variables if f"`{name.removesuffix('_FILE')}" not in documents} == own & variables


def test_redis_lets_the_app_send_what_its_code_sends() -> None:
    code = "".join(path.read_text() for path in (ROOT / "app" / "sessions").glob("*.py"))
    sent = set(re.findall(r"""(?:execute(?:_command)?\(\s*|redis\.call\()["']([A-Z]+)["']""", code))
    assert {"GET", "MGET", "SET", "EVAL", "ZADD"} <= sent
    assert {f"+{name.lower()}" for name in sent} <= set(APP_COMMANDS.split())
