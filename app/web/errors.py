"""Error pages that look like the app, say what to do, and carry a reference that the log has too."""

from typing import Any

from flask import Flask, Response, make_response, render_template
from werkzeug.exceptions import HTTPException, InternalServerError

from app.server import on_loop

from .request_ids import request_id

_TEXTS = {
    400: ("This request cannot be answered", "Something in the address or the form is not right."),
    403: ("No access", "You may not see this page."),
    404: ("Page not found", "There is no page at this address."),
    405: ("This does not work here", "The page does not take this kind of request."),
    413: ("Too much at once", "What was sent is larger than this app takes."),
    429: ("Too many requests", "Please wait a moment and try again."),
    500: ("Something went wrong", "The error has been recorded. Please try again later."),
    502: ("Not available", "A service that this page needs has a problem. Please try again shortly."),
    503: ("Not available", "This is busy or being restored. Please try again shortly."),
    504: ("This took too long", "The page did not answer in time. Please try again."),
}
_OTHER = ("This did not work", "The request could not be answered.")


def error_page(status: int, title: str, text: str, action: tuple[str, str] = ("/", "Back to the start")) -> Response:
    """Render the error page; *action* is the path and the words of its one link."""
    path, words = action
    page = render_template("error.html", title=title, text=text, path=path, words=words, reference=request_id())
    return make_response(page, status)


def overload_page(app: Flask, headers: dict[str, str]) -> Response:
    """The page for a request that is one too many; made once, before there are requests, so without a reference."""
    with app.test_request_context():
        title, text = _TEXTS[503]
        page = render_template("error.html", title=title, text=text, path="/", words="Back to the start")
        return make_response(page, 503, headers)


def init_app(app: Flask) -> None:
    """Answer every HTTP error, and every exception that nobody caught, with the page."""
    log_exception = app.log_exception

    def log_bug(exc_info: Any) -> None:
        # An HTTP error raised after the view, by a session that cannot be written, is none.
        if not isinstance(exc_info[1], HTTPException):
            log_exception(exc_info)

    app.log_exception = log_bug  # type: ignore[method-assign]

    @app.errorhandler(HTTPException)
    @on_loop
    def http_error(error: HTTPException) -> Response | HTTPException:
        if isinstance(error, InternalServerError) and isinstance(error.original_exception, HTTPException):
            # Raised after the view, for example by a session that cannot be written.
            error = error.original_exception
        if error.code is None or error.code < 400 or error.response is not None:
            return error
        response = error_page(error.code, *_TEXTS.get(error.code, _OTHER))
        for name, value in error.get_headers():
            if name not in ("Content-Type", "Content-Length"):
                response.headers[name] = value
        return response
