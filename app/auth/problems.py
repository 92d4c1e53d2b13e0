"""Answers for programs: who wants JSON gets a status and a problem document, not a redirect to a login page."""

from typing import Any

import msgspec
from flask import Response, current_app, request

from app.web import request_id


def wants_json() -> bool:
    """Whether the request is a program's: it asks for JSON before HTML, or is no navigation (W3C Fetch Metadata)."""
    accepted = request.accept_mimetypes
    json = max(accepted["application/json"], accepted["application/problem+json"])
    if request.headers.get("Sec-Fetch-Dest") == "empty" or request.headers.get("X-Requested-With") == "XMLHttpRequest":
        return True
    return json > accepted["text/html"]


def problem(status: int, title: str, challenge: dict[str, str] | None = None, **more: Any) -> Response:
    """A problem document (RFC 9457), with *challenge* as parameters of its `WWW-Authenticate`."""
    document = {"type": "about:blank", "title": title, "status": status, "reference": request_id(), **more}
    response = current_app.response_class(
        msgspec.json.encode(document), status=status, content_type="application/problem+json"
    )
    if challenge is not None:
        # No scheme is registered for cookies; this is the one of draft-broyer-http-cookie-auth.
        parameters = {"realm": current_app.config["ORIGIN"], "form-action": "/login", **challenge}
        quoted = ", ".join(f'{name}="{_quoted(value)}"' for name, value in parameters.items())
        response.headers["WWW-Authenticate"] = f"Cookie {quoted}"
    return response


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
