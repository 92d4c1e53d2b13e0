"""Requests for another host than the app's own are refused, so no `Host` header ends up in a link."""

import functools
from urllib.parse import urlsplit

from flask import Flask, abort, request

from app.server import on_loop
from app.settings import Settings


def init_app(app: Flask, settings: Settings) -> None:
    """Refuse, with 400, every host but that of `AUTH0_REDIRECT_URI`; probes come with the machine's address."""
    own = urlsplit(settings.origin).hostname

    @functools.lru_cache(256)
    def is_own(host: str) -> bool:
        # The port is not compared: behind a load balancer or a port-forward it is another one.
        try:
            return urlsplit(f"//{host}").hostname == own
        except ValueError:
            # Brackets without an address in them.
            return False

    @app.before_request
    @on_loop
    def refuse_other_hosts() -> None:
        current = request._get_current_object()  # type: ignore[attr-defined]
        if not is_own(current.host) and current.blueprint != "health":
            abort(400, f"This is {settings.origin}; the request was for another host.")
