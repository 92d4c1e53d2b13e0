"""The real gunicorn around `an_app`."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers import gunicorn as servers
from tests.servers.certificates import one_authority
from tests.servers.gunicorn import Gunicorn

HERE = Path(__file__).parent
APP = "an_app:app"


@pytest.fixture(autouse=True, scope="package")
def _one_authority(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Most requests here are over plain HTTP, each by a client of its own, which would read all public ones first."""
    with one_authority(tmp_path_factory.mktemp("authority")):
        yield


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gunicorn]:
    """One worker with settings that suit most tests."""
    folder = tmp_path_factory.mktemp("gunicorn")
    with servers.gunicorn(folder, APP, python_path=[HERE]) as running:
        yield running


class Launcher:
    """Starts gunicorns of a test's own; they end with it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.running: list[Gunicorn] = []

    def __call__(self, **environment: str) -> Gunicorn:
        """Start one and wait until it answers."""
        launched = self.launch(**environment)
        launched.wait_until_ready(int(environment.get("SERVER_WORKERS", "1")))
        return launched

    def launch(self, app: str = APP, **environment: str) -> Gunicorn:
        """Start one and return at once."""
        folder = self.folder / str(len(self.running))
        self.running.append(servers.launch(folder, app, environment, python_path=[HERE]))
        return self.running[-1]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Launcher]:
    launcher = Launcher(tmp_path)
    yield launcher
    for running in launcher.running:
        running.kill()
