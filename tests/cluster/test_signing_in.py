"""A person at a browser, through the Service with TLS, and what `helm test` says."""

import re
from contextlib import ExitStack
from pathlib import Path

import pytest
from playwright.sync_api import expect

from scripts.certificates import CA
from tests.cluster.cluster import wait_until
from tests.cluster.conftest import HOST, IDENTITY, ISSUER
from tests.cluster.release import HelmError, Release
from tests.servers.chromium import chromium


def test_a_person_signs_in_and_out_in_a_browser(app: Release, certificates: CA, tmp_path: Path) -> None:
    origin = f"https://{HOST}"
    with ExitStack() as stack:
        ports = {
            f"{HOST}:443": stack.enter_context(app.cluster.forward(app.namespace, f"service/{app.name}", 443)),
            ISSUER[8:-1]: stack.enter_context(app.cluster.forward(IDENTITY, "service/identity", 9443)),
        }
        # The certificates are checked for the names that the address bar has; only where those lead is another place.
        rules = ",".join(
            [*(f"MAP {name} 127.0.0.1:{port}" for name, port in ports.items()), "MAP * ~NOTFOUND", "EXCLUDE 127.0.0.1"]
        )
        start = stack.enter_context(chromium(tmp_path, certificates))
        page = start.browser(f"--host-resolver-rules={rules}").new_page()
        page.goto(f"{origin}/profile")
        assert page.url.startswith(ISSUER)
        page.fill("#username", "jane@example.com")
        page.fill("#password", "correct-horse")
        page.get_by_role("button", name="Sign in").click()
        expect(page).to_have_url(f"{origin}/profile")
        expect(page.get_by_role("heading", level=1)).to_have_text("Jane Doe")
        cookies = {str(cookie.get("name")): cookie for cookie in page.context.cookies(origin)}
        assert cookies
        assert all(name.startswith("__Host-") and cookie.get("secure") for name, cookie in cookies.items())
        # The app asks the provider with the access token.
        page.get_by_role("link", name="API call").click()
        expect(page.get_by_role("main")).to_contain_text("answered 200")
        page.get_by_role("link", name="Logout").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Welcome!")
        page.context.browser.close()  # type: ignore[union-attr]


def test_helm_test_asks_the_service_and_leaves_no_pod(app: Release) -> None:
    said = app.helm("test", app.name, "--timeout=60s")
    assert re.search(r"Phase: +Succeeded", said)
    assert not app.cluster.exists(app.namespace, "pod", f"{app.name}-test")


def test_helm_test_fails_where_nobody_answers(app: Release) -> None:
    """The control."""
    app.upgrade({"replicaCount": 0})
    # Those that leave still answer.
    wait_until(lambda: not app.cluster.exists(app.namespace, "pods", f"--selector={app.selector}"), "no pod")
    with pytest.raises(HelmError):
        app.helm("test", app.name, "--timeout=60s")
    # It stays, so that its log can be read.
    app.kubectl("delete", "pod", f"{app.name}-test")
