"""Which key sessions are written with, which they had, and what cannot be opened: told while keys rotate."""

import hashlib
import secrets
from pathlib import Path

import httpx

from app.sessions.keyring import KeyRing
from tests.integration.browser import until
from tests.servers.gunicorn import Gunicorn, gunicorn
from tests.servers.metrics import scrape

HOST = {"Host": "localhost"}


def visit(server: Gunicorn, path: str, cookies: dict[str, str], method: str = "GET") -> dict[str, str]:
    """Send a request with these cookies, which are for https alone; returns those that the answer sets."""
    cookie = "; ".join(f"{name}={value}" for name, value in cookies.items())
    answer = httpx.request(method, server.url + path, headers={**HOST, "Cookie": cookie}, timeout=60)
    pairs = [header.partition(";")[0].partition("=") for header in answer.headers.get_list("set-cookie")]
    return {name: value for name, _, value in pairs}


def first_key(server: Gunicorn) -> set[str]:
    """The ids of the keys that workers write with."""
    return {dict(labels)["key_id"] for (name, labels) in scrape(server).series if name == "session_key_info"}


def test_a_rotation_is_told_step_by_step(tmp_path: Path) -> None:
    old, new = secrets.token_hex(32), secrets.token_hex(32)
    file = tmp_path / "secret"
    file.write_text(old)
    settings = {"AUTH0_SECRET": "", "AUTH0_SECRET_FILE": str(file), "APP_PAGES": "tests.integration.pages"}
    with gunicorn(tmp_path, environment=settings) as server:

        def until_more(name: str, **labels: str) -> None:
            before = scrape(server).value(name, **labels)
            until(lambda: scrape(server).value(name, **labels), lambda count: count > before)

        def opened(key: str) -> float:
            return scrape(server).value("session_opened_total", key=key)

        session = visit(server, "/tests/keep/this", {}, "POST")
        assert scrape(server).value("session_created_total") == 1
        visit(server, "/tests/kept", session)
        until(lambda: opened("first"), lambda count: count == 1)
        assert first_key(server) == {KeyRing([old]).first_id}

        file.write_text(f"{new}\n{old}")
        until(lambda: first_key(server), lambda ids: ids == {KeyRing([new]).first_id})
        assert opened("older") == 0
        visit(server, "/tests/kept", session)
        until(lambda: opened("older"), lambda count: count == 1)
        assert scrape(server).value("session_key_reload_failures_total") == 0

        file.write_text("short")
        # Every look that finds it so, not only the first, lest an alert end while nothing has been mended.
        until_more("session_key_reload_failures_total")
        until_more("session_key_reload_failures_total")
        assert first_key(server) == {KeyRing([new]).first_id}

        file.write_text(new)
        until(lambda: server.log.count("read anew"), lambda times: times == 2)
        visit(server, "/tests/kept", session)
        assert scrape(server).value("session_undecryptable_total", where="session") == 1


def test_a_forged_login_is_told_apart_from_a_forged_session(tmp_path: Path) -> None:
    with gunicorn(tmp_path) as server:
        name = hashlib.sha256(b"_a0_tx:marked-state").hexdigest()[:32]
        visit(server, "/callback?code=c&state=marked-state", {f"__Host-login.{name}": "AAAA" * 20})
        found = scrape(server)
    assert found.value("session_undecryptable_total", where="transaction") == 1
    assert found.value("session_undecryptable_total", where="session") == 0
    assert found.value("auth_logins_failed_total", step="callback", cause="expired") == 1
