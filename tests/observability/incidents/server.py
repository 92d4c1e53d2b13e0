"""What goes wrong in the app's own processes."""

import os
import signal

from tests.integration.browser import until
from tests.observability.incidents.place import Place, incident
from tests.servers.gunicorn import Gunicorn


@incident(PagesFailing="page")
def a_bug(place: Place) -> None:
    """A page fails whenever it is asked for."""
    served = place.app()
    place.visit(served, "/", "/")
    place.seen()
    place.visit(served, "/tests/bug", every=0.1)


@incident(PagesSlow="page")
def a_slow_page(place: Place) -> None:
    """A page takes 0.6 s."""
    served = place.app()
    place.visit(served, "/", every=0.3)
    place.seen()
    for _ in range(3):
        place.visit(served, "/tests/slow/0.6", every=0.05)


@incident(RequestsRefused="ticket")
def one_request_too_many(place: Place) -> None:
    """There is room for one request at a time, somebody always has it, and now and then another one wants it too.

    Not as often as to be felt: fewer than ten are refused.
    """
    served = place.app(SERVER_CONCURRENCY="1")
    place.seen()
    place.visit(served, "/tests/slow/0.4", every=0.01)
    place.visit(served, "/", every=2, times=7)


@incident(CallsQueueing="ticket", PagesSlow="page")
def a_page_that_keeps_the_only_thread(place: Place) -> None:
    """A plain view takes half a second, and four people at a time want it of one thread: each waits for the others."""
    served = place.app(SERVER_THREADS="1")
    place.visit(served, "/")
    place.seen()
    for _ in range(4):
        place.visit(served, "/busy/thread/0.5", every=0.01)


@incident(EventLoopBlocked="ticket")
def a_page_that_blocks_the_loop(place: Place) -> None:
    """An `async def` view calls what blocks, for 0.4 s: not long enough to be a slow page."""
    served = place.app()
    place.visit(served, "/")
    place.seen()
    place.visit(served, "/busy/loop/0.4", every=0.6)


@incident(WorkersCrashing="ticket")
def a_worker_is_killed_again_and_again(place: Place) -> None:
    """Four times, each time as soon as there is one again."""
    served = place.app(workers=2)
    place.visit(served, "/")
    place.seen()
    for _ in range(4):
        before = set(served.server.workers)
        os.kill(min(before), signal.SIGKILL)
        until(lambda before=before: set(served.server.workers) - before, bool)


@incident(ScrapeMissing="ticket")
def one_of_two_is_gone(place: Place) -> None:
    """One server ends and stays among the targets; the other one serves."""
    first, second = place.app(), place.app()
    place.visit(first, "/")
    place.seen()
    _end(second.server)


@incident(AppAbsent="page")
def the_app_is_gone(place: Place) -> None:
    """The only server ends."""
    served = place.app()
    place.visit(served, "/")
    place.seen()
    _end(served.server)


def _end(server: Gunicorn) -> None:
    server.signal(signal.SIGKILL)
    server.kill()
