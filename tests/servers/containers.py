"""The container engine, and our images on it: `with containers() as docker: docker.image("app")`."""

import contextlib
import json
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scripts.containers import bases, images
from scripts.containers.client import Client, EngineError
from scripts.containers.engine import engine

# A machine that builds beside the tests is slow.
WAIT_SECONDS = 90


@dataclass(frozen=True)
class Containers:
    """An engine's client, the variables that name the bases, and the tags of our images by target."""

    client: Client
    variables: Mapping[str, str]
    tags: Mapping[str, str] = field(default_factory=dict)

    def inspect(self, name: str) -> dict[str, Any]:
        """What the engine knows of an image or a container."""
        (found,) = json.loads(self.client.docker("inspect", name))
        return dict(found)

    @contextlib.contextmanager
    def run(self, image: str, *command: str, options: tuple[str | Path, ...] = ()) -> Iterator[str]:
        """Start a container in the background; the value is its name. It is removed with its volumes afterwards."""
        name = f"test-{uuid.uuid4().hex[:12]}"
        try:
            self.client.docker("run", "--detach", "--name", name, *options, image, *command)
            yield name
        finally:
            with contextlib.suppress(EngineError):
                self.client.docker("rm", "--force", "--volumes", name)

    def health(self, name: str) -> str:
        """`starting`, `healthy` or `unhealthy`."""
        return str(self.inspect(name)["State"]["Health"]["Status"])

    def wait_for_health(self, name: str, wanted: str) -> None:
        """Wait until the health check says so; fails with the log of a container that ends or never gets there."""
        deadline = time.monotonic() + WAIT_SECONDS
        while (found := self.health(name)) != wanted:
            state = self.inspect(name)["State"]
            if not state["Running"] or time.monotonic() > deadline:
                raise AssertionError(f"{found}, not {wanted}: {state}\n{self.client.docker('logs', name)}")
            time.sleep(0.1)


@contextlib.contextmanager
def containers() -> Iterator[Containers]:
    """The engine (see scripts.containers.engine), with our images built."""
    with engine() as client:
        variables = bases.ensure(client)
        yield Containers(client, variables, images.build(client, variables))
