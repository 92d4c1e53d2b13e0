"""What the provider offers to an app for which `localhost` is another place than for the browser, and over restarts."""

import httpx
import pytest

from scripts.certificates import CA
from tests.integration.identity.browser import Browser
from tests.integration.identity.protocol import RelyingParty
from tests.integration.identity.receiver import receiver
from tests.servers.identity import CLIENT, identity
from tests.servers.ports import free_ports

# Nobody listens there: what reaches it was led elsewhere.
ELSEWHERE = "https://localhost:9/"


def key_ids(ca: CA, *options: str) -> list[str]:
    """The keys that a provider with these options publishes."""
    with identity(ca, options=options) as provider, provider.client() as http:
        return [key["kid"] for key in http.get("/.well-known/jwks.json").json()["keys"]]


def test_a_kept_signing_key_is_the_same_after_a_restart(ca: CA, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("kept") / "key.json"
    first = key_ids(ca, "--key-file", str(path))
    assert key_ids(ca, "--key-file", str(path)) == first
    assert path.stat().st_mode & 0o777 == 0o600
    assert key_ids(ca) != first


def test_the_tunnel_leads_to_the_issuers_address_and_nowhere_else(ca: CA) -> None:
    port, other = free_ports(2)
    options = ["--issuer", ELSEWHERE, "--tunnel", str(port)]
    with identity(ca, options=options) as provider, provider.client(proxy=f"http://127.0.0.1:{port}") as http:
        assert http.get(f"{ELSEWHERE}.well-known/openid-configuration").json()["issuer"] == ELSEWHERE
        for target in (f"https://localhost:{other}/", "https://127.0.0.1:9/", "https://localhost/"):
            with pytest.raises(httpx.ProxyError, match="403"):
                http.get(target)
        assert http.get("http://localhost:9/").status_code == 405
        # A tunnel that is open does not keep the process.
        provider.stop()
        assert provider.process.returncode == 0


def test_back_channel_logout_is_delivered_where_the_address_really_is(ca: CA) -> None:
    with receiver(ca) as received:
        (port,) = (httpx.URL(received.url).port,)
        address = {"client_id": CLIENT["client_id"], "backchannel_logout_uri": f"{ELSEWHERE}backchannel-logout"}
        options = ["--connect-to", f"localhost:9=127.0.0.1:{port}"]
        with (
            identity(ca, clients=[address], options=options) as provider,
            Browser(provider.issuer, str(ca.path)) as browser,
        ):
            RelyingParty(provider).sign_in(browser)
            browser.open(f"/v2/logout?client_id={CLIENT['client_id']}")
            assert received.logout_token()
