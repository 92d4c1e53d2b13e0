"""Flask on one event loop: an ASGI server room that knows nothing of the app it serves."""

from .asgi import ASGI
from .bridge import await_
from .exchange import ON_BEGIN, OnBegin
from .flask import LoopFlask, on_loop
from .preset import PRESET, Preset
from .signals import tell
from .stats import Stats

__all__ = ["ASGI", "ON_BEGIN", "PRESET", "LoopFlask", "OnBegin", "Preset", "Stats", "await_", "on_loop", "tell"]
