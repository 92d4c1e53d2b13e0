"""Security headers on every response (OWASP Secure Headers Project, 2026-07)."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from flask import Flask

from app.server import ANSWER, Answer, Preset
from app.settings import Settings
from app.settings_rules import LOCAL_HOSTS

from .request_ids import HEADER, id_of

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_ID = HEADER.lower()
_TWO_YEARS = 63_072_000


def security_headers(settings: Settings) -> dict[str, str]:
    """The headers that every response has unless its view set another value."""
    secure = settings.origin.startswith("https:")
    policy = [
        "default-src 'self'",
        # Users' pictures come from wherever the identity provider found them.
        "img-src 'self' data: https:",
        # A form whose answer redirects to the login page is stopped by 'self' alone.
        f"form-action 'self' https://{settings.auth0_domain}",
        "base-uri 'self'",
        "object-src 'none'",
        "frame-ancestors 'none'",
        *(["upgrade-insecure-requests"] if secure else []),
    ]
    headers = {
        "Content-Security-Policy": "; ".join(policy),
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "same-origin",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
        "Cache-Control": "no-store",
    }
    if secure and urlsplit(settings.origin).hostname not in LOCAL_HOSTS:
        # Never for localhost: browsers would demand HTTPS of everything else a developer runs there.
        headers["Strict-Transport-Security"] = f"max-age={_TWO_YEARS}; includeSubDomains"
    return headers


class SecurityHeaders:
    """WSGI middleware that adds the headers, and the request's id, to each response. `TrustedProxies` comes before
    it: it says whose ids count.

    Not a hook of Flask's: werkzeug checks and copies each header that is added to a response, and these are the same
    every time.
    """

    def __init__(self, app: "WSGIApplication", headers: dict[str, str]) -> None:
        self._app = app
        self._headers = list(headers.items())
        self._preset = Preset(self._headers)

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Answer the request, with more headers."""
        answer: Answer | None = environ.get(ANSWER)
        if answer is not None:
            answer.preset = self._preset
            answer.own.append((_ID, id_of(environ)))
            return self._app(environ, start_response)

        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            headers = [header for header in headers if header[0].lower() != _ID]
            names = [name.lower() for name, _value in headers]
            more = [header for header in self._headers if header[0].lower() not in names]
            return start_response(status, [*headers, (HEADER, id_of(environ)), *more], exc_info)

        return self._app(environ, start)


def init_app(app: Flask, settings: Settings) -> None:
    """Put the middleware around the app."""
    app.wsgi_app = SecurityHeaders(app.wsgi_app, security_headers(settings))  # type: ignore[method-assign]
