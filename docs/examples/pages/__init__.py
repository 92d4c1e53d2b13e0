"""An example of one's own pages: notes that a signed-in person keeps. docs/pages.md explains it."""

from flask import Flask

from .notes import notes
from .start import start


def init_app(app: Flask) -> None:
    """Register the pages; the app calls this once, at its start."""
    app.register_blueprint(start)
    app.register_blueprint(notes)
