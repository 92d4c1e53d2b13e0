"""Our images, built once."""

from collections.abc import Iterator

import pytest

from tests.servers.containers import Containers, containers


@pytest.fixture(scope="session")
def docker() -> Iterator[Containers]:
    """An engine with our images."""
    with containers() as running:
        yield running
