"""What is wrong is said where one looks, and the old pods go on."""

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
        app.upgrade(changes, "--timeout=5s")
    wait_until(lambda: set(app.names()) - before, "a new pod")
    (new,) = set(app.names()) - before
    assert before < set(app.names())
    assert [item["metadata"]["name"] for item in app.pods() if not is_ready(item)] == [new]
    return str(new)


def test_what_is_wrong_is_named_in_the_events_or_the_log_and_the_old_pods_serve(
    app: Release, visitors: Visitors
) -> None:
    app.cluster.apply(secret(APP, "too-short", {"client-id": CLIENT, "client-secret": "hush-hush", "secret": "short"}))
    in_events = {
        'secret "not-there" not found': {"auth0": {"existingSecret": "not-there"}},
        "references non-existent secret key: no-such-key": {"auth0": {"keys": {"secret": "no-such-key"}}},
    }
    in_logs = {
        "AUTH0_SECRET": {"auth0": {"existingSecret": "too-short"}},
        "APP_PAGES": {"pages": {"module": "not_there"}},
    }
    try:
        with visitors() as running:
            for message, changes in (in_events | in_logs).items():
                name = stopped(app, changes)
                said = app.cluster.events if message in in_events else app.cluster.log
                wait_until(lambda said=said, name=name, message=message: message in said(APP, name), message)  # type: ignore[misc]
                assert "hush-hush" not in said(APP, name)
                app.helm("rollback", app.name, "--wait", "--timeout=180s")
            app.settle()
    finally:
        app.kubectl("delete", "secret", "too-short")
    assert running.failures == {}
