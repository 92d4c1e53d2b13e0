"""What is there after `helm install`."""

from tests.cluster.conftest import HOST, Installed

# The figure to keep on a machine with two cores that does nothing else.
READY_SECONDS = 60


def test_helm_waits_until_all_pods_are_ready_and_says_what_to_enter_at_auth0(installed: Installed) -> None:
    assert installed.seconds < READY_SECONDS
    assert f"The app is at https://{HOST}\n" in installed.notes
    assert f"Allowed Callback URLs     https://{HOST}/callback\n" in installed.notes
    assert f"Back-Channel Logout URI   https://{HOST}/backchannel-logout\n" in installed.notes
    installed.release.settle(2)
