"""Telling whoever watches of what happens in an app, by Blinker's signals, as Flask's own are."""

from typing import Any

from blinker import NamedSignal
from flask import current_app, has_app_context


def tell(signal: NamedSignal, **arguments: Any) -> None:
    """Send *signal* for the current app; without one there is nobody to hear it."""
    if has_app_context():
        signal.send(current_app._get_current_object(), **arguments)  # type: ignore[attr-defined]
