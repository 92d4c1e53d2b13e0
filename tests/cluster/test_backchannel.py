"""The provider ends somebody's sessions: it tells the app through the Service, and every pod knows."""

import json

from tests.cluster.conftest import HOST, IDENTITY, ISSUER, PEOPLE
from tests.cluster.release import Release
from tests.servers.identity import Knobs

SIGN_IN = """
import json, sys
sys.path.insert(0, "/people")
from visitors import Person
with Person(sys.argv[1], sys.argv[2], "/people/ca.pem") as person:
    person.sign_in_at_the_app(sys.argv[3], sys.argv[4])
    print(json.dumps(person.cookies()))
"""
# Asked at a pod's own address, by the name that its certificate is for.
PAGES = """
import http.client, json, socket, ssl, sys
host, addresses, browsers = sys.argv[1], *map(json.loads, sys.argv[2:])
trust = ssl.create_default_context(cafile="/people/ca.pem")
def status(address, cookies):
    connection = http.client.HTTPSConnection(host)
    connection.sock = trust.wrap_socket(socket.create_connection((address, 8443), 10), server_hostname=host)
    connection.request("GET", "/profile", headers={"Cookie": "; ".join(map("=".join, cookies.items()))})
    return connection.getresponse().status
print(json.dumps([[status(address, cookies) for cookies in browsers] for address in addresses]))
"""


def run(app: Release, program: str, *arguments: str) -> object:
    """What a program prints as JSON, in the pod of those who use the app."""
    return json.loads(app.cluster.execute(PEOPLE, "visitors", "python", "-c", program, *arguments))


def signed_in(app: Release, username: str, password: str) -> object:
    """The cookies of somebody who has signed in."""
    return run(app, SIGN_IN, f"https://{HOST}", ISSUER, username, password)


def pages(app: Release, *browsers: object) -> object:
    """Of each of the app's pods, what each browser gets."""
    addresses = [pod["status"]["podIP"] for pod in app.pods()]
    return run(app, PAGES, HOST, json.dumps(addresses), json.dumps(browsers))


def end_sessions(app: Release, account: str) -> int:
    """The provider ends somebody's sessions and tells the app; how many there were."""
    with app.cluster.forward(IDENTITY, "deployment/identity", 9444) as port:
        knobs = Knobs(f"http://127.0.0.1:{port}")
        try:
            return knobs.end_sessions(account)
        finally:
            knobs.close()


def test_a_session_that_the_provider_ends_is_over_in_every_pod_and_nobody_elses(app: Release) -> None:
    here, there = (signed_in(app, "jane@example.com", "correct-horse") for _ in range(2))
    john = signed_in(app, "john@example.com", "battery-staple")
    assert pages(app, here, there, john) == [[200, 200, 200]] * 2
    # Of others that have signed in as Jane too.
    assert end_sessions(app, "jane@example.com") >= 2
    assert pages(app, here, there, john) == [[303, 303, 200]] * 2
