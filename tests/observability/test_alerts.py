"""Faults in a real run of the app, seen by the real Prometheus: people are told of the right alert and of no other."""

import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from scripts.certificates import authority
from tests.observability import incidents
from tests.observability.incidents.place import Incident, Place
from tests.observability.watch import Watch, watch
from tests.servers.identity import identity

# Starting an app takes a second of a core; two cores do that for two at a time.
AT_ONCE = 3
LIMIT_SECONDS = 110
# A quarter of an hour of the shorter day: longer than any alert waits, not as long as a cause explains its symptoms.
SOON_SECONDS = 20
# These say that something is slow, and a machine that does other work may be: where a test slows nothing down they are
# left out, and are held against figures in tests/observability/rules alone.
OF_SPEED = {"PagesSlow", "LoginsSlow", "SessionStoreSlow", "EventLoopBlocked"}
# So do these where a machine took longer for a scrape than the second that Prometheus waits.
OF_SCRAPES = {"AppAbsent", "ScrapeMissing"}
# The first test of each kind waits for what has to happen before.
pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watch]:
    """What sees and tells."""
    with watch(tmp_path_factory.mktemp("watch")) as running:
        yield running


@pytest.fixture(scope="module")
def happened(seen: Watch, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Future[None]]]:
    """Every incident, each as soon as there is room for it; they go on until the last test."""
    folder = tmp_path_factory.mktemp("incidents")
    with ExitStack() as stack, identity(authority(folder / "ca")) as provider, ThreadPoolExecutor(AT_ONCE) as pool:
        places = {
            each.name: Place(each.name, folder / each.name, seen, provider, stack.enter_context(ExitStack()))
            for each in incidents.ALL
        }
        yield {each.name: pool.submit(each.happen, places[each.name]) for each in incidents.ALL}
        # Servers end one as slowly as the other.
        list(pool.map(lambda place: place.stack.close(), places.values()))


@pytest.fixture(scope="module")
def all_is_said(happened: dict[str, Future[None]], seen: Watch) -> None:
    """All that will be told of the incidents has been told."""
    for done in happened.values():
        done.result(LIMIT_SECONDS)
    for each in incidents.ALL:
        for alert in each.expected:
            seen.wait_for(alert, each.name)
    seen.wait_until_all_is_said(time.time())


@pytest.mark.parametrize("each", [one for one in incidents.ALL if one.expected], ids=lambda one: one.name)
def test_people_are_told_in_time(each: Incident, happened: dict[str, Future[None]], seen: Watch) -> None:
    happened[each.name].result(LIMIT_SECONDS)
    for alert, severity in each.expected.items():
        assert seen.wait_for(alert, each.name).receiver == severity


@pytest.mark.usefixtures("all_is_said")
@pytest.mark.parametrize("each", incidents.ALL, ids=lambda one: one.name)
def test_people_are_told_of_nothing_else(each: Incident, seen: Watch) -> None:
    messages = seen.told(each.name)
    # Later, when the cause is over and explains nothing any more, the ticket follows on what it has cost.
    soon = [message for message in messages if message.at - messages[0].at < SOON_SECONDS]
    told = {(message.labels["alertname"], message.receiver) for message in soon}
    excused = (OF_SPEED | OF_SCRAPES if seen.waited_in_vain(each.name) else OF_SPEED) - each.expected.keys()
    told -= {(alert, receiver) for alert, receiver in told if alert in excused}
    assert told == set(each.expected.items()), seen.known(each.name)


@pytest.mark.usefixtures("all_is_said")
def test_every_rule_can_be_evaluated(seen: Watch) -> None:
    assert seen.unhealthy() == []
