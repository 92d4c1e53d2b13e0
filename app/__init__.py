"""A Flask app with Auth0 login, ready for production.

`create_app` is the whole of it: settings, then extensions, then blueprints. Nothing happens at import time.
"""

import importlib
import logging
import logging.config
from types import ModuleType
from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from .server import LoopFlask
    from .settings import Settings


def create_app(settings: "Settings | None" = None) -> "LoopFlask":
    """Make the app.

    :param settings: the settings; read from the environment unless given.
    :raises SettingsError: they cannot be used. It lists all problems.
    """
    # Here, so that `python -m app health` waits neither for the settings' library nor for the SDK.
    from .settings import load_settings  # noqa: PLC0415

    settings = settings or load_settings()

    from . import auth, ops, sessions, web  # noqa: PLC0415
    from .server import LoopFlask  # noqa: PLC0415

    if not logging.getLogger().handlers:
        logging.config.dictConfig(ops.logs.configuration(settings.log_level, settings.production))

    app = LoopFlask("app", static_folder=None)
    app.secret_key = settings.secrets[0]
    app.config.update(
        APP_ENV=settings.app_env,
        ORIGIN=settings.origin,
        AUTH0_DOMAIN=settings.auth0_domain,
        AUTH0_LOGIN_PARAMETERS=settings.auth0_login_parameters,
        MAX_CONTENT_LENGTH=settings.server_max_body_bytes,
        SERVER_THREADS=settings.server_threads,
        SERVER_CONCURRENCY=settings.server_concurrency,
        SERVER_REQUEST_TIMEOUT_SECONDS=settings.server_request_timeout_seconds,
        SERVER_DRAIN_SECONDS=settings.server_drain_seconds,
        TESTING=settings.app_env == "test",
    )
    sessions.init_app(app, settings)
    web.refuse_other_hosts(app, settings)
    ops.init_app(app, settings)
    web.init_app(app, settings)
    auth.init_app(app, settings)
    _pages(settings.app_pages).init_app(app)
    web.register_look(app)
    _refuse_insecure_cookies(app, settings)
    return app


def _pages(name: str) -> ModuleType:
    from .environment import Problem  # noqa: PLC0415
    from .settings import SettingsError  # noqa: PLC0415

    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            # The pages are there; it is something that they import.
            raise
        raise SettingsError([Problem("APP_PAGES", f"names a module that is not there: {error.name}")]) from None
    if not hasattr(module, "init_app"):
        raise SettingsError([Problem("APP_PAGES", f"names the module {name}, which has no init_app(app)")])
    return module


def _refuse_insecure_cookies(app: "LoopFlask", settings: "Settings") -> None:
    # The last word: pages have had theirs, and nothing they did may let a session travel in the clear.
    if settings.production and not app.config["SESSION_COOKIE_SECURE"]:
        raise RuntimeError("SESSION_COOKIE_SECURE was turned off by the pages: production refuses to start without it.")
