"""What is there after `helm install`."""

from tests.cluster.conftest import HOST, Installed


def test_helm_waits_until_all_pods_are_ready_and_says_what_to_enter_at_auth0(installed: Installed) -> None:
    assert f"The app is at https://{HOST}\n" in installed.notes
    assert f"Allowed Callback URLs     https://{HOST}/callback\n" in installed.notes
    assert f"Back-Channel Logout URI   https://{HOST}/backchannel-logout\n" in installed.notes
    installed.release.settle(2)
