"""uvicorn's HTTP protocol, and a way to send a response that is there in full with one write.

ASGI has a message for the head and one for the body. uvicorn checks each header of the first again, which
`Exchange` has done, and writes the two one by one: two system calls, two packets, and the client wakes up twice.
"""

import functools
from collections.abc import Callable
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

SendAtOnce = Callable[[int, list[tuple[str, str]], str, bytes], bool]
AT_ONCE = "app.server.at_once"
"""The key of a `SendAtOnce` in the scope's `extensions` (ASGI 3, "Extensions")."""
# These change what becomes of the connection, which uvicorn's own way of sending sees to.
_HOP_BY_HOP = frozenset({"connection", "transfer-encoding"})


class Protocol(HttpToolsProtocol):
    """Offers the extension to each request."""

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        extensions: Any = {AT_ONCE: functools.partial(send_at_once, cycle)}
        cycle.scope["extensions"] = extensions
        super()._start_asgi_task(cycle, app)


def send_at_once(
    cycle: RequestResponseCycle, status: int, headers: list[tuple[str, str]], preset: str, body: bytes
) -> bool:
    """Send all of a response. False if it has to be sent by messages; nothing has been sent then.

    :param headers: in lower case, legal, with the length of *body* where the status has one.
    :param preset: more of them, as the lines that they are.
    """
    if cycle.flow.write_paused or cycle.disconnected or cycle.response_started:
        return False
    lines = []
    for name, value in headers:
        if name in _HOP_BY_HOP:
            return False
        lines.append(f"{name}: {value}\r\n")
    if not cycle.keep_alive:
        lines.append("connection: close\r\n")
    lines.append(preset)
    defaults = [b"%b: %b\r\n" % header for header in cycle.default_headers]
    head = b"".join([STATUS_LINE[status], *defaults, "".join(lines).encode("latin-1")])
    cycle.response_started = cycle.response_complete = True
    cycle.waiting_for_100_continue = False
    cycle.transport.write(b"%b\r\n%b" % (head, body))
    # As uvicorn does after the last message.
    cycle.message_event.set()
    if not cycle.keep_alive:
        cycle.transport.close()
    cycle.on_response()
    return True
