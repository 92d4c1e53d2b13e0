"""What goes wrong with the keys of sessions."""

from pathlib import Path

from tests.observability.incidents.place import Place, cookie_of, incident
from tests.servers.app import ServedApp

OLD, NEW = "old-key-0123456789-0123456789-abcdef", "new-key-0123456789-0123456789-abcdef"
TAKEN = "the keys of sessions were read anew"


@incident(UndecryptableSessions="page")
def a_new_key_without_the_old_one(place: Place) -> None:
    """One server of two gets the new key alone; who was signed in is a stranger there."""
    files, servers = _two_servers(place)
    browser = place.browser(servers[0])
    browser.sign_in_as()
    cookies = cookie_of(browser)
    for served in servers:
        place.visit(served, "/tests/user", every=0.1, cookies=cookies)
    place.seen()
    files[1].write_text(NEW)
    servers[1].server.wait_for(TAKEN)


@incident(KeyRotationStuck="ticket")
def a_rotation_that_reaches_one_of_two(place: Place) -> None:
    """One server writes with the new key, the other one has not even got it."""
    files, servers = _two_servers(place)
    for served in servers:
        place.visit(served, "/")
    place.seen()
    files[0].write_text(f"{NEW},{OLD}")
    servers[0].server.wait_for(TAKEN)


@incident(SecretFileUnusable="ticket")
def a_secret_that_is_too_short(place: Place) -> None:
    """The file of the keys is overwritten with something else."""
    place.folder.mkdir(parents=True)
    secret = place.folder / "secret"
    secret.write_text(OLD)
    served = place.app(AUTH0_SECRET="", AUTH0_SECRET_FILE=str(secret))
    place.visit(served, "/")
    place.seen()
    secret.write_text("oops")
    served.server.wait_for("AUTH0_SECRET_FILE was not taken")


def _two_servers(place: Place) -> tuple[list[Path], list[ServedApp]]:
    redis = place.redis()
    files = [place.folder / f"secret-{number}" for number in range(2)]
    for file in files:
        file.write_text(OLD)
    return files, [place.app(redis=redis, AUTH0_SECRET="", AUTH0_SECRET_FILE=str(file)) for file in files]
