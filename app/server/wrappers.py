"""Request and response classes that know of the server."""

from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import IO, TYPE_CHECKING, Any, cast

import flask
from flask import current_app
from werkzeug.datastructures import ImmutableMultiDict
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge
from werkzeug.sansio.http import parse_cookie
from werkzeug.utils import cached_property, get_content_type

from .body import Body

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment


# What werkzeug makes of a page's status and headers where they have one of these.
_ADJUSTED = frozenset({"location", "content-location"})


def _plain_cookies(header: str) -> list[tuple[str, str]] | None:
    # Split as browsers join them (RFC 6265, 4.2.1). werkzeug's expression looks at each character, 12 µs for a session
    # of 3 kB; it is for whatever is quoted or has blanks within. None stands for that.
    if '"' in header or "\t" in header:
        return None
    pairs = []
    for part in header.split(";"):
        name, _, value = part.strip(" ").partition("=")
        if " " in name or " " in value:
            return None
        if name:
            pairs.append((name, value))
    return pairs


class Request(flask.Request):
    """Reads the server's body directly: werkzeug's wrapper around it would hold the body twice."""

    @cached_property
    def cookies(self) -> "ImmutableMultiDict[str, str]":
        """The cookies. werkzeug makes a list of all headers to find them."""
        header = self.environ.get("HTTP_COOKIE", "")
        plain = _plain_cookies(header)
        found: Any = parse_cookie(header, cls=ImmutableMultiDict) if plain is None else ImmutableMultiDict(plain)
        return found  # type: ignore[no-any-return]

    @cached_property
    def stream(self) -> IO[bytes]:
        """The body as a binary file; too large a one raises RequestEntityTooLarge (413), chunked or not."""
        body = self.environ["wsgi.input"]
        if self.shallow or not isinstance(body, Body):
            return super().stream
        limit = self.max_content_length
        if limit is not None and (self.content_length or 0) > limit:
            raise RequestEntityTooLarge
        body.limit = limit
        return cast(IO[bytes], body)


class Whole(list[bytes]):
    """A response's body in full: sent from the loop, without a trip to a pool thread."""

    close: Callable[[], None]


class Response(flask.Response):
    """Tells the server which bodies are there in full; any other is iterated in a pool thread."""

    def __init__(  # noqa: PLR0917 - as it is werkzeug's
        self,
        response: Any = None,
        status: int | str | HTTPStatus | None = None,
        headers: Any = None,
        mimetype: str | None = None,
        content_type: str | None = None,
        direct_passthrough: bool = False,
    ) -> None:
        if not headers and mimetype is None and content_type is None and self.default_mimetype is not None:
            # As werkzeug would find out, by an exception that says that no header has it.
            content_type = get_content_type(self.default_mimetype, "utf-8")
        super().__init__(response, status, headers, mimetype, content_type, direct_passthrough)

    def get_wsgi_response(self, environ: "WSGIEnvironment") -> tuple[Iterable[bytes], str, list[tuple[str, str]]]:
        """Body, status and headers, which werkzeug copies and looks through once more for each thing to adjust."""
        headers = list(self.headers)
        names = [name.lower() for name, _ in headers]
        if self.status_code < 200 or self.status_code in (204, 304) or "content-length" not in names:
            return super().get_wsgi_response(environ)
        if not _ADJUSTED.isdisjoint(names):
            return super().get_wsgi_response(environ)
        return self.get_app_iter(environ), self.status, headers

    @classmethod
    def force_type(cls, response: Any, environ: "WSGIEnvironment | None" = None) -> "Response":
        """Make any response, or WSGI application, one of this class."""
        if isinstance(response, HTTPException):
            # Run as a WSGI application, as werkzeug would, its page would be an iterator, and need a thread.
            response = response.get_response(environ)
        return cast(Response, super().force_type(response, environ))

    def get_app_iter(self, environ: "WSGIEnvironment") -> Iterable[bytes]:
        """The body to send; empty for HEAD, 204 and 304 (RFC 9110, 6.4.1)."""
        if not self.is_sequence or self.direct_passthrough:
            return super().get_app_iter(environ)
        bodiless = environ["REQUEST_METHOD"] == "HEAD" or self.status_code in (204, 304)
        whole = Whole() if bodiless else Whole(self.iter_encoded())
        whole.close = self.close
        return whole

    def call_on_close(self, func: Callable[[], Any]) -> Callable[[], Any]:
        """Call `func` when the response is closed; in a pool thread, as any plain function."""
        super().call_on_close(current_app.ensure_sync(func) if current_app else func)
        return func
