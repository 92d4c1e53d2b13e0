"""One provider for the suite, with a fresh state of its knobs for each test; and the SDK in front of it."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, TypeVar

import pytest
from auth0_server_python.auth_server.server_client import ServerClient
from auth0_server_python.auth_types import StartInteractiveLoginOptions
from auth0_server_python.store.abstract import StateStore, TransactionStore

from scripts.certificates import CA
from tests.integration.identity.browser import Browser
from tests.servers.identity import CLIENT, IdentityProvider, identity

T = TypeVar("T")
CALLBACK = CLIENT["redirect_uris"][0]


@pytest.fixture(scope="session")
def running_provider(ca: CA) -> Iterator[IdentityProvider]:
    """One of this suite's own: its tests rotate keys that apps of other suites have read."""
    with identity(ca) as provider:
        yield provider


@pytest.fixture
def provider(running_provider: IdentityProvider, monkeypatch: pytest.MonkeyPatch) -> Iterator[IdentityProvider]:
    # The SDK's HTTP clients take their authorities from here and from nowhere else.
    monkeypatch.setenv("SSL_CERT_FILE", str(running_provider.ca.path))
    running_provider.knobs.reset()
    yield running_provider
    running_provider.knobs.reset()


@pytest.fixture
def browser(provider: IdentityProvider) -> Iterator[Browser]:
    with Browser(provider.issuer, str(provider.ca.path)) as browser:
        yield browser


class Transactions(TransactionStore):
    def __init__(self) -> None:
        super().__init__({"secret": "not used by a store in memory"})
        self.kept: dict[str, Any] = {}

    async def set(self, identifier: str, state: Any, remove_if_expires: bool = False, options: Any = None) -> None:
        self.kept[identifier] = state

    async def get(self, identifier: str, options: Any = None) -> Any:
        return self.kept.get(identifier)

    async def delete(self, identifier: str, options: Any = None) -> None:
        self.kept.pop(identifier, None)


class States(StateStore):
    def __init__(self) -> None:
        super().__init__({"secret": "not used by a store in memory"})
        self.kept: dict[str, Any] = {}
        self.logged_out: list[dict[str, Any]] = []

    async def set(self, identifier: str, state: Any, remove_if_expires: bool = False, options: Any = None) -> None:
        self.kept[identifier] = state.model_dump() if hasattr(state, "model_dump") else state

    async def get(self, identifier: str, options: Any = None) -> Any:
        return self.kept.get(identifier)

    async def delete(self, identifier: str, options: Any = None) -> None:
        self.kept.pop(identifier, None)

    async def delete_by_logout_token(self, claims: dict[str, Any], options: Any = None) -> None:
        self.logged_out.append(claims)


class Application:
    """The SDK's client with stores in memory, on a loop of its own: one browser's session."""

    def __init__(self, provider: IdentityProvider, runner: asyncio.Runner, **options: Any) -> None:
        self.provider = provider
        self.transactions, self.states, self._runner = Transactions(), States(), runner
        defaults: dict[str, Any] = {
            "client_id": CLIENT["client_id"],
            "client_secret": CLIENT["client_secret"],
            "redirect_uri": CALLBACK,
            "secret": "a secret that nothing is encrypted with here",
            "authorization_params": {"scope": "openid profile email offline_access"},
        }
        self.sdk = ServerClient(
            domain=provider.domain,
            transaction_store=self.transactions,
            state_store=self.states,
            **(defaults | options),
        )

    def login_url(self, **options: Any) -> str:
        """Where the SDK sends the browser."""
        return self.run(self.sdk.start_interactive_login(StartInteractiveLoginOptions(**options)))

    def complete(self, callback: str) -> dict[str, Any]:
        """What the SDK's session holds after the browser came back to *callback*."""
        result: dict[str, Any] = self.run(self.sdk.complete_interactive_login(callback))
        return result["state_data"]

    def access_token(self, **options: Any) -> str:
        """The SDK's access token, refreshed when it has expired."""
        return self.run(self.sdk.get_access_token(**options))

    @property
    def state(self) -> dict[str, Any]:
        """What the state store holds."""
        return next(iter(self.states.kept.values()))

    def expire_access_token(self) -> None:
        """Let the SDK believe that its access tokens have expired."""
        for token_set in self.state["token_sets"]:
            token_set["expires_at"] = 0

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """The result of a method of the SDK."""
        return self._runner.run(coroutine)


@pytest.fixture
def make_application(provider: IdentityProvider) -> Iterator[Callable[..., Application]]:
    """Makes applications with other options of the SDK's client than the usual ones."""
    made: list[Application] = []

    def make(**options: Any) -> Application:
        made.append(Application(provider, runner, **options))
        return made[-1]

    with asyncio.Runner() as runner:
        yield make
        for application in made:
            # The connections that the SDK's client keeps for its whole life.
            runner.run(application.sdk._oauth.aclose())


@pytest.fixture
def application(make_application: Callable[..., Application]) -> Application:
    return make_application()
