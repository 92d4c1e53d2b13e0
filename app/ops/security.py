"""Security events in the log, `app.security`: what the rooms tell of themselves, in OWASP's words (docs/logs.md).

https://cheatsheetseries.owasp.org/cheatsheets/Logging_Vocabulary_Cheat_Sheet.html
"""

import logging
from typing import Any

from blinker import NamedSignal
from flask import Flask, has_request_context, request

from app.auth import events as auth
from app.auth.failures import NEEDS_THE_PERSON
from app.sessions import events as sessions

log = logging.getLogger("app.security")


class SecurityEvents:
    """Subscribes to the signals of `app.auth` and `app.sessions`."""

    def __init__(self, app: Flask) -> None:
        told: dict[NamedSignal, Any] = {
            auth.login_completed: self._on_completed,
            auth.login_failed: self._on_failed,
            auth.access_refused: self._on_access,
            auth.refresh_ended: self._on_refresh,
            auth.logged_out: self._on_logout,
            auth.backchannel_answered: self._on_backchannel,
            sessions.session_refused: self._on_refused,
            sessions.keys_changed: self._on_keys,
            sessions.keys_refused: self._on_keys_refused,
        }
        for signal, receiver in told.items():
            signal.connect(receiver, sender=app)

    def _on_completed(self, app: Flask, *, user: str | None) -> None:
        _write(logging.INFO, "authn_login_success", "login succeeded", user=user)

    def _on_failed(self, app: Flask, *, step: str, cause: str, code: str, operator: bool) -> None:
        # A silent login asks whether there is a session at the provider; that there is none is no failure.
        if cause != NEEDS_THE_PERSON:
            level = logging.ERROR if operator else logging.WARNING
            _write(level, "authn_login_fail", f"login failed: {cause}", step=step, cause=cause, code=code)

    def _on_access(self, app: Flask, *, missing: list[str], user: str | None) -> None:
        _write(logging.WARNING, "authz_fail", "access refused", missing=missing, user=user)

    def _on_refresh(self, app: Flask, *, outcome: str, code: str, operator: bool, user: str | None) -> None:
        # A provider that is down is nobody's attempt, and has its metric.
        level = logging.ERROR if operator else logging.WARNING
        if outcome == "reused":
            _write(level, "authn_token_reuse", "the provider takes a refresh token no more", code=code, user=user)
        elif outcome == "refused":
            _write(level, "authn_token_refuse", "the provider does not renew a token", code=code, user=user)

    def _on_logout(self, app: Flask, *, kind: str, sessions: int, user: str | None) -> None:
        if sessions:
            cause = "logout" if kind == "user" else kind
            message = f"sessions ended: {cause}"
            _write(logging.INFO, "session_expired", message, cause=cause, sessions=sessions, user=user)

    def _on_backchannel(self, app: Flask, *, outcome: str, sessions: int, reason: str, user: str | None) -> None:
        if outcome == "ended":
            told = {"cause": "backchannel", "sessions": sessions, "user": user}
            _write(logging.INFO, "session_expired", "back-channel logout", **told)
        elif outcome == "refused":
            _write(logging.WARNING, "input_validation_fail", "back-channel logout refused", reason=reason)
        else:
            _write(logging.ERROR, "session_expire_fail", f"back-channel logout failed: {outcome}", cause=outcome)

    def _on_refused(self, app: Flask, *, where: str) -> None:
        _write(logging.WARNING, "crypt_decrypt_fail", f"{where} refused: it cannot be decrypted", where=where)

    def _on_keys(self, app: Flask, *, key_id: str, keys: int) -> None:
        message = f"the keys of sessions were read anew: there are {keys}"
        _write(logging.INFO, "crypt_keys_change", message, key_id=key_id, keys=keys)

    def _on_keys_refused(self, app: Flask, *, problem: str, news: bool) -> None:
        if news:
            message = f"AUTH0_SECRET_FILE was not taken: it {problem}"
            _write(logging.ERROR, "crypt_keys_refuse", message, reason=problem)


def _write(level: int, event: str, message: str, **fields: Any) -> None:
    client = {"client": request.remote_addr} if has_request_context() else {}
    log.log(level, message, extra={"event": event, **fields, **client})


def init_app(app: Flask) -> None:
    """Write the events of *app*."""
    # Signals do not keep who listens.
    app.extensions["security_events"] = SecurityEvents(app)
