"""What `flask.session` is: encrypted, in Redis or in the browser's cookies, the same to the code that uses it.

This room knows nothing of Auth0. Its public names are below; `init_app` puts the backend that the settings choose
into the app.
"""

import functools

from flask import current_app

from app.server import LoopFlask
from app.settings import Settings

from . import eviction, rotation
from .connect import Connection
from .cookie import CookieSessions
from .current import (
    amender,
    end,
    end_one,
    ends_at,
    ends_by,
    index,
    limit,
    listed,
    lock,
    on_conflict,
    once,
    overtaken,
    pseudonym,
    regenerate,
    reload,
    save,
    shared,
    sid_digest,
)
from .entries import Entries
from .events import Stats
from .index import Index, Listed
from .keyring import KeyRing
from .locks import FleetLocks, LocalLocks, LockTimeout
from .model import Session, SessionTooLarge, StoreUnavailable
from .redis import RedisSessions
from .store import RedisStore
from .transient import TransientCookies

__all__ = [
    "Listed",
    "LockTimeout",
    "Session",
    "SessionTooLarge",
    "Stats",
    "StoreUnavailable",
    "TransientCookies",
    "amender",
    "end",
    "end_one",
    "ends_at",
    "ends_by",
    "index",
    "init_app",
    "limit",
    "listed",
    "lock",
    "on_conflict",
    "once",
    "overtaken",
    "ping",
    "pseudonym",
    "regenerate",
    "reload",
    "save",
    "shared",
    "sid_digest",
    "transient_cookies",
]


def init_app(app: LoopFlask, settings: Settings) -> None:
    """Set `app.session_interface`, and the extensions that the functions below use."""
    keyring = KeyRing(settings.secrets)
    app.extensions["session_keys"] = keyring
    file = settings.secret_file
    if file is not None:
        rotation.init_app(app, keyring, settings.secrets, lambda: settings.secrets_in(file))
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
        store = RedisStore(
            Connection(
                settings.redis_url.get_secret_value(),
                settings.redis_timeout_seconds,
                settings.redis_tls_ca,
                settings.redis_tls_certificate,
                settings.redis_tls_key,
            )
        )
        entries = Entries(store, settings.session_idle_seconds, settings.session_absolute_seconds)
        found = Index(store, keyring, entries)
        app.extensions.update(session_store=store, session_index=found, session_locks=FleetLocks(store))
        app.session_interface = RedisSessions(app, keyring, entries, found)
        app.on_start(functools.partial(eviction.check, store))
        app.on_stop(store.close)
    else:
        app.extensions["session_locks"] = LocalLocks()
        app.session_interface = CookieSessions(app, keyring, settings.session_idle_seconds)


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
        await store.ping()
