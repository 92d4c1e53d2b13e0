"""What happens in this room, for whoever watches: metrics and the log subscribe, and nobody here knows of them.

Blinker signals, as Flask's own. The sender is the app, so `login_failed.connect(function, sender=app)` hears of one app
alone. A receiver is called as `function(app, **arguments)`, in the request's context if there is one, on the loop: it
must not block, and what it raises would break the request. No argument is secret or says who somebody is: `user` is
the pseudonym of whom it is about (docs/decisions/0008), None where that is not known.
"""

import asyncio
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from blinker import Namespace

from app import server, sessions

from .failures import outcome_of

tell = server.tell
_signals = Namespace()

login_started = _signals.signal(
    "login-started",
    doc="A browser was sent to the provider to sign in. `silent`: the provider was told to show nothing (a bool).",
)
login_returned = _signals.signal(
    "login-returned",
    doc="A browser came back from the provider with a login of its own. `seconds`: since it was sent there.",
)
login_completed = _signals.signal(
    "login-completed", doc="Somebody is signed in; the session has been written. `user`: their pseudonym."
)
login_failed = _signals.signal(
    "login-failed",
    doc="A login ended in something else. `step`: one of `LOGIN_STEPS`; `cause`: one of `failures.CAUSES`; `code`: "
    "the provider's word for it, or the name of an exception; `operator`: whether the operator has to do something.",
)
access_refused = _signals.signal(
    "access-refused",
    doc="Somebody who is signed in may not see a page. `missing`: names of what they do not have, without values; "
    "`user`: their pseudonym.",
)
logged_out = _signals.signal(
    "logged-out",
    doc="Somebody ended sessions of theirs. `kind`: one of `LOGOUTS`; `sessions`: how many ended; "
    "`user`: their pseudonym.",
)
backchannel_answered = _signals.signal(
    "backchannel-answered",
    doc="The provider's logout token was answered. `outcome`: one of `BACKCHANNEL_OUTCOMES`; `sessions`: how many "
    "ended; `reason`: a sentence on why it was refused, else empty; `user`: the pseudonym of whom a valid one names.",
)
provider_answered = _signals.signal(
    "provider-answered",
    doc="A call to the provider is over. `call`: one of `PROVIDER_CALLS`; `outcome`: one of `PROVIDER_OUTCOMES`; "
    "`seconds`: how long it took.",
)
refresh_ended = _signals.signal(
    "refresh-ended",
    doc="An access token was to be renewed. `outcome`: one of `REFRESH_OUTCOMES`; `code`: as of `login_failed`, "
    "else empty; `operator`: as of `login_failed`; `user`: whose it was, a pseudonym.",
)
refresh_lock_taken = _signals.signal(
    "refresh-lock-taken",
    doc="A request may renew its session's tokens, or has given up waiting for it. `seconds`: how long it waited.",
)

LOGIN_STEPS = ("login", "callback")
LOGOUTS = ("user", "everywhere", "device")
BACKCHANNEL_OUTCOMES = ("ended", "refused", "unavailable", "unsupported")
PROVIDER_CALLS = ("metadata", "keys", "par", "token", "refresh", "revoke")
PROVIDER_OUTCOMES = ("ok", "refused", "slow", "down")
REFRESH_OUTCOMES = ("renewed", "refused", "reused", "provider_down")


def pseudonym(claims: Mapping[str, Any] | None) -> str | None:
    """The pseudonym of the user with these claims; None for nobody."""
    subject = (claims or {}).get("sub")
    return sessions.pseudonym(subject) if isinstance(subject, str) else None


@contextmanager
def call_to_provider(call: str) -> Iterator[None]:
    """Tell how long the block took, which asks the provider, and how it ended."""
    started = time.perf_counter()
    outcome = "ok"
    try:
        yield
    except asyncio.CancelledError:
        # The request has reached its time limit.
        outcome = "slow"
        raise
    except Exception as error:
        outcome = outcome_of(error)
        raise
    finally:
        tell(provider_answered, call=call, outcome=outcome, seconds=time.perf_counter() - started)
