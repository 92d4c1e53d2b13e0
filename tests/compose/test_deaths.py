"""What happens when a part dies under load: the table of docs/compose.md, row by row."""

import httpx
import pytest

from tests.compose.load import load
from tests.compose.stack import Stack, Visitor, wait_until

SENT_TWICE = {("GET", "/profile"), ("GET", "/")}


@pytest.mark.parametrize("replica", ["app-1", "app-2"])
def test_without_one_replica_the_other_serves_and_it_comes_back(stack: Stack, visitor: Visitor, replica: str) -> None:
    stack.wait_until_trusted()
    with load(stack, visitor) as running:
        stack.crash(replica)
        running.wait_for(100)
        stack.wait_until_healthy(replica)
        running.wait_for(100)
    # What nginx may send again, it has sent to the other one. A form and the last step of a sign-in may be lost.
    lost = {outcome: count for outcome, count in running.failures.items() if outcome[:2] in SENT_TWICE}
    assert lost == {}
    assert {status for _, _, status in running.failures} <= {"502"}


def test_without_nginx_connections_are_refused_until_it_is_back(stack: Stack, visitor: Visitor) -> None:
    with load(stack, visitor) as running:
        stack.crash("nginx")
        running.wait_for(100)
        stack.wait_until_healthy("nginx")
    assert {outcome for _, _, outcome in running.failures} <= {"ConnectError", "ReadError", "RemoteProtocolError"}
    assert visitor.is_signed_in()


def test_without_redis_public_pages_work_and_people_are_signed_in_when_it_is_back(
    stack: Stack, visitor: Visitor
) -> None:
    with load(stack, visitor) as running:
        stack.crash("redis")
        running.wait_for(50)
        stack.wait_until_healthy("redis", "app-1", "app-2")
        wait_until(visitor.is_signed_in, "signed in again")
    assert {outcome for _, _, outcome in running.failures} <= {"503"}
    assert {path for _, path, _ in running.failures} <= {"/profile", "/", "/callback?code=x&state=y"}
    with httpx.Client(verify=stack.trust, trust_env=False, timeout=60) as stranger:
        assert stranger.get(stack.origin).status_code == 200


def test_a_restart_of_redis_ends_no_session_and_a_logout_at_the_provider_still_does(
    stack: Stack, visitor: Visitor
) -> None:
    stack.docker("restart", stack.container("redis"))
    stack.wait_until_healthy("redis")
    wait_until(visitor.is_signed_in, "signed in")
    # It finds the session by the index, which has to be there too.
    visitor.open("/v2/logout?client_id=local-client")
    wait_until(lambda: not visitor.is_signed_in(), "the session's end")


def test_without_the_provider_who_is_signed_in_stays_so_and_others_sign_in_when_it_is_back(
    stack: Stack, visitor: Visitor
) -> None:
    with load(stack, visitor) as running:
        stack.crash("identity")
        running.wait_for(50)
        stack.wait_until_healthy("identity")
    assert running.failures == {}
    # Without a restart of the app, which has read the provider's keys: they are the same.
    with stack.visitor() as somebody:
        somebody.sign_in_at_the_app()


@pytest.mark.parametrize("service", ["prometheus", "alertmanager"])
def test_without_observability_nobody_notices(stack: Stack, visitor: Visitor, service: str) -> None:
    with load(stack, visitor) as running:
        stack.crash(service)
        running.wait_for(50)
        stack.wait_until_healthy(service)
    assert running.failures == {}
