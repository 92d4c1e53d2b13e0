"""The guide's last step on a laptop: a `.env` file, `flask run`, a sign-in over plain HTTP at localhost."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.integration.identity.browser import Browser
from tests.servers.identity import CLIENT, IdentityProvider
from tests.servers.ports import free_ports
from tests.servers.redis import RedisServer

ROOT = Path(__file__).parents[3]
SECONDS = 60
# One of its own: the other tests' keeps its addresses.
ITS_CLIENT = {**CLIENT, "client_id": "under-flask-run"}


@pytest.fixture(params=["cookie", "redis"])
def origin(
    request: pytest.FixtureRequest, running_provider: IdentityProvider, session_redis: RedisServer, tmp_path: Path
) -> Iterator[str]:
    """Where the app of this checkout runs, configured by a file in the style of `.env.example`."""
    (port,) = free_ports(1)
    origin = f"http://localhost:{port}"
    running_provider.knobs.reset()
    running_provider.knobs.change_clients(
        {**ITS_CLIENT, "redirect_uris": [f"{origin}/callback"], "allowed_logout_urls": [origin]}
    )
    values = {
        "AUTH0_DOMAIN": running_provider.domain,
        "AUTH0_CLIENT_ID": ITS_CLIENT["client_id"],
        "AUTH0_CLIENT_SECRET": ITS_CLIENT["client_secret"],
        "AUTH0_SECRET": "5d0e6dcb6fb6b9be4a6ed3df0ba4d7b4c0ef1f2a2f8b6c1f7c5a9ac8f2ab14de",
        "AUTH0_REDIRECT_URI": f"{origin}/callback",
        "SESSION_BACKEND": request.param,
        **({"REDIS_URL": session_redis.url} if request.param == "redis" else {}),
    }
    names = [line.partition("=")[0].lstrip("# ") for line in (ROOT / ".env.example").read_text().splitlines()]
    assert set(values) <= set(names)
    lines = [f"{name}={value}" for name, value in ({"APP_ENV": "development"} | values).items()]
    (tmp_path / ".env").write_text("\n".join(lines) + "\n")
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "flask", "--app", "app", "run", "--port", str(port)],
            cwd=tmp_path,
            env={
                "PATH": os.environ["PATH"],
                "PYTHONPATH": str(ROOT),
                "SSL_CERT_FILE": str(running_provider.ca.path),
            },
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        deadline = time.monotonic() + SECONDS
        while "Running on" not in (text := (tmp_path / "log").read_text()):
            assert process.poll() is None, text
            assert time.monotonic() < deadline, text
            time.sleep(0.02)
        yield origin
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(SECONDS)
        running_provider.knobs.reset()
    assert "Traceback" not in (tmp_path / "log").read_text()


def test_a_person_signs_in_sees_the_profile_calls_the_api_and_signs_out(
    origin: str, running_provider: IdentityProvider
) -> None:
    with (
        httpx.Client(base_url=origin, timeout=SECONDS, trust_env=False) as browser,
        Browser(running_provider.issuer, str(running_provider.ca.path)) as provider,
    ):
        assert "Welcome!" in browser.get("/").text
        callback = provider.sign_in(browser.get("/login?return_to=/profile").headers["location"])
        assert callback.startswith(f"{origin}/callback?")
        assert browser.get(callback).headers["location"] == "/profile"
        assert "jane@example.com" in browser.get("/profile").text
        assert "auth0|6650c1b1f4c0aa0001a11ce5" in browser.get("/api-call").text
        leaving = browser.get("/logout").headers["location"]
        assert str(provider.open(leaving).headers["location"]).rstrip("/") == origin
        assert browser.get("/profile").status_code == 303
