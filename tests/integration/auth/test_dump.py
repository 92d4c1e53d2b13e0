"""What whoever copies Redis gets: no token, no name, no cookie, and nothing that opens with the app's secret."""

import hashlib
import re
from pathlib import Path

from app.sessions.keyring import KeyRing, Undecryptable
from tests.integration.conftest import MakeBrowser
from tests.servers.app import SECRET, app
from tests.servers.identity import IdentityProvider
from tests.servers.redis import redis_server

OFFLINE = "openid profile email offline_access"


def leaves(value: object) -> set[str]:
    """Every text in a JSON document."""
    if isinstance(value, dict):
        return {leaf for one in value.values() for leaf in leaves(one)}
    if isinstance(value, list):
        return {leaf for one in value for leaf in leaves(one)}
    return {value} if isinstance(value, str) else set()


def test_a_dump_of_redis_gives_no_token_name_address_or_cookie(
    running_provider: IdentityProvider, new_browser: MakeBrowser, tmp_path: Path
) -> None:
    with (
        redis_server(tmp_path, "--port", "0", "--rdbcompression", "no") as redis,
        app(tmp_path / "app", running_provider, redis=redis, AUTH0_SCOPE=OFFLINE) as served,
    ):
        browser = new_browser(served)
        browser.sign_in_as()
        browser.request("POST", "/tests/keep/marked-data-of-a-page")
        state = browser.get("/tests/session").json()
        state["session"]["token"] = browser.get("/tests/token").json()["token"]
        redis.client.save()
        dump = (tmp_path / "dump.rdb").read_bytes()
        [key] = redis.client.keys("session:" + "?" * 64)  # type: ignore[misc]
        blob = redis.client.get(key)
        cookie = browser.cookies["__Host-session"]
        # Else the app waits at its end for this side to close its connection.
        browser.http.close()

    assert isinstance(blob, bytes)
    assert blob in dump, "the dump has the session"
    secrets = {text for text in leaves(state) if len(text) > 5} | {"kept", "user", cookie}
    browser.secrets |= {text for text in secrets if len(text) > 40}
    assert {"Jane Doe", "jane@example.com", "marked-data-of-a-page"} <= secrets
    # Tokens in parts as well: each part of a JWT is readable by itself.
    for text in {part for secret in secrets for part in (secret, *secret.split("."))}:
        if len(text) > 3 and not re.fullmatch(r"\d+", text):
            assert text.lower().encode() not in dump.lower(), text
    # Neither with the app's secret, for what stands there names no session.
    name = key.decode().removeprefix("session:")
    assert name == hashlib.sha256(cookie.encode()).hexdigest()
    for context in (name, key.decode(), ""):
        try:
            KeyRing([SECRET]).open("redis session", context.encode(), blob)
        except Undecryptable:
            continue
        raise AssertionError("it opens without the cookie")
    assert KeyRing([SECRET]).open("redis session", cookie.encode(), blob)
