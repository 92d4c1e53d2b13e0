"""One id for a request, the same in nginx's log, the app's log, the response and on an error page."""

import re
import secrets
from typing import Any

from flask import request

HEADER = "X-Request-ID"
_WELL_FORMED = re.compile(r"[A-Za-z0-9_-]{8,64}")


def request_id() -> str:
    """The current request's id: the trusted proxy's, else one made here."""
    return id_of(request.environ)


def id_of(environ: dict[str, Any]) -> str:
    """The same for the request with this WSGI environment."""
    found: str | None = environ.get("app.request_id")
    if found is None:
        sent = environ.get("HTTP_X_REQUEST_ID")
        found = sent if sent and _WELL_FORMED.fullmatch(sent) else secrets.token_hex(16)
        environ["app.request_id"] = found
    return found
