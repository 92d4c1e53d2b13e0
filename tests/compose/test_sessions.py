"""Sessions of the running stack: their key is replaced, and the provider ends them; neither stops a container."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.stack.rolling import REPLICAS
from tests.compose.load import load
from tests.compose.stack import Stack, Visitor, wait_until

READ_ANEW = "the keys of sessions were read anew"
WORKERS = 2
NEW_KEY = "second-" + "fedcba9876543210" * 4
# As nginx asks, and what a browser would be told.
ASK = """
import http.client, os, socket, sys
asked = http.client.HTTPConnection("localhost")
asked.sock = socket.socket(socket.AF_UNIX)
asked.sock.connect(os.environ["SERVER_BIND"].removeprefix("unix:"))
sent = {"Host": sys.argv[1], "X-Forwarded-Proto": "https", "Accept": "text/html", "Cookie": sys.argv[2]}
asked.request("GET", "/profile", headers=sent)
print(asked.getresponse().status)
"""


@pytest.fixture
def own_key(stack: Stack) -> Iterator[str]:
    """The key that the stack has made itself, and has again afterwards."""
    yield stack.docker("exec", stack.container("app-1"), "cat", "/run/secrets/auth0_secret")
    stack.up()


def bring(stack: Stack, path: Path, keys: str) -> None:
    """Write the keys into the file, say `make up`, and wait until every worker of both replicas has them."""
    before = {replica: readings(stack, replica) for replica in REPLICAS}
    path.write_text(keys)
    stack.up(AUTH0_SECRET_FILE=str(path))
    for replica, count in before.items():
        wait_until(
            lambda replica=replica, count=count: readings(stack, replica) >= count + WORKERS,  # type: ignore[misc]
            f"new keys in {replica}",
        )


def readings(stack: Stack, replica: str) -> int:
    """How often a replica's workers have read new keys."""
    return stack.said(replica).count(READ_ANEW)


def test_the_sessions_key_is_replaced_under_load_and_nobody_is_signed_out(
    stack: Stack, visitor: Visitor, own_key: str, tmp_path: Path
) -> None:
    before = stack.containers()
    path = tmp_path / "keys"
    with load(stack, visitor) as running:
        for keys in (f"{own_key},{NEW_KEY}", f"{NEW_KEY},{own_key}", NEW_KEY):
            bring(stack, path, keys)
            # The session is read by each worker, and so moves to the key that writes.
            running.wait_for(100)
    assert running.failures == {}, running.outcomes
    assert stack.containers() == before
    # The control: without a step at which both are there, everybody is signed out.
    bring(stack, path, own_key)
    assert not visitor.is_signed_in()


def answers(stack: Stack, visitor: Visitor) -> list[str]:
    """What each replica, asked directly, answers the visitor who wants to see the profile."""
    host = stack.origin.removeprefix("https://")
    cookie = "; ".join(f"{cookie.name}={cookie.value}" for cookie in visitor.http.cookies.jar)
    return [stack.docker("exec", stack.container(name), "python", "-c", ASK, host, cookie) for name in REPLICAS]


def test_a_logout_at_the_provider_is_delivered_through_nginx_and_ends_the_session_on_both_replicas(
    stack: Stack, visitor: Visitor
) -> None:
    with stack.visitor() as elsewhere:
        # The same person in another browser.
        elsewhere.sign_in_at_the_app()
        assert answers(stack, visitor) == answers(stack, elsewhere) == ["200", "200"]
        # At the provider alone, as another application of its does; the app's own page is not asked.
        visitor.open("/v2/logout?client_id=local-client")
        wait_until(lambda: answers(stack, visitor) == ["303", "303"], "the session's end on both replicas")
        assert answers(stack, elsewhere) == ["200", "200"]

    def delivered() -> list[tuple[str, int]]:
        lines = [json.loads(line) for line in stack.said("nginx").splitlines() if "/backchannel-logout" in line]
        return [(line["method"], line["status"]) for line in lines if line["path"] == "/backchannel-logout"]

    wait_until(lambda: delivered()[-1:] == [("POST", 200)], "the delivery in nginx' log")
