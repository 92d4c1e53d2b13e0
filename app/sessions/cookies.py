"""How this app's cookies are set and removed: `Secure; HttpOnly; SameSite=Lax; Path=/`, and text of bytes for them."""

import base64

import msgspec
from flask import Flask, Response

# Name and value together; with the attributes it stays below the 4093 bytes that every browser keeps (RFC 6265, 6.1).
MAXIMUM_BYTES = 3900


def set_cookie(app: Flask, response: Response, name: str, value: str, max_age: int) -> None:
    """Set a cookie that lives *max_age* seconds."""
    response.set_cookie(
        name,
        value,
        max_age=max_age,
        path="/",
        secure=app.config["SESSION_COOKIE_SECURE"],
        httponly=True,
        samesite="Lax",
    )


def delete_cookie(app: Flask, response: Response, name: str) -> None:
    """Remove a cookie with the attributes it was set with: a `__Host-` cookie is refused without `Secure`."""
    set_cookie(app, response, name, "", 0)


def vary_by_cookie(response: Response) -> None:
    """Say that the response depends on the request's cookies."""
    if response.headers.getlist("Vary"):
        response.vary.add("Cookie")
    else:
        # The usual case, without the set that werkzeug parses, watches and writes back.
        response.headers.add("Vary", "Cookie")


def to_text(data: bytes) -> str:
    """Base64url without padding (RFC 4648, 5)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def to_bytes(text: str) -> bytes:
    """Read `to_text`'s output. Anything else reads as no bytes, which decrypt to nothing."""
    standard = text.replace("-", "+").replace("_", "/") + "=" * (-len(text) % 4)
    try:
        # As strict as `binascii`, in a quarter of its time.
        return msgspec.convert(standard, bytes)
    except (msgspec.ValidationError, UnicodeError):
        return b""
