"""What every response and request has in common: security headers, error pages, proxy trust, request ids, the look."""

import functools

from flask import Blueprint, Flask

from app.server import LoopFlask
from app.settings import Settings

from . import errors, forget, headers, hosts
from .errors import error_page
from .forget import forget_pages
from .proxies import TrustedProxies
from .request_ids import id_of, request_id, trace_id, trace_id_of

__all__ = [
    "error_page",
    "forget_pages",
    "id_of",
    "init_app",
    "refuse_other_hosts",
    "request_id",
    "trace_id",
    "trace_id_of",
]

_STATIC_SECONDS = 3600

refuse_other_hosts = hosts.init_app
"""Before whatever logs and counts requests: what is refused is logged and counted as well."""


def init_app(app: LoopFlask, settings: Settings) -> None:
    """Put the middleware, hooks, error pages and the stylesheet into the app."""
    headers.init_app(app, settings)
    forget.init_app(app)
    app.wsgi_app = TrustedProxies(app.wsgi_app, settings.trusted_proxies)  # type: ignore[method-assign]
    app.config["SEND_FILE_MAX_AGE_DEFAULT"] = _STATIC_SECONDS
    errors.init_app(app)
    app.overload_response = functools.partial(errors.overload_page, app, headers.security_headers(settings))


def register_look(app: Flask) -> None:
    """Register the layout, the error page and the stylesheet, after the pages, whose templates so come first."""
    look = Blueprint("look", __name__, static_folder="static", static_url_path="/static", template_folder="templates")
    app.register_blueprint(look)
