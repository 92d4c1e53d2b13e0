"""A real nginx with the repository's own files: `with nginx(certificates, upstream="unix:/...") as server: ...`.

It runs as an unprivileged user (nobody, when the tests run as root) in a private folder, on free ports of 127.0.0.1.
"""

import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.servers.ports import free_ports

ROOT = Path(__file__).parents[2]
START_SECONDS = 20
STOP_SECONDS = 20
WORKERS = 2
Pair = tuple[Path, Path]
SEARCH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])


def wait_until(true: Callable[[], bool], what: str, seconds: float = START_SECONDS) -> None:
    """Return as soon as *true* answers so; RuntimeError naming *what* after *seconds*."""
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            raise RuntimeError(f"{what} did not happen within {seconds} s")
        time.sleep(0.01)


@dataclass
class Nginx:
    """A running nginx; ports of 127.0.0.1, `folder` is its private one."""

    folder: Path
    variables: dict[str, str]
    process: "subprocess.Popen[bytes] | None" = field(default=None, init=False)
    https_port: int = field(default=0, init=False)
    http_port: int = field(default=0, init=False)
    status_port: int = field(default=0, init=False)

    @property
    def authority(self) -> str:
        """What browsers send as Host."""
        return f"localhost:{self.https_port}"

    @property
    def origin(self) -> str:
        """The public origin."""
        return f"https://{self.authority}"

    @property
    def log(self) -> str:
        """The access log's text; nginx writes a line after the answer, so wait for the one that is expected."""
        return (self.folder / "stdout").read_text(encoding="utf-8")

    @property
    def errors(self) -> str:
        """What nginx said about itself."""
        return (self.folder / "stderr").read_text(encoding="utf-8", errors="surrogateescape")

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The access log's complete lines, each parsed."""
        return [json.loads(line) for line in self.log.splitlines(keepends=True) if line.endswith("\n")]

    def line(self, **fields: Any) -> dict[str, Any]:
        """Wait for the last line of the access log that has these fields."""
        found: list[dict[str, Any]] = []

        def written() -> bool:
            found[:] = [line for line in self.lines if line.items() >= fields.items()]
            return bool(found)

        wait_until(written, f"a line with {fields} in the access log")
        return found[-1]

    def wait_for_error(self, text: str) -> None:
        """Wait until nginx has said *text* about itself."""
        wait_until(lambda: text in self.errors, f"{text!r} in the error log")

    def certify(self, *pairs: Pair) -> None:
        """Put certificates and their keys where nginx reads them; `reload` takes them into use."""
        names = []
        for number, (certificate, key) in enumerate(pairs):
            names.append(number)
            for source, suffix in ((certificate, "crt"), (key, "key")):
                target = self.folder / f"tls-{number}.{suffix}"
                aside = target.with_suffix(".new")
                shutil.copyfile(source, aside)
                _give(aside, 0o600)
                aside.replace(target)
        self.variables["NGINX_CERTIFICATE"] = " ".join(f"{self.folder}/tls-{number}.crt" for number in names)
        self.variables["NGINX_CERTIFICATE_KEY"] = " ".join(f"{self.folder}/tls-{number}.key" for number in names)

    def start(self) -> None:
        """Start it and wait until it answers; anew, on other ports, where somebody took one of them meanwhile."""
        for _ in range(5):
            self.https_port, self.http_port, self.status_port = free_ports(3)
            self.process = self.run()
            wait_until(lambda: self._exited() or (self._complete() and self._answers()), "nginx's start")
            if not self._exited():
                return
            if "Address already in use" not in self.errors:
                break
        raise RuntimeError(f"nginx did not start:\n{self.errors}")

    def run(self, *arguments: str) -> "subprocess.Popen[bytes]":
        """Start start.sh with the variables and *arguments*, its output in the files of the folder."""
        environment = {
            "PATH": SEARCH,
            "NGINX_RUN": str(self.folder / "run"),
            "NGINX_LISTEN": "127.0.0.1",
            "NGINX_HTTPS_PORT": str(self.https_port),
            "NGINX_HTTP_PORT": str(self.http_port),
            "NGINX_STATUS_PORT": str(self.status_port),
            "NGINX_PUBLIC_PORT": str(self.https_port),
            "NGINX_WORKERS": str(WORKERS),
        } | self.variables
        with (self.folder / "stdout").open("ab") as output, (self.folder / "stderr").open("ab") as errors:
            return subprocess.Popen(
                [self.folder / "nginx" / "start.sh", *arguments],
                env=environment,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
                start_new_session=True,
                **unprivileged(),
            )

    def hang_up(self) -> None:
        """SIGHUP: read the configuration and the certificates again; see `reload`."""
        assert self.process is not None
        self.process.send_signal(signal.SIGHUP)

    def reload(self) -> None:
        """SIGHUP, and wait until the workers of before take no more connections."""
        before = set(self.workers())
        self.hang_up()
        wait_until(lambda: len(set(self.workers()) - before) == self._wanted, "new workers after SIGHUP")
        wait_until(lambda: not before & set(self._accepting()), "the old workers' end of service")

    def workers(self) -> list[int]:
        """The worker processes' ids."""
        assert self.process is not None
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(child) for child in children.read_text().split()] if children.exists() else []

    def _accepting(self) -> list[int]:
        accepting = []
        for pid in self.workers():
            # One that ends at this moment has a file of its title, which cannot be read.
            with suppress(OSError):
                if b"shutting down" not in Path(f"/proc/{pid}/cmdline").read_bytes():
                    accepting.append(pid)
        return accepting

    def stop(self) -> None:
        """Stop it without waiting for its clients."""
        if self.process is None:
            return
        # The group is its own: a worker that outlives a killed master ends too.
        for number in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, number)
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(STOP_SECONDS)
        self.process = None

    @property
    def _wanted(self) -> int:
        return int(self.variables.get("NGINX_WORKERS", WORKERS))

    def _complete(self) -> bool:
        return len(self.workers()) == self._wanted

    def _exited(self) -> bool:
        return self.process is None or self.process.poll() is not None

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.status_port), 5) as client:
                client.sendall(b"GET /status HTTP/1.0\r\n\r\n")
                return client.recv(12) == b"HTTP/1.1 200"
        except OSError:
            return False


def unprivileged() -> dict[str, Any]:
    """What makes subprocess start a program as the user that nginx has here."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def _give(path: Path, mode: int) -> None:
    path.chmod(mode)
    if found := unprivileged():
        os.chown(path, found["user"], found["group"])


@contextmanager
def nginx(*pairs: Pair, upstream: str, variables: dict[str, str] | None = None, start: bool = True) -> Iterator[Nginx]:
    """Run nginx in front of *upstream* ("unix:/path" or "host:port") with certificates and keys in *pairs*.

    *variables* are those of nginx/README.md. A unix socket has to be open to every user, since nginx is another one.
    """
    if shutil.which("nginx", path=SEARCH) is None:
        raise RuntimeError("nginx is missing: on Debian and Ubuntu, `apt-get install nginx`.")
    # Not below pytest's own folder, which other users may not enter.
    folder = Path(tempfile.mkdtemp(prefix="auth0-flask-nginx-"))
    server = Nginx(folder, {"NGINX_UPSTREAM": upstream})
    try:
        shutil.copytree(ROOT / "nginx", folder / "nginx")
        for name in ("stdout", "stderr"):
            (folder / name).touch()
            _give(folder / name, 0o600)
        _give(folder, 0o700)
        server.certify(*pairs)
        server.variables.update(variables or {})
        if start:
            server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder)
