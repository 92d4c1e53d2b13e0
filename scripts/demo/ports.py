"""Whether the demo's ports are free, and who has one that is not."""

import errno
import itertools
import shutil
import socket
import subprocess
from collections.abc import Iterable
from pathlib import Path

from .options import PORTS, DemoError, Options

_LISTENING = "0A"


def has_ipv6() -> bool:
    """Whether this machine has the address ::1, which browsers try first for `localhost`."""
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


def check(options: Options) -> None:
    """Raise DemoError for the first port on which the demo cannot listen."""
    for name, port in options.ports.items():
        if reason := obstacle(port):
            fix = f"stop that, or choose another port with `make demo {name}={another(port, options.ports.values())}`"
            raise DemoError(f"Port {port}, for {PORTS[name][1]}, {reason}: {fix}.")


def obstacle(port: int) -> str:
    """Why nobody can listen on *port* of the loopback addresses, as the rest of a sentence; empty where one can."""
    families = {socket.AF_INET: "127.0.0.1"} | ({socket.AF_INET6: "::1"} if has_ipv6() else {})
    return next(filter(None, (_obstacle(family, address, port) for family, address in families.items())), "")


def another(port: int, wanted: Iterable[int]) -> int:
    """The nearest port to propose in place of *port*: one that nobody has, nor is *wanted* for something else."""
    wanted = {port, *wanted}
    candidates = itertools.chain(range(port + 1, 65_536), range(port - 1, 1023, -1))
    return next(candidate for candidate in candidates if candidate not in wanted and not obstacle(candidate))


def _obstacle(family: socket.AddressFamily, address: str, port: int) -> str:
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # Connections of the last run may still be closing; they are no obstacle to a server.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
            probe.listen()
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return f"is taken{_by_whom(port)}"
            return f"cannot be listened on ({error.strerror})"
    return ""


def _by_whom(port: int) -> str:
    pid = _holder(port)
    if pid is None:
        return ""
    try:
        return f" by {Path(f'/proc/{pid}/comm').read_text().strip()} (process {pid})"
    except OSError:
        return f" by process {pid}"


def _holder(port: int) -> int | None:
    """The id of the process that listens on *port*; None where that cannot be told."""
    if Path("/proc/net/tcp").exists():
        return _holder_in_proc(port)
    if shutil.which("lsof"):
        command = ["lsof", "-nP", "-t", f"-iTCP:{port}", "-sTCP:LISTEN"]
        found = subprocess.run(command, capture_output=True, text=True, check=False).stdout.split()
        return int(found[0]) if found else None
    return None


def _holder_in_proc(port: int) -> int | None:
    sockets = set()
    for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")):
        for line in table.read_text().splitlines()[1:] if table.exists() else ():
            fields = line.split()
            if fields[3] == _LISTENING and int(fields[1].rpartition(":")[2], 16) == port:
                sockets.add(f"socket:[{fields[9]}]")
    for descriptor in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            if str(descriptor.readlink()) in sockets:
                return int(descriptor.parts[2])
        except OSError:
            # It has gone, or belongs to somebody else.
            continue
    return None
