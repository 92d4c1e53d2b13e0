"""Docker's client: commands for one engine, and its answers."""

import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# All that this package keeps, for the next run.
HOME = ROOT / ".local" / "containers"


class EngineError(Exception):
    """What is missing or did not work, as a sentence with the fix; or with what the engine said."""


@dataclass(frozen=True)
class Client:
    """`environment` is that of a process which talks to the engine: all variables, with DOCKER_HOST and the like."""

    environment: Mapping[str, str]

    def docker(self, *arguments: str | Path, timeout: float = 600) -> str:
        """Run `docker ...` and return what it printed. Raises EngineError with what it said."""
        try:
            result = subprocess.run(
                ["docker", *arguments],
                env=dict(self.environment),
                capture_output=True,
                text=True,
                errors="replace",
                check=False,
                timeout=timeout,
            )
        except FileNotFoundError:
            raise EngineError("There is no `docker` command: install Docker's client.") from None
        if result.returncode:
            said = (result.stderr or result.stdout).strip()
            raise EngineError(f"`docker {' '.join(map(str, arguments))}` failed: {said}")
        return result.stdout.strip()

    def version(self) -> tuple[int, ...]:
        """The engine's version, `(20, 10)`; empty when it does not answer."""
        try:
            answer = self.docker("version", "--format", "{{.Server.Version}}", timeout=60)
        except (EngineError, subprocess.TimeoutExpired):
            return ()
        return tuple(int(number) for number in re.findall(r"\d+", answer)[:2])
