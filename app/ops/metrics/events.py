"""What the rooms tell of themselves, counted."""

from typing import Any

from blinker import NamedSignal
from flask import Flask

from app.auth import events as auth
from app.server import LoopFlask
from app.sessions import Stats
from app.sessions import events as sessions

from . import declared
from .registered import Registered


class Authentication:
    """Subscribes to the signals of `app.auth`."""

    def __init__(self, app: Flask, registered: Registered) -> None:
        self._started = registered.counter(declared.LOGINS_STARTED)
        self._completed = registered.counter(declared.LOGINS_COMPLETED)
        self._failed = registered.counter(declared.LOGINS_FAILED)
        self._age = registered.histogram(declared.CALLBACK_AGE)
        self._provider = registered.histogram(declared.PROVIDER_DURATION)
        self._refreshes = registered.counter(declared.REFRESHES)
        self._lock_wait = registered.histogram(declared.LOCK_WAIT)
        self._backchannel = registered.counter(declared.BACKCHANNEL)
        self._logouts = registered.counter(declared.LOGOUTS)
        _subscribe(
            app,
            {
                auth.login_started: self._on_started,
                auth.login_returned: self._on_returned,
                auth.login_completed: self._on_completed,
                auth.login_failed: self._on_failed,
                auth.provider_answered: self._on_provider,
                auth.refresh_ended: self._on_refresh,
                auth.refresh_lock_taken: self._on_lock,
                auth.backchannel_answered: self._on_backchannel,
                auth.logged_out: self._on_logout,
            },
        )

    def _on_started(self, app: Flask, **_told: Any) -> None:
        self._started.inc()

    def _on_returned(self, app: Flask, *, seconds: float, **_told: Any) -> None:
        self._age.observe(seconds)

    def _on_completed(self, app: Flask, **_told: Any) -> None:
        self._completed.inc()

    def _on_failed(self, app: Flask, *, step: str, cause: str, **_told: Any) -> None:
        self._failed.labels(step, cause).inc()

    def _on_provider(self, app: Flask, *, call: str, outcome: str, seconds: float, **_told: Any) -> None:
        self._provider.labels(call, outcome).observe(seconds)

    def _on_refresh(self, app: Flask, *, outcome: str, **_told: Any) -> None:
        self._refreshes.labels(outcome).inc()

    def _on_lock(self, app: Flask, *, seconds: float, **_told: Any) -> None:
        self._lock_wait.observe(seconds)

    def _on_backchannel(self, app: Flask, *, outcome: str, **_told: Any) -> None:
        self._backchannel.labels(outcome).inc()

    def _on_logout(self, app: Flask, *, kind: str, **_told: Any) -> None:
        self._logouts.labels(kind).inc()


class Sessions:
    """Subscribes to the signals of `app.sessions`, and takes over what it counts by itself."""

    def __init__(self, app: LoopFlask, registered: Registered) -> None:
        self._stats = Stats.of(app)
        self._keys = app.extensions["session_keys"]
        self._created = registered.counter(declared.SESSIONS_CREATED)
        self._ended = registered.counter(declared.SESSIONS_ENDED)
        self._refused = registered.counter(declared.UNDECRYPTABLE)
        opened = registered.counter(declared.SESSIONS_OPENED)
        self._first, self._older = opened.labels("first"), opened.labels("older")
        self._taken = Stats()
        self._key_info = registered.gauge(declared.KEY_INFO)
        self._key_id = ""
        self._key_failures = registered.counter(declared.KEY_FAILURES)
        _subscribe(
            app,
            {
                sessions.session_created: self._on_created,
                sessions.session_ended: self._on_ended,
                sessions.session_refused: self._on_refused,
                sessions.keys_refused: self._on_keys_refused,
            },
        )
        store = app.extensions.get("session_store")
        if store is not None:
            duration = registered.histogram(declared.STORE_DURATION)
            # Made once: it is every request that observes them.
            self._durations = {outcome: duration.labels(outcome) for outcome in sessions.STORE_OUTCOMES}
            self._open = registered.gauge(declared.CIRCUIT_OPEN)
            _subscribe(store, {sessions.store_answered: self._on_answer, sessions.circuit_changed: self._on_circuit})

    def take(self) -> None:
        """Take over what has been counted since the last time, and which key is the first now."""
        first, older = self._stats.opened_with_first_key, self._stats.opened_with_older_key
        if first != self._taken.opened_with_first_key:
            self._first.inc(first - self._taken.opened_with_first_key)
        if older != self._taken.opened_with_older_key:
            self._older.inc(older - self._taken.opened_with_older_key)
        self._taken = Stats(first, older)
        if self._keys.first_id != self._key_id:
            if self._key_id:
                self._key_info.labels(self._key_id).set(0)
            self._key_id = self._keys.first_id
            self._key_info.labels(self._key_id).set(1)

    def _on_created(self, app: Flask, **_told: Any) -> None:
        self._created.inc()

    def _on_ended(self, app: Flask, *, cause: str, sessions: int, **_told: Any) -> None:
        self._ended.labels(cause).inc(sessions)

    def _on_refused(self, app: Flask, *, where: str, **_told: Any) -> None:
        self._refused.labels(where).inc()

    def _on_keys_refused(self, app: Flask, **_told: Any) -> None:
        self._key_failures.inc()

    def _on_answer(self, store: Any, *, outcome: str, seconds: float) -> None:
        self._durations[outcome].observe(seconds)

    def _on_circuit(self, store: Any, *, is_open: bool) -> None:
        self._open.set(is_open)


def _subscribe(sender: Any, receivers: dict[NamedSignal, Any]) -> None:
    for signal, receiver in receivers.items():
        signal.connect(receiver, sender=sender)
