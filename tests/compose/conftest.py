"""The stack, started once for the suite on a real engine."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.containers.bases import ensure
from scripts.containers.client import Client
from scripts.containers.engine import engine
from tests.compose.stack import PATIENCE, PORTS, PROJECT, WITHOUT, Stack, Visitor
from tests.servers.demo import copy_of_checkout
from tests.servers.ports import free_ports

# Images are built, and replicas are waited for.
TEST_SECONDS = 600


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give this suite's tests more time than others have."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.timeout(TEST_SECONDS))


@pytest.fixture(scope="session")
def containers() -> Iterator[Client]:
    """The machine's engine, or one of the suite's own."""
    with engine() as client:
        yield client


@pytest.fixture(scope="session")
def stack_variables(containers: Client) -> dict[str, str]:
    """What tells this stack apart from one that somebody uses."""
    ports = dict(zip(PORTS, map(str, free_ports(len(PORTS))), strict=True))
    own = {"COMPOSE_PROJECT_NAME": PROJECT, "TAG": "test", "WITHOUT": WITHOUT, "ENV_FILE": "deploy/compose/local.env"}
    return ensure(containers) | ports | own | PATIENCE


@pytest.fixture(scope="session")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the checkout, in which there is no .env and nothing changes meanwhile, with one commit."""
    folder = copy_of_checkout(tmp_path_factory.mktemp("compose") / "checkout")
    git = ["git", "-c", "user.name=tests", "-c", "user.email=tests@localhost"]
    for command in (["init", "--quiet"], ["add", "--all"], ["commit", "--quiet", "--message", "All of it"]):
        subprocess.run([*git, *command], cwd=folder, check=True)
    return folder


@pytest.fixture(scope="session")
def stack(containers: Client, stack_variables: dict[str, str], checkout: Path) -> Iterator[Stack]:
    """The stack, all healthy."""
    running = Stack(containers, stack_variables, checkout)
    try:
        running.up()
        yield running
    finally:
        running.down(VOLUMES="1")


@pytest.fixture
def visitor(stack: Stack) -> Iterator[Visitor]:
    """Somebody who is signed in."""
    with stack.visitor() as somebody:
        somebody.sign_in_at_the_app()
        yield somebody


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for certificates of one's own."""
    return tmp_path_factory.mktemp("certificates")
