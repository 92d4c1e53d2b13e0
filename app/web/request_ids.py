"""One id for a request, the same in nginx's log, the app's log, the response and on an error page; and its trace's."""

import re
import secrets
from typing import Any

from flask import request

HEADER = "X-Request-ID"
_WELL_FORMED = re.compile(r"[A-Za-z0-9_-]{8,64}")
# https://www.w3.org/TR/trace-context/#traceparent-header, as OpenTelemetry takes it: only version 00 has no more.
_TRACE_PARENT = re.compile(
    r"(?!ff|00.{54})[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?"
)
_TRACE_ID = re.compile(r"(?!0{32})[0-9a-f]{32}")


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


def trace_id() -> str:
    """The id of the trace that the current request belongs to: 32 hexadecimal digits."""
    return trace_id_of(request.environ)


def trace_id_of(environ: dict[str, Any]) -> str:
    """The same for the request with this WSGI environment.

    It is the trusted proxy's, else that of the request: so nginx, which makes no spans, knows it too.
    """
    found: str | None = environ.get("app.trace_id")
    if found is None:
        sent = environ.get("HTTP_TRACEPARENT")
        parent = sent and _TRACE_PARENT.fullmatch(sent)
        own = id_of(environ)
        found = parent[1] if parent else own if _TRACE_ID.fullmatch(own) else secrets.token_hex(16)
        environ["app.trace_id"] = found
    return found
