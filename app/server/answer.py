"""What middleware says of an answer beforehand; headers that are the same each time are checked, and encoded, once."""

from collections.abc import Callable, Collection, Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask import Request

ANSWER = "app.server.answer"
"""The key of the `Answer` in the WSGI environment. Other servers have none."""
# What these say is the response's own, or changes what becomes of the connection.
_NEVER = frozenset({"content-length", "connection", "transfer-encoding"})


class Preset:
    """Some headers; `names` in lower case, `lines` as they are sent.

    :raises ValueError: one cannot be the same in each response, or is none that HTTP allows.
    """

    def __init__(self, headers: Iterable[tuple[str, str]]) -> None:
        self.headers = [(name.lower(), value) for name, value in headers]
        self.names = frozenset(name for name, _ in self.headers)
        lines = [f"{name}: {value}" for name, value in self.headers]
        if self.names & _NEVER or not all(line.isascii() and line.isprintable() for line in lines):
            raise ValueError(f"These headers cannot be the same in each response: {self.headers!r}")
        self.lines = "".join(f"{line}\r\n" for line in lines)

    def without(self, names: Collection[str]) -> "Preset":
        """Those whose name, in lower case, is none of these."""
        if self.names.isdisjoint(names):
            return self
        return Preset(header for header in self.headers if header[0] not in names)


NOTHING = Preset([])
Begins = Callable[[int, "Request | None"], object]


class Answer:
    """What middleware wants of the answer, said before it calls the app: no function around `start_response`."""

    __slots__ = ("begins", "own", "preset")

    def __init__(self) -> None:
        self.preset = NOTHING
        """Headers that are the same each time. What the application says of these itself stands."""
        self.own: list[tuple[str, str]] = []
        """Headers, their names in lower case, that stand in place of what the application says of these."""
        self.begins: list[Begins] = []
        """Called once, as the answer begins: with its status, which may be another than `start_response` was given, and
        with the request as Flask made it, where it came to that."""
