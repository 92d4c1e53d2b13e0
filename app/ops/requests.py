"""One line in the log, and one count in the metrics, for each request."""

import functools
import logging
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from flask import Flask, Request

from app.server import ANSWER, Answer
from app.web import id_of, trace_id_of

from .logs import LineRecord
from .metrics import RequestMetrics

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

log = logging.getLogger("app.request")
_record = LineRecord.like(
    log.name, "request", ("method", "path", "status", "seconds", "client", "request_id", "trace_id")
)
# As in nginx/snippets/logging.conf.
_LONGEST = 512


def logged_path(path: str) -> str:
    """A decoded path without a query: codes, states and whatever pages put there are in it, also behind a `%3F`."""
    return path.partition("?")[0].partition("#")[0][:_LONGEST]


class Requests:
    """WSGI middleware that times every request, from before its session is read to when its answer begins.

    Not hooks of Flask's: the session is written after the last of them, and where that fails the answer is another. So
    it is where a stream fails before its first byte, which only the server knows. A server that is not ours
    (`flask run`, the test client) does not tell: what the app answers counts there.
    """

    def __init__(self, app: "WSGIApplication", metrics: RequestMetrics) -> None:
        self._app = app
        self._metrics = metrics

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Answer the request, and record it once."""
        started = time.perf_counter()
        answer: Answer | None = environ.get(ANSWER)
        if answer is None:
            return self._answered(environ, start_response, started)
        answer.begins.append(functools.partial(self._record, environ, started))
        return self._app(environ, start_response)

    def _answered(self, environ: "WSGIEnvironment", start_response: "StartResponse", started: float) -> Iterable[bytes]:
        recorded = False

        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            nonlocal recorded
            recorded = True
            self._record(environ, started, int(status[:3]), environ.get("werkzeug.request"))
            return start_response(status, headers, exc_info)

        try:
            return self._app(environ, start)
        except BaseException:
            if not recorded:
                self._record(environ, started, 500, None)
            raise

    def _record(self, environ: "WSGIEnvironment", started: float, status: int, request: Request | None) -> None:
        seconds = time.perf_counter() - started
        current = request or Request(environ)
        self._metrics.observe(current, status, seconds)
        if log.isEnabledFor(logging.INFO) and not (current.endpoint or "").startswith("health."):
            line = _record(
                {
                    "method": current.method,
                    "path": logged_path(current.path),
                    "status": status,
                    "seconds": round(seconds, 6),
                    "client": current.remote_addr,
                    "request_id": id_of(environ),
                    "trace_id": trace_id_of(environ),
                }
            )
            log.handle(line)


def init_app(app: Flask, metrics: RequestMetrics) -> None:
    """Put the middleware around the app."""
    app.wsgi_app = Requests(app.wsgi_app, metrics)  # type: ignore[method-assign]
