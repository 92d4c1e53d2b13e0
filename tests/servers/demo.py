"""`make demo` in a copy of the checkout, as a person runs it: in a terminal, ended by Ctrl-C."""

import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from scripts.processes import descendants
from tests.servers.ports import free_ports

ROOT = Path(__file__).parents[2]
START_SECONDS = 120
STOP_SECONDS = 60
PORTS = ("DEMO_PORT", "DEMO_HTTP_PORT", "DEMO_IDENTITY_PORT", "DEMO_METRICS_PORT")
# `setsid`, but with the terminal on standard input as the controlling one, so that Ctrl-C is a signal.
_IN_TERMINAL = """
import fcntl, os, sys, termios
os.setsid()
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execvp(sys.argv[1], sys.argv[1:])
"""
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def copy_of_checkout(folder: Path) -> Path:
    """A copy of what Git knows and of new files, which shares what was installed, in a folder of its own."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    for installed in (".venv", "deploy/identity/node_modules", ".local/node"):
        if (ROOT / installed).exists():
            (folder / installed).parent.mkdir(parents=True, exist_ok=True)
            (folder / installed).symlink_to(ROOT / installed)
    return folder


def demo_ports() -> dict[str, str]:
    """A free port for each of the demo's."""
    return dict(zip(PORTS, map(str, free_ports(len(PORTS))), strict=True))


@dataclass
class Demo:
    """A demo in a terminal. `text` is what stands there, without the colours."""

    folder: Path
    ports: Mapping[str, str]
    process: "subprocess.Popen[bytes]"
    terminal: int
    output: bytes = b""
    started: set[int] = field(default_factory=set)

    @property
    def origin(self) -> str:
        """The app's address."""
        return f"https://localhost:{self.ports['DEMO_PORT']}"

    @property
    def text(self) -> str:
        """What stands in the terminal."""
        return _COLOUR.sub("", self.output.decode()).replace("\r\n", "\n")

    @property
    def authority(self) -> Path:
        """The certificate that a browser has to trust."""
        return self.folder / ".local" / "certificates" / "ca.pem"

    def wait_for(self, words: str) -> None:
        """Wait until *words* stand in the terminal."""
        deadline = time.monotonic() + START_SECONDS
        while words not in self.text:
            ended = self.process.poll() is not None
            self._read()
            assert words in self.text or (not ended and time.monotonic() < deadline), f"no {words!r} in:\n{self.text}"
        self.started = descendants(self.process.pid)

    def press_ctrl_c(self) -> None:
        """What a person does to end it."""
        os.write(self.terminal, b"\x03")

    def wait(self) -> int:
        """Its exit status."""
        deadline = time.monotonic() + STOP_SECONDS
        while self.process.poll() is None:
            self._read()
            assert time.monotonic() < deadline, f"still running:\n{self.text}"
        self._read()
        return self.process.returncode

    def _read(self) -> None:
        while select.select([self.terminal], [], [], 0.05)[0]:
            try:
                chunk = os.read(self.terminal, 65_536)
            except OSError:
                # Linux's way to say that the other side has been closed.
                return
            if not chunk:
                return
            self.output += chunk

    def kill(self) -> None:
        """End whatever is left, by id."""
        for pid in {self.process.pid, *self.started, *descendants(self.process.pid)}:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait(STOP_SECONDS)
        os.close(self.terminal)


@contextmanager
def demo(
    folder: Path,
    *command: str,
    environment: Mapping[str, str] | None = None,
    ports: Mapping[str, str] | None = None,
) -> Iterator[Demo]:
    """Start the demo in a copy of the checkout; `make demo` unless another *command* is given."""
    ports = ports or demo_ports()
    terminal, other_side = pty.openpty()
    home = folder.parent / f"{folder.name}-home"
    home.mkdir(exist_ok=True)
    variables = {"PATH": os.environ["PATH"], "HOME": str(home), "TMPDIR": str(home), "TERM": "xterm", "LANG": "C.UTF-8"}
    process = subprocess.Popen(
        [sys.executable, "-c", _IN_TERMINAL, *(command or ("make", "demo"))],
        cwd=folder,
        env=variables | dict(ports) | dict(environment or {}),
        stdin=other_side,
        stdout=other_side,
        stderr=other_side,
    )
    os.close(other_side)
    running = Demo(folder, ports, process, terminal)
    try:
        yield running
    finally:
        running.kill()
