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


def test_a_session_that_the_provider_ends_is_over_in_every_pod_and_nobody_elses(app: Release) -> None:
    def run(program: str, *arguments: str) -> object:
        return json.loads(app.cluster.execute(PEOPLE, "visitors", "python", "-c", program, *arguments))

    def signed_in(username: str, password: str) -> object:
        return run(SIGN_IN, f"https://{HOST}", ISSUER, username, password)

    def pages(*browsers: object) -> object:
        """Of each pod, what each browser gets."""
        return run(PAGES, HOST, json.dumps(addresses), json.dumps(browsers))

    addresses = [pod["status"]["podIP"] for pod in app.pods()]
    assert len(addresses) == 2
    here, there = (signed_in("jane@example.com", "correct-horse") for _ in range(2))
    john = signed_in("john@example.com", "battery-staple")
    assert pages(here, there, john) == [[200, 200, 200]] * 2
    with app.cluster.forward(IDENTITY, "deployment/identity", 9444) as port:
        knobs = Knobs(f"http://127.0.0.1:{port}")
        try:
            # Of others that have signed in as Jane too.
            assert knobs.end_sessions("jane@example.com") >= 2
        finally:
            knobs.close()
    assert pages(here, there, john) == [[303, 303, 200]] * 2
