"""A real Redis of the test's own: on a unix socket in a private folder, with nothing kept on disk."""

import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import redis

_START_SECONDS = 20
_PAGE = Path(__file__).parents[2] / "docs" / "sessions.md"


def documented_user(password: str, also: str = "") -> str:
    """The user with the least rights, as docs/sessions.md gives it: what follows `user` in an ACL file."""
    [line] = re.findall(r"^user (.*)$", _PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    return " ".join(filter(None, [line.replace("PASSWORD", password), also]))


@dataclass
class RedisServer:
    """A running server: `url` for the app, `client` for the test."""

    folder: Path
    options: Sequence[str] = ("--port", "0")
    """What it is started with besides; more ways to listen, for example."""
    process: "subprocess.Popen[bytes] | None" = field(default=None, init=False)

    @property
    def url(self) -> str:
        """Where it listens for the test."""
        return f"unix://{self.folder / 'redis.sock'}"

    @cached_property
    def client(self) -> "redis.Redis":
        """A plain client for the test itself."""
        return redis.Redis.from_url(self.url)

    def start(self) -> None:
        """Start it and wait until it answers."""
        program = shutil.which("redis-server")
        if program is None:
            raise RuntimeError("redis-server is missing: on Debian and Ubuntu, `apt-get install redis-server`.")
        options = ["--unixsocket", "redis.sock", "--save", "", "--appendonly", "no", "--dir", ".", *self.options]
        self.process = subprocess.Popen([program, *options], cwd=self.folder, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + _START_SECONDS
        while True:
            try:
                self.client.ping()
                return
            except redis.ConnectionError:
                if time.monotonic() > deadline or self.process.poll() is not None:
                    self.stop()
                    raise RuntimeError("redis-server did not start") from None
                time.sleep(0.01)

    def stop(self) -> None:
        """Stop it, hung or not; what was in it is gone."""
        self.client.close()
        if self.process is not None:
            self.resume()
            self.process.terminate()
            self.process.wait(_START_SECONDS)
            self.process = None

    def hang(self) -> None:
        """Make it accept and never answer (SIGSTOP)."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """End `hang`."""
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)


@contextmanager
def redis_server(folder: Path, *options: str) -> Iterator[RedisServer]:
    """Run a Redis with its socket in *folder*, and *options* that say where else it listens."""
    server = RedisServer(folder, options or ("--port", "0"))
    server.start()
    try:
        yield server
    finally:
        server.stop()
