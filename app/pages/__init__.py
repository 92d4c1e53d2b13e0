"""The pages: home, profile, an API call. Replace this package by your own (`APP_PAGES=mypackage.pages`).

A package of pages has `init_app(app)`, which registers its blueprints. It imports what it needs from `app.auth`.
"""

from flask import Flask

from .routes import pages

__all__ = ["init_app"]


def init_app(app: Flask) -> None:
    """Register the pages."""
    app.register_blueprint(pages)
