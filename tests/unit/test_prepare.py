"""What compose's services are given: docker-compose.yml mounts it, scripts/stack/prepare.py writes it."""

import os
from pathlib import Path

import pytest
import yaml

from scripts.certificates import authority
from scripts.stack import prepare

ROOT = Path(__file__).parents[2]


def test_what_is_not_given_any_more_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Alerts would go on to an address that somebody has taken away; a secret would stay for whoever may read it."""
    monkeypatch.setattr(prepare, "USER", os.getegid())
    for name in ("given", "stack", "stack/alertmanager", "stack/app", "stack/authority"):
        (tmp_path / name).mkdir()
    redis, local = (authority(tmp_path / name) for name in ("redis", "local"))
    found = []
    for value in ("https://proxy.example.com/once", ""):
        for name in ("alertmanager_page", "auth0_client_secret"):
            (tmp_path / "given" / name).write_text(value)
        (tmp_path / "given" / "dotenv").write_text(f"AUTH0_PROXY_URL={value}\nOTEL_EXPORTER_OTLP_HEADERS={value}\n")
        run = prepare.Preparation(tmp_path / "stack", tmp_path / "given", "https://localhost/callback")
        run._alertmanager()
        run._app(local, redis, "password")
        found.append(
            {path.name for folder in ("alertmanager", "app") for path in (tmp_path / "stack" / folder).iterdir()}
        )
    always = {"auth0_secret", "redis_url", "redis-ca.pem", "authority.pem"}
    once = {"page", "auth0_client_secret", "auth0_proxy_url", "otel_exporter_otlp_headers"}
    assert found == [always | once, always]


def test_alertmanager_is_given_the_addresses_where_its_configuration_looks_for_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Who runs the tests may give files to nobody else.
    monkeypatch.setattr(prepare, "USER", os.getegid())
    for name in ("given", "stack", "stack/alertmanager"):
        (tmp_path / name).mkdir()
    (tmp_path / "given" / "alertmanager_page").write_text("https://chat.example.com/hooks/page\n")
    # What compose mounts where no file is named: /dev/null.
    (tmp_path / "given" / "alertmanager_ticket").write_text("")
    prepare.Preparation(tmp_path / "stack", tmp_path / "given", "https://localhost/callback")._alertmanager()
    written = {path.name: path.read_text() for path in (tmp_path / "stack" / "alertmanager").iterdir()}
    assert written == {"page": "https://chat.example.com/hooks/page"}
    assert (tmp_path / "stack" / "alertmanager" / "page").stat().st_mode & 0o777 == 0o440

    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    (mounted,) = (v for v in compose["services"]["alertmanager"]["volumes"] if v["source"] == "alertmanager-secrets")
    routing = yaml.safe_load((ROOT / "deploy" / "alertmanager" / "alertmanager.yml").read_text(encoding="utf-8"))
    read = {config["api_url_file"] for receiver in routing["receivers"] for config in receiver.get("slack_configs", [])}
    assert read == {f"{mounted['target']}/page", f"{mounted['target']}/ticket"}
    assert {"alertmanager_page", "alertmanager_ticket"} <= set(compose["services"]["init"]["secrets"])


def test_whoever_is_signed_in_at_the_local_provider_is_nobody_to_a_tenant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everybody knows its passwords, and sessions are kept when a tenant takes its place."""
    monkeypatch.setattr(prepare, "USER", os.getegid())
    for name in ("given", "stack", "stack/app", "stack/authority"):
        (tmp_path / name).mkdir()
    redis, local = (authority(tmp_path / name) for name in ("redis", "local"))
    keys = {}
    for domain in ("localhost:9443", "acme.eu.auth0.com", "localhost:9444", "example.eu.auth0.com"):
        (tmp_path / "given" / "dotenv").write_text(f"AUTH0_DOMAIN={domain}\n")
        prepare.Preparation(tmp_path / "stack", tmp_path / "given", "https://localhost/callback")._app(local, redis, "")
        keys[domain] = (tmp_path / "stack" / "app" / "auth0_secret").read_text()
    assert keys["localhost:9443"] == keys["localhost:9444"]
    assert keys["acme.eu.auth0.com"] == keys["example.eu.auth0.com"]
    assert keys["localhost:9443"] != keys["acme.eu.auth0.com"]


def test_a_certificate_without_its_key_is_a_sentence_and_nginx_keeps_what_it_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever starts Compose without make reads it in the log of init."""
    monkeypatch.setattr(prepare, "USER", os.getegid())
    monkeypatch.setattr(prepare, "STACK", tmp_path / "stack")
    monkeypatch.setattr(prepare, "GIVEN", tmp_path / "given")
    monkeypatch.setenv("AUTH0_REDIRECT_URI", "https://localhost/callback")
    for name in ("given", "stack", "stack/authority", "stack/nginx"):
        (tmp_path / name).mkdir()
    own = authority(tmp_path / "own")
    certificate, key = (path.read_bytes() for path in own.issue())
    _, other = (path.read_bytes() for path in own.issue(stem="other"))
    prepare.Preparation(tmp_path / "stack", tmp_path / "given", "https://localhost/callback")._nginx(own)
    before = (tmp_path / "stack" / "nginx" / "tls.key").read_text()
    for pair, said in (
        ((certificate, other), "TLS_KEY is not the key of TLS_CERTIFICATE: give a pair."),
        ((key, key), "TLS_CERTIFICATE is no certificate in PEM: give the chain, the server's own first."),
        ((certificate, certificate), "TLS_KEY is no private key in PEM without a password: give one."),
        ((b"\xff", key), "TLS_CERTIFICATE is not text in UTF-8: give another file."),
        ((certificate, b""), "TLS_CERTIFICATE and TLS_KEY must be set together: one of them is missing or empty."),
    ):
        for name, content in zip(("tls_certificate", "tls_key"), pair, strict=True):
            (tmp_path / "given" / name).write_bytes(content)
        umask = os.umask(0o022)
        try:
            assert prepare.main() == 1
        finally:
            os.umask(umask)
        assert capsys.readouterr().err == f"{said}\n"
    assert (tmp_path / "stack" / "nginx" / "tls.key").read_text() == before
