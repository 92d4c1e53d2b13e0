"""The stack of docker-compose.yml under a name, with images and on ports of its own: `stack.run("up")` is `make up`."""

import json
import os
import re
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from scripts.containers.client import Client
from scripts.stack import options
from tests.integration.identity.browser import Browser, location

ROOT = Path(__file__).parents[2]
PROJECT = "auth0-flask-test"
# Grafana cannot be had where no registry answers, and there is no stand-in: what is checked of it is its files
# (test_files.py).
WITHOUT = "grafana"
EXPORTERS = ("nginx-exporter", "redis-exporter", "blackbox")
# Their images are a program and nothing that could ask it.
WITHOUT_SHELL = ("nginx-exporter", "redis-exporter")
SERVICES = ("nginx", "app-1", "app-2", "redis", "identity", "prometheus", "alertmanager", *EXPORTERS)
# What is published.
PORTS = ("HTTPS_PORT", "HTTP_PORT", "IDENTITY_PORT", "PROMETHEUS_PORT", "ALERTMANAGER_PORT")
UP_SECONDS = 600
WAIT_SECONDS = 120
# A busy machine is slow at times, and tests sign in more often than people do.
PATIENCE = {"REDIS_TIMEOUT_SECONDS": "10", "AUTH0_TIMEOUT_SECONDS": "30", "NGINX_LOGIN_RATE": "1000r/s"}


@dataclass
class Stack:
    """One project of Compose on the engine that *client* speaks to."""

    client: Client
    variables: Mapping[str, str]
    # The checkout that it is run from.
    root: Path

    @property
    def project(self) -> str:
        """Compose's project."""
        return self.variables["COMPOSE_PROJECT_NAME"]

    @property
    def origin(self) -> str:
        """The app's address."""
        return f"https://localhost:{self.variables['HTTPS_PORT']}"

    @property
    def issuer(self) -> str:
        """The identity provider's address."""
        return f"https://localhost:{self.variables['IDENTITY_PORT']}/"

    @property
    def authority(self) -> Path:
        """The certificate that browsers have to trust."""
        return self.root / ".local" / "certificates" / "ca.pem"

    @property
    def trust(self) -> ssl.SSLContext:
        """What trusts it, and nothing else."""
        return ssl.create_default_context(cafile=str(self.authority))

    def run(self, verb: str, **variables: str) -> "subprocess.CompletedProcess[str]":
        """What `make VERB NAME=value` runs."""
        return subprocess.run(
            [sys.executable, "-m", "scripts.stack", verb],
            cwd=self.root,
            env=dict(self.client.environment) | dict(self.variables) | variables,
            capture_output=True,
            text=True,
            check=False,
            timeout=UP_SECONDS,
        )

    def up(self, **variables: str) -> str:
        """`make up`, which has to work; what it said."""
        result = self.run("up", **variables)
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout

    def down(self, **variables: str) -> str:
        """`make down`, which has to work; what it said."""
        result = self.run("down", **variables)
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout

    def left(self, kind: str) -> list[str]:
        """Names of the project's containers (`container`), networks (`network`) or volumes (`volume`), ended too."""
        label = f"label=com.docker.compose.project={self.project}"
        form = "{{.Names}}" if kind == "container" else "{{.Name}}"
        every = ["--all"] if kind == "container" else []
        return self.docker(kind, "ls", *every, "--filter", label, "--format", form).split()

    def compose(self, *arguments: str, **variables: str) -> None:
        """Run `docker compose` as `make up` does, which has to work."""
        chosen = options.read(dict(self.client.environment) | dict(self.variables) | variables)
        subprocess.run(
            ["docker", "compose", "--env-file", os.devnull, *arguments],
            cwd=self.root,
            env=chosen.for_compose(),
            capture_output=True,
            check=True,
            timeout=UP_SECONDS,
        )

    def docker(self, *arguments: str, timeout: float = WAIT_SECONDS) -> str:
        """What docker prints."""
        return self.client.docker(*arguments, timeout=timeout)

    def said(self, service: str) -> str:
        """All that the service's container has written, to standard output and to standard error."""
        command = ["docker", "logs", self.container(service)]
        environment = dict(self.client.environment)
        written = subprocess.run(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=True, timeout=WAIT_SECONDS
        )
        return written.stdout.decode(errors="replace")

    def container(self, service: str) -> str:
        """The name of the service's container."""
        return f"{self.project}-{service}-1"

    def image(self, target: str = "") -> str:
        """The name of the image of the app, or of `nginx` or `identity`."""
        name = f"{self.project}-{target}" if target else self.project
        return f"{name}:{self.variables['TAG']}"

    def inspect(self, service: str) -> dict[str, Any]:
        """What the engine knows of the service's container."""
        found: dict[str, Any] = json.loads(self.docker("inspect", self.container(service)))[0]
        return found

    def containers(self) -> dict[str, str]:
        """The ids of the project's containers that run, by name."""
        listed = self.docker(
            "ps",
            "--no-trunc",
            "--filter",
            f"label=com.docker.compose.project={self.project}",
            "--format",
            "{{.Names}} {{.ID}}",
        )
        return dict(line.split() for line in listed.splitlines())

    def health(self, service: str) -> str:
        """healthy, unhealthy or starting; the state where it does not run. Without a shell what runs is healthy."""
        state = self.inspect(service)["State"]
        if service in WITHOUT_SHELL and state["Running"]:
            return "healthy"
        return str(state["Health"]["Status"] if state["Running"] else state["Status"])

    def wait_until_healthy(self, *services: str) -> None:
        """Wait until they are."""
        for service in services:
            wait_until(lambda service=service: self.health(service) == "healthy", f"{service} healthy")  # type: ignore[misc]

    def wait_until_trusted(self) -> None:
        """Wait until nginx sends requests to either replica. Each of its workers leaves one alone for ten seconds that
        failed it (fail_timeout, in whole seconds of the clock), also if it is back before."""
        failed = re.compile(r'"upstream_status":"[^"]*\b50[24]\b')
        nginx = self.container("nginx")
        wait_until(lambda: not failed.search(self.docker("logs", "--since", "11s", nginx)), "trust in the replicas")

    def crash(self, service: str) -> None:
        """Kill the service's first process, which its container does not survive; not by the engine, which would not
        start it again after that."""
        before = self.inspect(service)["State"]
        kill = f"import os; os.kill({before['Pid']}, 9)"
        hardly = ["--rm", "--pid", "host", "--network", "none", "--user", "0", "--cap-drop", "ALL", "--cap-add", "KILL"]
        self.docker("run", *hardly, "--entrypoint", "python", self.image(), "-c", kill)
        # The engine has noticed when it has another process, or none.
        wait_until(lambda: self.inspect(service)["State"]["Pid"] != before["Pid"], f"the end of {service}")

    def visitor(self, trusted: Path | None = None) -> "Visitor":
        """Somebody with a browser, which trusts the local authority, or those of a file."""
        return Visitor(self, trusted or self.authority)


class Visitor(Browser):
    """A browser in front of the stack."""

    def __init__(self, stack: Stack, trusted: Path) -> None:
        super().__init__(stack.issuer, str(trusted))
        self.stack = stack

    def get(self, path: str) -> httpx.Response:
        """One GET of a path of the app, on a connection of its own."""
        return self.http.get(self.stack.origin + path, headers={"connection": "close"})

    def sign_in_at_the_app(self) -> None:
        """From /login to the page after the callback."""
        callback = self.sign_in(location(self.get("/login")))
        answer = self.http.get(callback)
        assert answer.status_code in (302, 303), answer.text
        assert self.is_signed_in()

    def is_signed_in(self) -> bool:
        """Whether the app shows the profile."""
        return self.get("/profile").status_code == 200


def wait_until(true: Callable[[], bool], what: str, seconds: float = WAIT_SECONDS) -> None:
    """Return as soon as *true* answers so."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.1)
