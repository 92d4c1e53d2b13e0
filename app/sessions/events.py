"""What happens in this room, for whoever watches: metrics and the log subscribe, and nobody here knows of them.

Blinker signals, as Flask's own. The sender is the app, but for those about the store, whose sender is the `RedisStore`
(`app.extensions["session_store"]`). A receiver is called as `function(sender, **arguments)`, on the loop: it must not
block, and what it raises would break the request. No argument is secret or says who somebody is.

What happens at every request is counted in `Stats` instead, `app.extensions["session_stats"]`: a signal costs 3 µs.
"""

from dataclasses import dataclass

from blinker import Namespace
from flask import Flask

from app import server

tell = server.tell
_signals = Namespace()

session_created = _signals.signal("session-created", doc="A session was written that had not been there.")
session_ended = _signals.signal(
    "session-ended",
    doc="Sessions were ended, before their time. `cause`: one of `ENDS`, `expired` at the provider's limit; "
    "`sessions`: how many.",
)
session_refused = _signals.signal(
    "session-refused",
    doc="What was kept cannot be decrypted, and counts as not there. `where`: one of `PLACES`.",
)
keys_changed = _signals.signal(
    "keys-changed",
    doc="The key ring is another from now on. `key_id`: the first key's, as it stands in blobs, which is no secret; "
    "`keys`: how many there are.",
)
keys_refused = _signals.signal(
    "keys-refused",
    doc="The file of the keys was looked at and cannot be used; every look tells. `problem`: why; `news`: whether that "
    "was not so at the look before (a bool).",
)
store_answered = _signals.signal(
    "store-answered",
    doc="Redis was sent a batch of commands. `outcome`: one of `STORE_OUTCOMES`; `seconds`: how long it took.",
)
command_answered = _signals.signal(
    "command-answered",
    doc="A command has its answer. `command`: its name, such as GET; `outcome`: `ok`, `unavailable`, or "
    "`cancelled` if nobody waits for it any more; `seconds`: how long that took, waiting for a batch included. Only "
    "sent where somebody listens.",
)
circuit_changed = _signals.signal(
    "circuit-changed",
    doc="Requests do not wait for Redis any more, or do so again. `is_open`: whether they do not (a bool).",
)

ENDS = ("logout", "expired", "replaced", "backchannel", "everywhere", "device", "other")
PLACES = ("session", "transaction", "note")
STORE_OUTCOMES = ("ok", "refused", "unavailable")


@dataclass
class Stats:
    """What is counted at every request, in `app.extensions["session_stats"]`; written on the loop only."""

    opened_with_first_key: int = 0
    """Sessions that were read, and had been written with the ring's first key."""
    opened_with_older_key: int = 0
    """Sessions that were read, and had been written with another of its keys."""

    @classmethod
    def of(cls, app: Flask) -> "Stats":
        """Those of *app*."""
        stats: Stats = app.extensions.setdefault("session_stats", cls())
        return stats

    def opened(self, *, first_key: bool) -> None:
        """Count a session that was read."""
        if first_key:
            self.opened_with_first_key += 1
        else:
            self.opened_with_older_key += 1


def tell_ended(cause: str, sessions: int) -> None:
    """Tell that so many have ended, if any has."""
    if sessions:
        tell(session_ended, cause=cause, sessions=sessions)
