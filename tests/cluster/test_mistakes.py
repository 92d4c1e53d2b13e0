"""What is wrong with a Secret is said where one looks, and the old pods go on."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import pytest

from tests.cluster.cluster import secret, wait_until
from tests.cluster.conftest import APP, CLIENT
from tests.cluster.load import Load
from tests.cluster.release import HelmError, Release, is_ready

Visitors = Callable[..., AbstractContextManager[Load]]


def stopped(app: Release, changes: dict[str, Any]) -> str:
    """The name of the pod at which an upgrade with these values stops; the others are still there, and ready."""
    before = set(app.names())
    with pytest.raises(HelmError):
        app.upgrade(changes, "--timeout=15s")
    (new,) = set(app.names()) - before
    assert before < set(app.names())
    assert [item["metadata"]["name"] for item in app.pods() if not is_ready(item)] == [new]
    return str(new)


def test_a_wrong_secret_is_named_in_the_events_or_the_log_and_the_old_pods_serve(
    app: Release, visitors: Visitors
) -> None:
    app.cluster.apply(secret(APP, "too-short", {"client-id": CLIENT, "client-secret": "hush-hush", "secret": "short"}))
    with visitors(requests=1000) as running:
        name = stopped(app, {"auth0": {"existingSecret": "not-there"}})
        wait_until(lambda: 'secret "not-there" not found' in app.cluster.events(APP, name), "the event")
        app.helm("rollback", app.name, "--wait", "--timeout=180s")
        name = stopped(app, {"auth0": {"keys": {"secret": "no-such-key"}}})
        wait_until(
            lambda: "references non-existent secret key: no-such-key" in app.cluster.events(APP, name), "the event"
        )
        app.helm("rollback", app.name, "--wait", "--timeout=180s")
        name = stopped(app, {"auth0": {"existingSecret": "too-short"}})
        log = app.kubectl("logs", name, "--container=app")
        app.helm("rollback", app.name, "--wait", "--timeout=180s")
        app.settle()
    assert "AUTH0_SECRET" in log
    assert "hush-hush" not in log
    assert running.failures == {}
