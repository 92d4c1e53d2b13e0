"""What is no incident."""

import os
import signal

from tests.observability.incidents.keys import NEW, OLD, TAKEN
from tests.observability.incidents.place import Place, cookie_of, incident


@incident()
def a_good_day(place: Place) -> None:
    """People sign in, look at pages, cancel, sign out; keys are rotated, a worker is replaced."""
    secret = place.folder / "secret"
    place.folder.mkdir(parents=True)
    secret.write_text(f"{OLD},{NEW}")
    served = place.app(redis=place.redis(), workers=2, AUTH0_SECRET="", AUTH0_SECRET_FILE=str(secret))
    place.visit(served, "/", "/profile", "/no-such-page")
    place.seen()
    browsers = [place.browser(served) for _ in range(3)]
    for browser in browsers:
        browser.sign_in_as()
        assert browser.user
    place.visit(served, "/profile", "/tests/user", cookies=cookie_of(browsers[0]))
    stranger = place.browser(served)
    for _ in range(4):
        stranger.deny()
    browsers[2].visit("/logout")
    secret.write_text(f"{NEW},{OLD}")
    # Both, for one that drains looks no more, and has a quarter of this day's hour to do it.
    served.server.wait_for(TAKEN, times=2)
    os.kill(served.server.workers[0], signal.SIGTERM)
