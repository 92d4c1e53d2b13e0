"""What pages add to a login and to a logout: functions that are called with the claims."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from inspect import iscoroutinefunction
from typing import Any

from flask import Flask, current_app
from werkzeug.exceptions import Forbidden

log = logging.getLogger(__name__)

LoginHook = Callable[[dict[str, Any]], Awaitable[Mapping[str, Any] | None] | Mapping[str, Any] | None]
LogoutHook = Callable[[dict[str, Any]], Awaitable[None] | None]


class LoginRefused(Forbidden):
    """Raised by a hook: this person may not sign in. *reason* is for the log; the person is told nothing of it."""

    def __init__(self, reason: str) -> None:
        super().__init__()
        self.reason = reason


@dataclass
class _Hooks:
    login: list[LoginHook] = field(default_factory=list)
    logout: list[LogoutHook] = field(default_factory=list)


def on_login(app: Flask, function: LoginHook) -> LoginHook:
    """Call `function(claims)`, `async def` or `def`, with the verified claims of each login, before anything is stored.

    What it returns, a dictionary, is kept in `flask.session`. It may raise `LoginRefused`: then nobody is signed in.
    """
    _hooks(app).login.append(function)
    return function


def on_logout(app: Flask, function: LogoutHook) -> LogoutHook:
    """Call `function(claims)` with the user's claims before their session ends at `/logout`.

    What it raises is logged and stops nothing: a logout always succeeds.
    """
    _hooks(app).logout.append(function)
    return function


async def before_login(claims: dict[str, Any]) -> dict[str, Any]:
    """Run the hooks of a login; returns what to keep."""
    kept: dict[str, Any] = {}
    for function in _hooks(current_app).login:
        kept |= await _call(function, claims) or {}
    return kept


async def before_logout(claims: dict[str, Any]) -> None:
    """Run the hooks of a logout."""
    for function in _hooks(current_app).logout:
        try:
            await _call(function, claims)
        except Exception:
            log.exception("a hook of the logout failed")


async def _call(function: Callable[[dict[str, Any]], Any], claims: dict[str, Any]) -> Any:
    if iscoroutinefunction(function):
        return await function(dict(claims))
    return current_app.ensure_sync(function)(dict(claims))


def _hooks(app: Flask) -> _Hooks:
    hooks: _Hooks = app.extensions.setdefault("auth_hooks", _Hooks())
    return hooks
