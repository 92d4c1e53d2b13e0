"""What `flask.session` is: encrypted, in Redis or in the browser's cookies, the same to the code that uses it.

This room knows nothing of Auth0. Its public names are below; `init_app` puts the backend that the settings choose
into the app.
"""

from datetime import UTC, datetime

from flask import current_app, session

from app.server import LoopFlask
from app.settings import Settings

from .cookie import CookieSessions
from .keyring import KeyRing
from .model import Session, SessionTooLarge, StoreUnavailable
from .redis import RedisSessions
from .store import RedisStore
from .transient import TransientCookies

__all__ = [
    "Session",
    "SessionTooLarge",
    "StoreUnavailable",
    "TransientCookies",
    "ends_at",
    "init_app",
    "ping",
    "regenerate",
    "transient_cookies",
]


def init_app(app: LoopFlask, settings: Settings) -> None:
    """Set `app.session_interface`, and the extensions that the functions below use."""
    keyring = KeyRing(settings.secrets)
    prefix = "__Host-" if settings.session_cookie_secure else ""
    app.config.update(
        SESSION_COOKIE_NAME=f"{prefix}session",
        SESSION_COOKIE_SECURE=settings.session_cookie_secure,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_PATH="/",
        SESSION_COOKIE_DOMAIN=None,
        SESSION_REFRESH_EACH_REQUEST=False,
        PERMANENT_SESSION_LIFETIME=settings.session_absolute_seconds,
    )
    app.extensions["transient_cookies"] = TransientCookies(keyring, prefix)
    if settings.redis_url is not None and settings.session_backend == "redis":
        store = RedisStore(settings.redis_url.get_secret_value(), settings.redis_timeout_seconds)
        app.extensions["session_store"] = store
        app.session_interface = RedisSessions(app, keyring, store)
        app.on_stop(store.close)
    else:
        app.session_interface = CookieSessions(app, keyring)


def regenerate() -> None:
    """Give the current session a new id and a new beginning, and end the old one: call it whenever rights grow.

    Without it, a session id planted in a browser before login is the victim's session after it (OWASP session
    fixation).
    """
    current_app.session_interface.regenerate(session._get_current_object())  # type: ignore[attr-defined]


def ends_at() -> datetime:
    """When the current session ends, whatever is done in it."""
    created_at: int = session._get_current_object().created_at  # type: ignore[attr-defined]
    return datetime.fromtimestamp(created_at, UTC) + current_app.permanent_session_lifetime


def transient_cookies() -> TransientCookies:
    """The app's short-lived, encrypted cookies."""
    cookies: TransientCookies = current_app.extensions["transient_cookies"]
    return cookies


async def ping() -> None:
    """Ask the session store whether it answers; cookie sessions have none and always do.

    :raises StoreUnavailable: Redis does not answer, or refuses.
    """
    store: RedisStore | None = current_app.extensions.get("session_store")
    if store is not None:
        await store.execute("PING")
