"""What speaks Prometheus' format for those that do not: nginx, Redis and nginx' certificate.

Each is started as deploy/ starts it in containers: `with nginx_exporter(folder, uri) as address: ...`.
"""

import json
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.servers.ports import free_ports
from tests.servers.running import running

ROOT = Path(__file__).parents[2]
BLACKBOX = ROOT / "deploy" / "blackbox" / "blackbox.yml"


@contextmanager
def nginx_exporter(folder: Path, uri: str) -> Iterator[str]:
    """The exporter of the /status at *uri* (`http://...` or `unix:/path:/status`); where it listens."""
    with _running(folder, "prometheus-nginx-exporter", f"-nginx.scrape-uri={uri}") as address:
        yield address


@contextmanager
def redis_exporter(folder: Path, url: str, user: str, password: str) -> Iterator[str]:
    """The exporter of the Redis at *url*, as one of its users; where it listens."""
    folder.mkdir(parents=True, exist_ok=True)
    passwords = folder / "passwords.json"
    passwords.write_text(json.dumps({url: password}))
    arguments = [f"-redis.addr={url}", f"-redis.user={user}", f"-redis.password-file={passwords}"]
    with _running(
        folder, "prometheus-redis-exporter", *arguments, "-config-command=-", "-set-client-name=false"
    ) as address:
        yield address


@contextmanager
def blackbox_exporter(folder: Path) -> Iterator[str]:
    """The exporter that shakes hands with nginx, with the modules of deploy/blackbox; where it listens."""
    with _running(folder, "prometheus-blackbox-exporter", f"--config.file={BLACKBOX}") as address:
        yield address


@contextmanager
def _running(folder: Path, program: str, *arguments: str) -> Iterator[str]:
    found = shutil.which(program)
    if found is None:
        raise RuntimeError(f"{program} is missing: on Debian and Ubuntu, `apt-get install {program}`.")
    folder.mkdir(parents=True, exist_ok=True)
    [port] = free_ports(1)
    command = [found, f"--web.listen-address=127.0.0.1:{port}", *arguments]
    with running(command, folder / f"{program}.log", lambda: _listens(port)):
        yield f"127.0.0.1:{port}"


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
