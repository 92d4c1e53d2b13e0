"""Secrets and certificates change while people use the app: no request is lost, nobody is signed out."""

from collections.abc import Callable
from contextlib import AbstractContextManager

from scripts.certificates import CA
from tests.cluster.cluster import secret, wait_until
from tests.cluster.conftest import APP, CLIENT, CLIENT_SECRET, HOST, IDENTITY, KEY, PEOPLE, auth0, bring, pair
from tests.cluster.load import Load
from tests.cluster.release import Release
from tests.cluster.test_backchannel import end_sessions, pages, signed_in
from tests.servers.identity import Knobs

Visitors = Callable[..., AbstractContextManager[Load]]
NEW_KEY = "second-" + "fedcba9876543210" * 4
SERIAL = """
import socket, ssl, sys
trust = ssl.create_default_context(cafile="/people/ca.pem")
with trust.wrap_socket(socket.create_connection((sys.argv[1], 8443), 10), server_hostname=sys.argv[2]) as connection:
    print(connection.getpeercert()["serialNumber"])
"""


def test_the_sessions_key_is_replaced_in_running_pods_and_nobody_is_signed_out(
    app: Release, visitors: Visitors
) -> None:
    pods = app.names()
    with visitors() as running:
        for keys in (f"{KEY},{NEW_KEY}", f"{NEW_KEY},{KEY}"):
            bring(app, keys)
            # Everybody's session is read, and so moves to the key that writes.
            running.wait_for(200)
        bring(app, NEW_KEY)
        running.wait_for(200)
    assert running.failures == {}
    assert running.logins > 0
    assert app.names() == pods


def test_a_key_that_is_replaced_at_once_signs_everybody_out(app: Release, visitors: Visitors) -> None:
    """The control."""
    with visitors(requests=0) as running:
        bring(app, NEW_KEY)
        wait_until(lambda: running.failures, "somebody who is signed out")
    assert any(outcome.endswith("GET /profile: 303") for outcome in running.failures)


def serials(app: Release) -> set[str]:
    """Of the certificates that the pods show."""
    found = [pod["status"]["podIP"] for pod in app.pods()]
    return {app.cluster.execute(PEOPLE, "visitors", "python", "-c", SERIAL, address, HOST).strip() for address in found}


def test_a_new_certificate_is_shown_by_running_pods_and_loses_no_request(
    app: Release, visitors: Visitors, certificates: CA
) -> None:
    pods, before = app.names(), serials(app)
    with visitors() as running:
        app.cluster.apply(secret(APP, "app-tls", pair(certificates, HOST, "app-renewed"), "kubernetes.io/tls"))
        wait_until(lambda: len(after := serials(app)) == 1 and not after & before, "the new certificate in every pod")
    assert running.failures == {}
    assert app.names() == pods


def test_another_pod_of_redis_has_the_sessions_of_the_one_before(app: Release, visitors: Visitors) -> None:
    browser = signed_in(app, "jane@example.com", "correct-horse")
    with visitors(requests=0) as running:
        app.kubectl("delete", "pod", "auth0-flask-redis-0")
        app.kubectl("rollout", "status", "statefulset/auth0-flask-redis", "--timeout=120s")
        # Nobody has become anonymous: that would be 303.
        running.wait_for(500)
        logins = running.logins
        wait_until(lambda: running.logins > logins, "a sign-in")
    outcomes = {outcome.rpartition(": ")[2] for outcome in running.failures if not outcome.startswith("sign-in: ")}
    assert outcomes <= {"503"}
    # They are found by whose they are, too: not by a page that has just read one, which would know it again.
    assert end_sessions(app, "jane@example.com") >= 1
    assert pages(app, browser) == [[303], [303]]


def test_a_new_client_secret_is_taken_by_a_restart_which_loses_no_request_of_those_who_are_signed_in(
    app: Release, visitors: Visitors
) -> None:
    with app.cluster.forward(IDENTITY, "deployment/identity", 9444) as port:
        knobs = Knobs(f"http://127.0.0.1:{port}")
        try:
            with visitors() as running:
                knobs.change_clients({"client_id": CLIENT, "client_secret": "another-client-secret"})
                app.cluster.apply(auth0(client_secret="another-client-secret"))
                app.kubectl("rollout", "restart", f"deployment/{app.name}")
                app.settle()
                logins = running.logins
                wait_until(lambda: running.logins > logins, "a sign-in with the new secret")
        finally:
            knobs.change_clients({"client_id": CLIENT, "client_secret": CLIENT_SECRET})
            knobs.close()
    # From the moment that the provider knows the new one alone, until the pods do too.
    assert set(running.failures) <= {"sign-in: AssertionError callback 500"}
