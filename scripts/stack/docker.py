"""The Docker engine and Compose, as commands."""

import json
import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any

from scripts.containers.engine import MINIMUM as ENGINE

from .options import ROOT, Options, StackError

# The oldest that the tests have run with.
COMPOSE = (2, 26)
_LABELS = "com.docker.compose"
_SERVICE, _FOLDER = f"{_LABELS}.service", f"{_LABELS}.project.working_dir"


class Docker:
    """Runs `docker` and `docker compose` for one project."""

    def __init__(self, options: Options, more: Mapping[str, str]) -> None:
        self._project = options.project
        self._files = ["--project-directory", str(ROOT), "--env-file", os.devnull]
        self._environment = options.for_compose() | dict(more)

    def check(self) -> None:
        """Raise StackError where no engine answers, or where it or Compose is too old."""
        try:
            engine = self._run("docker", "version", "--format", "{{.Server.Version}}")
        except FileNotFoundError:
            raise StackError("Docker is not on PATH: install Docker Engine and its Compose plugin.") from None
        if engine.returncode:
            raise StackError(f"No Docker engine answers ({_first_line(engine.stderr)}): start it, or set DOCKER_HOST.")
        compose = self._run("docker", "compose", "version", "--short")
        if compose.returncode:
            raise StackError(f"Docker has no Compose plugin: install Docker Compose {_dotted(COMPOSE)} or newer.")
        for name, found, least in (("Docker Engine", engine, ENGINE), ("Docker Compose", compose, COMPOSE)):
            if (version := _version(found.stdout)) < least:
                raise StackError(f"{name} is {_dotted(version)}, too old: install {_dotted(least)} or newer.")

    def compose(self, *arguments: str) -> bool:
        """Run Compose in front of the person; whether it worked."""
        return subprocess.run(self._compose(arguments), env=self._environment, cwd=ROOT, check=False).returncode == 0

    def ask_compose(self, *arguments: str) -> str:
        """What Compose prints. Raises StackError."""
        return self._ask(self._compose(arguments))

    def ask(self, *arguments: str) -> str:
        """What docker prints. Raises StackError."""
        return self._ask(["docker", *arguments])

    def services(self, *profiles: str) -> list[str]:
        """The services of the chosen profiles, or of others."""
        others = [word for profile in profiles for word in ("--profile", profile)]
        return self.ask_compose(*others, "config", "--services").split()

    def profiles(self) -> list[str]:
        """All profiles that there are."""
        return self.ask_compose("config", "--profiles").split()

    def to_pull(self, services: Sequence[str]) -> dict[str, str]:
        """The images that the services need, are not built here and are not there yet, by service."""
        configured = json.loads(self.ask_compose("config", "--format", "json"))["services"]
        others = {
            name: configured[name]["image"]
            for name in services
            if "build" not in configured[name] and configured[name].get("pull_policy") != "never"
        }
        return {
            name: image for name, image in others.items() if self._run("docker", "image", "inspect", image).returncode
        }

    def pull(self, image: str) -> str:
        """Pull an image; why that failed, or nothing."""
        result = self._run("docker", "pull", "--quiet", image)
        return _first_line(result.stderr) if result.returncode else ""

    def container(self, service: str, *, ended: bool = False) -> str:
        """The id of the service's container that runs, or also of one that has *ended*; empty where there is none."""
        filters = self._filters(f"{_SERVICE}={service}")
        return self.ask("ps", "--quiet", "--no-trunc", *filters, *(["--all"] if ended else [])).strip()

    def remove_others(self, services: Sequence[str]) -> None:
        """Stop and remove the project's containers of other services than these."""
        listed = self.ask("ps", "--all", *self._filters(), "--format", f'{{{{.ID}}}} {{{{.Label "{_SERVICE}"}}}}')
        for line in listed.splitlines():
            container, service = line.split()
            if service not in services:
                print(f"Removing {service}, which is not among the services any more ...", flush=True)
                self.ask("stop", container)
                self.ask("rm", "--volumes", container)

    def folders(self) -> set[str]:
        """The checkouts that the project's containers are of."""
        return set(self.ask("ps", "--all", *self._filters(), "--format", f'{{{{.Label "{_FOLDER}"}}}}').splitlines())

    def published(self) -> set[int]:
        """The ports of this machine that the project's own containers have."""
        listed = self.ask("ps", *self._filters(), "--format", "{{.Ports}}")
        return {int(port) for port in re.findall(r":(\d+)->", listed)}

    def _filters(self, *labels: str) -> list[str]:
        labels = (f"{_LABELS}.project={self._project}", f"{_LABELS}.oneoff=False", *labels)
        return [word for label in labels for word in ("--filter", f"label={label}")]

    def _compose(self, arguments: Sequence[str]) -> list[str]:
        return ["docker", "compose", *self._files, *arguments]

    def _ask(self, command: list[str]) -> str:
        result = self._run(*command)
        if result.returncode:
            raise StackError(f"`{' '.join(command[:3])} ...` failed: {_first_line(result.stderr)}")
        return result.stdout

    def _run(self, *command: str) -> "subprocess.CompletedProcess[str]":
        options: dict[str, Any] = {"env": self._environment, "cwd": ROOT, "capture_output": True, "text": True}
        return subprocess.run(command, check=False, **options)


def _version(text: str) -> tuple[int, ...]:
    found = re.search(r"(\d+)\.(\d+)", text)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


def _first_line(text: str) -> str:
    return next(iter(text.strip().splitlines()), "no message")
