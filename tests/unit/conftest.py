"""One authority in place of the public ones, for the whole suite."""

from collections.abc import Iterator

import pytest

from tests.servers.certificates import one_authority


@pytest.fixture(autouse=True, scope="package")
def _one_authority(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Hundreds of apps are made here, and each reads the authorities that it trusts."""
    with one_authority(tmp_path_factory.mktemp("authority")):
        yield
