"""Ports for servers that must know theirs before they start."""

import secrets
import socket

# Below what Linux and macOS hand out by themselves: no connection takes one between our look and the server's start.
RANGE = range(20000, 32768)


def free_ports(count: int) -> list[int]:
    """Different ports of 127.0.0.1 that nobody listened on a moment ago."""
    ports: set[int] = set()
    while len(ports) < count:
        port = secrets.choice(RANGE)
        with socket.socket() as probe:
            # As servers do: what remains of an ended connection does not make a port taken.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        ports.add(port)
    return list(ports)
