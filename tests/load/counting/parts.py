"""The parts of the project that can be left out, to count the page without them."""

import gc
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from app.server import LoopFlask


@dataclass(frozen=True)
class Part:
    """One part: its name for people, and what takes it out of an app that was just made."""

    title: str
    leave_out: Callable[[LoopFlask], None]


def _around(app: LoopFlask) -> list[Any]:
    # The middleware, the outermost first.
    found: list[Any] = []
    layer: Any = app.wsgi_app
    while hasattr(layer, "_app"):
        found.append(layer)
        layer = layer._app
    return found


def _without(kind: str) -> Callable[[LoopFlask], None]:
    def leave_out(app: LoopFlask) -> None:
        layers = _around(app)
        [index] = [index for index, layer in enumerate(layers) if type(layer).__name__ == kind]
        if index:
            layers[index - 1]._app = layers[index]._app
        else:
            app.wsgi_app = layers[index]._app  # type: ignore[method-assign]

    return leave_out


def _log(app: LoopFlask) -> None:
    import logging

    logging.getLogger("app.request").setLevel(logging.WARNING)


def _metrics(app: LoopFlask) -> None:
    [recorder] = [layer for layer in _around(app) if hasattr(layer, "_metrics")]

    class Nothing:
        def observe(self, *_: Any) -> None:
            pass

    recorder._metrics = Nothing()
    # Receivers of signals are referred to weakly: with these goes whatever watches the rooms.
    for hooks in (app.tick_hooks, app.stop_hooks):
        hooks[:] = [hook for hook in hooks if hook.__module__ != "app.ops.metrics"]
    del app.extensions["metrics_of_rooms"]
    gc.collect()


LEFT_OUT = {
    "log": Part("the line in the log", _log),
    "headers": Part("security headers and the request's id", _without("SecurityHeaders")),
    "metrics": Part("metrics", _metrics),
    "host": Part("the check of the request's host", _without("OwnHost")),
    "proxies": Part("trust in proxies", _without("TrustedProxies")),
}
