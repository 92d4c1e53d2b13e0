"""The authority and the leaves that the servers of the tests present: the code of the demo."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

from scripts.certificates import CA, NotPermittedError, authority

__all__ = ["CA", "NotPermittedError", "authority", "one_authority"]


@contextmanager
def one_authority(folder: Path) -> Iterator[None]:
    """Have clients made in this process trust one made in *folder* alone: the public ones take 20 ms to read."""
    with patch.dict(os.environ, {"SSL_CERT_FILE": str(authority(folder).path)}):
        yield
