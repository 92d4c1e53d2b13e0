"""Flask on one event loop: an ASGI server room that knows nothing of the app it serves."""

from .asgi import ASGI
from .bridge import await_
from .flask import LoopFlask, on_loop
from .preset import PRESET, Preset
from .stats import Stats

__all__ = ["ASGI", "PRESET", "LoopFlask", "Preset", "Stats", "await_", "on_loop"]
