"""Ask the server on this machine how it is, for a container's health check: `python -m app health`.

The port of the metrics answers, whatever the app itself listens on (app/server/probes.py). This runs every few seconds
for as long as the container does, hence sockets instead of `http.client`, which takes twice as long to import.
"""

import json
import os
import socket
from pathlib import Path

from .environment import Environment

# Where metrics are served unless METRICS_BIND says otherwise; app/settings.py has it from here.
METRICS_BIND = "0.0.0.0:9464"
# There where the kernel has IPv6, as nginx/start.sh knows it by.
IPV6 = Path("/proc/net/if_inet6")
# Above the patience of the server with its own workers, so that its reason is heard.
TIMEOUT_SECONDS = 4.0


class NotWell(Exception):
    """The server does not answer, or says that it is not as asked; the text is a sentence."""


def where(bind: str) -> tuple[str, int]:
    """Host and port of a METRICS_BIND. `[::]` is every address of both families, whichever of them the kernel has.

    :raises ValueError: it has no port.
    """
    host, _, port = bind.rpartition(":")
    host = host.strip("[]")
    if host == "::" and not IPV6.exists():
        # Such a kernel refuses to listen there.
        host = "0.0.0.0"  # noqa: S104 - as it was asked for
    return host, int(port)


def ask(question: str = "ready") -> None:
    """Return if the server is `ready` (to be sent requests) or `live` (the process answers).

    :raises NotWell: it is not.
    """
    bind = Environment.read(["metrics_bind"]).values.get("metrics_bind", METRICS_BIND)
    try:
        # Where every address is listened on, "every address" is also how to reach it from here.
        status, body = _get(where(bind), f"/healthz/{question}")
    except (OSError, ValueError) as error:
        reason = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else error
        raise NotWell(f"The server does not answer at {bind} (METRICS_BIND): {reason}.") from None
    if status != 200:
        raise NotWell(f"The server is not {question}: {_reason(body) or f'it answered {status}'}.")


def _get(address: tuple[str, int], path: str) -> tuple[int, bytes]:
    with socket.create_connection(address, TIMEOUT_SECONDS) as connection:
        connection.sendall(f"GET {path} HTTP/1.0\r\n\r\n".encode())
        with connection.makefile("rb") as answer:
            head, _, body = answer.read().partition(b"\r\n\r\n")
    words = head.split(None, 2)
    if len(words) < 2 or not words[0].startswith(b"HTTP/"):
        raise ValueError("what listens there does not speak HTTP")
    return int(words[1]), body


def _reason(body: bytes) -> str:
    try:
        return str(json.loads(body)["status"])
    except (ValueError, KeyError, TypeError):
        return ""
