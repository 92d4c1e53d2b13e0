"""What every suite has: an environment without settings of the machine, valid settings to start from, a provider."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
from hypothesis.configuration import set_hypothesis_home_dir

from app.environment import FILE_SUFFIX, OWN_PREFIXES
from app.settings import Settings
from scripts.certificates import CA, authority
from tests.servers.identity import IdentityProvider, identity

ROOT = Path(__file__).parents[1]

set_hypothesis_home_dir(ROOT / ".local" / "hypothesis")
# A busy machine is slow at times; that is no failure of the property.
hypothesis.settings.register_profile("auth0-flask", deadline=None)
hypothesis.settings.load_profile("auth0-flask")


def pytest_configure() -> None:
    """End as by Ctrl-C when a run is called off, so that fixtures stop their servers."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # A shell lets what it starts in the background ignore Ctrl-C, and so would every server that a test starts.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the browser's tests last: its loop runs on in this thread, where other tests want one of their own."""
    items.sort(key=lambda item: "browser" in item.path.parts)


@pytest.fixture(autouse=True, scope="session")
def _no_settings_of_the_machine() -> Iterator[None]:
    """Take every variable that the app reads out of the environment: tests see only what they set."""
    names = {name.upper() for name in Settings.model_fields} | {"WEB_CONCURRENCY"}
    ours = [name for name in os.environ if name.startswith(OWN_PREFIXES) or name.removesuffix(FILE_SUFFIX) in names]
    with pytest.MonkeyPatch.context() as patch:
        for name in ours:
            patch.delenv(name)
        yield


@pytest.fixture
def variables() -> dict[str, str]:
    """The variables of a valid production deployment that keeps sessions in cookies; a test changes its copy."""
    return {
        "AUTH0_DOMAIN": "acme.eu.auth0.com",
        "AUTH0_CLIENT_ID": "k5u3o2fiAA8XweXEEX604KCwCjzjtMU6",
        "AUTH0_CLIENT_SECRET": "R2Vb1XhVvJY0vCqKdW8fYVJwNn3KcQy7",
        "AUTH0_SECRET": "5d0e6dcb6fb6b9be4a6ed3df0ba4d7b4c0ef1f2a2f8b6c1f7c5a9ac8f2ab14de",
        "AUTH0_REDIRECT_URI": "https://app.example.com/callback",
        "SESSION_BACKEND": "cookie",
    }


@pytest.fixture
def settings(variables: dict[str, str]) -> Settings:
    """Those variables as settings."""
    return Settings.model_validate({name.lower(): value for name, value in variables.items()})


@pytest.fixture(scope="session")
def ca(tmp_path_factory: pytest.TempPathFactory) -> CA:
    """An authority for this machine."""
    return authority(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="session")
def running_provider(ca: CA) -> Iterator[IdentityProvider]:
    """The real provider; what a test turns at its knobs is for the next one to `reset`."""
    with identity(ca) as provider:
        yield provider
