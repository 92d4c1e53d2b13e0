"""The app is replaced, scaled and moved while people use it: no request is lost, nobody is signed out."""

from collections.abc import Callable
from contextlib import AbstractContextManager

from tests.cluster.conftest import Images
from tests.cluster.load import Load
from tests.cluster.release import Release

# One may be lucky.
MOST_ROLLOUTS = 5
Visitors = Callable[..., AbstractContextManager[Load]]


def images_of(app: Release) -> set[str]:
    """What the app's containers run."""
    return {pod["spec"]["containers"][0]["image"] for pod in app.pods()}


def test_an_upgrade_to_another_image_and_its_rollback_lose_no_request(
    app: Release, visitors: Visitors, images: Images
) -> None:
    before = set(app.names())
    with visitors() as running:
        app.upgrade({"image": {"tag": images.upgrade}})
        app.settle()
    assert images_of(app) == {f"auth0-flask:{images.upgrade}"}
    assert not before & set(app.names())
    assert running.failures == {}
    assert running.logins > 0
    with visitors() as running:
        app.helm("rollback", app.name, "--wait", "--timeout=180s")
        app.settle()
    assert images_of(app) == {f"auth0-flask:{images.tag}"}
    assert running.failures == {}


def test_the_same_load_notices_a_rollout_of_pods_that_leave_at_once(app: Release, visitors: Visitors) -> None:
    """The control: nginx and the app stop as soon as they are told, before everybody knows."""
    hasty = {"shutdown": {"announceSeconds": 0, "handOverSeconds": 1}}
    app.upgrade(hasty)
    app.settle()
    with visitors(requests=1000) as running:
        for number in range(MOST_ROLLOUTS):
            app.upgrade({**hasty, "podAnnotations": {"rollout": str(number)}})
            app.settle()
            if running.failures:
                break
    app.upgrade({})
    assert running.failures
