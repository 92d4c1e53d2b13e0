"""An engine to build and run the images on: `with engine() as docker: docker.docker("ps")`.

The machine's, if one answers (DOCKER_HOST, a context, the default socket), else a private one for as long as the block
lasts.
"""

import contextlib
import os
from collections.abc import Iterator

from .client import Client, EngineError
from .plugins import with_plugins
from .private import private_engine

# BuildKit's mounts, and what docker-compose.yml says.
MINIMUM = (20, 10)


@contextlib.contextmanager
def engine() -> Iterator[Client]:
    """Give the client of an engine that is new enough, with the plugins compose and buildx. Raises EngineError."""
    machine = Client(dict(os.environ))
    version = machine.version()
    if not version and os.environ.get("DOCKER_HOST"):
        raise EngineError(
            f"No engine answers at DOCKER_HOST={os.environ['DOCKER_HOST']}: start it, or unset the variable."
        )
    with contextlib.ExitStack() as stack:
        client = machine
        if not version:
            client = Client({**os.environ, "DOCKER_HOST": stack.enter_context(private_engine())})
            version = client.version()
        if version < MINIMUM:
            found, wanted = (".".join(map(str, numbers)) for numbers in (version, MINIMUM))
            raise EngineError(f"The Docker engine here is {found}, but {wanted} or newer is needed: upgrade it.")
        yield with_plugins(Client({**client.environment, "DOCKER_BUILDKIT": "1"}))
