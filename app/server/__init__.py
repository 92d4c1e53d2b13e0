"""Flask on one event loop: an ASGI server room that knows nothing of the app it serves."""

from .answer import ANSWER, Answer, Preset
from .asgi import ASGI
from .bridge import await_
from .flask import LoopFlask, on_loop
from .signals import tell
from .stats import Stats

__all__ = ["ANSWER", "ASGI", "Answer", "LoopFlask", "Preset", "Stats", "await_", "on_loop", "tell"]
