"""Why one loop: the SDK's client on Flask's own adapter, which makes a loop for each request."""

import gc
from collections.abc import Callable
from urllib.parse import urlsplit

import pytest
from auth0_server_python.auth_server.server_client import ServerClient
from flask import Flask

from app import sessions
from app.server import LoopFlask, await_
from app.settings import Settings
from tests.integration.identity.browser import Browser
from tests.servers.app import CALLBACK, ORIGIN
from tests.servers.identity import CLIENT, IdentityProvider
from tests.unit import guide

LOGINS = 8
SECRET = "5d0e6dcb6fb6b9be4a6ed3df0ba4d7b4c0ef1f2a2f8b6c1f7c5a9ac8f2ab14de"

# The guide's `dict()`, and what is left open when a loop ends under its connections.
pytestmark = [
    pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecatedSince20"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def client_of_the_sdk(provider: IdentityProvider) -> ServerClient[None]:
    """As the guide makes it."""
    return ServerClient(
        domain=provider.domain,
        client_id=CLIENT["client_id"],
        client_secret=CLIENT["client_secret"],
        secret=SECRET,
        redirect_uri=CALLBACK,
        state_store=guide.FlaskSessionStateStore(secret=SECRET),
        transaction_store=guide.FlaskSessionTransactionStore(secret=SECRET),
        authorization_params={"scope": "openid profile email"},
    )


def plain_flask(provider: IdentityProvider) -> Flask:
    """Flask as it is, with the guide's large cookies accepted, which no browser would."""
    app = Flask("guide")
    app.secret_key = SECRET
    app.config["MAX_COOKIE_SIZE"] = 0
    return app


def loop_flask(provider: IdentityProvider) -> Flask:
    """This project's Flask."""
    app = LoopFlask("guide")
    values = {"auth0_domain": provider.domain, "auth0_client_id": "c", "auth0_client_secret": "s", "app_env": "test"}
    settings = Settings.model_validate(
        values | {"auth0_secret": SECRET, "auth0_redirect_uri": CALLBACK, "session_backend": "cookie"}
    )
    sessions.init_app(app, settings)
    return app


@pytest.mark.parametrize(("make", "all_work"), [(plain_flask, False), (loop_flask, True)])
def test_logins_in_a_row(
    running_provider: IdentityProvider,
    monkeypatch: pytest.MonkeyPatch,
    make: Callable[[IdentityProvider], Flask],
    all_work: bool,
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(running_provider.ca.path))
    running_provider.knobs.reset()
    app = make(running_provider)
    sdk = client_of_the_sdk(running_provider)
    guide.add_routes(app, sdk)
    answers = []
    for _ in range(LOGINS):
        browser = app.test_client()
        with Browser(running_provider.issuer, str(running_provider.ca.path)) as provider:
            callback = provider.sign_in(browser.get("/login", base_url=ORIGIN).location)
        url = urlsplit(callback)
        answers.append(browser.get(f"{url.path}?{url.query}", base_url=ORIGIN))
    failed = [answer.text for answer in answers if answer.status_code != 302]
    if all_work:
        assert failed == []
    else:
        assert failed
        assert set(failed) == {"Authentication error: Event loop is closed"}
    if all_work:
        await_(sdk._oauth.aclose())
    # Here, where it is expected: connections whose loop has ended cannot be closed, only dropped.
    del app, sdk, browser, answers
    gc.collect()
