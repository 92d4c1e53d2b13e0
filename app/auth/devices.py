"""A user's sessions, as they see them: where they are signed in, and how to end it."""

import re
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from flask import current_app, has_request_context, request

from app import sessions

from . import events
from .logins import now

# The first that matches: others' names stand in nearly every browser's text too.
_BROWSERS = (
    ("Edge", "Edg"),
    ("Opera", "OPR"),
    ("Firefox", "Firefox|FxiOS"),
    ("Chrome", "Chrome|CriOS"),
    ("Safari", "Safari"),
)
_SYSTEMS = (
    *(("Android", "Android"), ("iPhone", "iPhone"), ("iPad", "iPad"), ("Windows", "Windows")),
    *(("macOS", "Mac OS X|Macintosh"), ("ChromeOS", "CrOS"), ("Linux", "Linux")),
)


@dataclass(frozen=True)
class Device:
    """One session of a user's: `browser` in words, when it `began`, and a `name` to end it by, which is no secret."""

    name: str
    browser: str
    began: datetime
    current: bool


async def devices() -> list[Device]:
    """The sessions of the user who is signed in, the newest first. None in cookie mode: nobody knows of them there.

    :raises StoreUnavailable: Redis does not answer.
    """
    label = current_app.extensions["auth0"].user_label()
    found = [] if label is None else await sessions.listed(label)
    made = [
        Device(one.name, one.note.get("browser", "Unknown"), _time(one.note.get("began")), one.current) for one in found
    ]
    return sorted(made, key=lambda device: device.began, reverse=True)


async def end_device(name: str) -> bool:
    """End the one session of this user's that has this name; False if there is none."""
    label, user = await _user()
    ended = label is not None and await sessions.end_one(label, name, cause="device")
    events.tell(events.logged_out, kind="device", sessions=int(ended), user=user)
    return ended


async def end_all_devices() -> int:
    """End all sessions of this user's, this one among them; how many there were.

    This one's refresh token is revoked as at a logout. Those of the others stand in sessions that nobody here can open.
    """
    label, user = await _user()
    ended = 0 if label is None else await sessions.end(label, at=now(), cause="everywhere")
    if ended:
        current_app.extensions["auth0"].revoke_refresh_token()
    events.tell(events.logged_out, kind="everywhere", sessions=ended, user=user)
    return ended


def note() -> dict[str, Any]:
    """What is noted of a session when it begins."""
    agent = request.headers.get("User-Agent", "") if has_request_context() else ""
    return {"browser": browser_of(agent), "began": int(time.time())}


def browser_of(agent: str) -> str:
    """A `User-Agent` in words: "Firefox on Linux". Whatever it says, the words are these."""
    browser = next((name for name, pattern in _BROWSERS if re.search(pattern, agent)), "A browser")
    system = next((name for name, pattern in _SYSTEMS if re.search(pattern, agent)), "an unknown system")
    return f"{browser} on {system}"


def is_own_form() -> bool:
    """Whether the browser says that the request comes from a page of this app (W3C Fetch Metadata, RFC 6454)."""
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site == "same-origin"
    return request.headers.get("Origin") == str(current_app.config["ORIGIN"])


async def _user() -> tuple[str | None, str | None]:
    # What their sessions are found by, and what they are called in the log.
    auth0 = current_app.extensions["auth0"]
    return auth0.user_label(), events.pseudonym(await auth0.get_user())


def _time(began: Any) -> datetime:
    return datetime.fromtimestamp(began if isinstance(began, int) else 0, UTC)
