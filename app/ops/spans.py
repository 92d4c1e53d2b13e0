"""Spans: one for each request, and below it one for each call to the provider and to Redis.

All that stands in one is of a bounded set: names of routes, methods and commands, numbers, the request's id. No path,
no address, no header, no message of an error: the line in the log that has the same trace id says more.
"""

import asyncio
import os
import socket
import threading
import time
from collections.abc import Iterable, Iterator
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from flask import Request
from opentelemetry import trace
from opentelemetry.context import Context, attach, detach
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, TracerProvider, sampling
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.semconv.attributes import (
    db_attributes,
    error_attributes,
    http_attributes,
    network_attributes,
    server_attributes,
    url_attributes,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from app.auth import events as auth
from app.server import ANSWER, LoopFlask
from app.sessions import events as sessions
from app.settings import Settings
from app.web import id_of, trace_id_of

from . import collector
from .metrics.declared import METHODS

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

# What is under way at the end gets so long; requests had all of the grace before.
FLUSH_SECONDS = 3.0
_PROBES = "/healthz/"
# OpenTelemetry's conventions: any other is `_OTHER`, and the span's name has HTTP for it.
_METHODS = frozenset(METHODS) - {"other"}
_PARENT = TraceContextTextMapPropagator()
_SAMPLERS = {
    "always_on": sampling.ALWAYS_ON,
    "always_off": sampling.ALWAYS_OFF,
    "parentbased_always_on": sampling.DEFAULT_ON,
    "parentbased_always_off": sampling.DEFAULT_OFF,
}
_trace_id: ContextVar[str] = ContextVar("trace_id", default="")


class _RequestIds(RandomIdGenerator):
    """A trace that begins here has the id that nginx' log has for it."""

    def generate_trace_id(self) -> int:
        return int(_trace_id.get(), 16) if _trace_id.get() else super().generate_trace_id()


class Tracing:
    """The process's tracer, between start and stop."""

    def __init__(self, settings: Settings) -> None:
        self.tracer: trace.Tracer | None = None
        self._settings = settings
        self._provider: TracerProvider | None = None
        self._limits = SpanLimits()

    async def start(self) -> None:
        """Begin, in a worker: the thread that sends would not come along when the master forks."""
        provider = TracerProvider(
            _sampler(self._settings),
            Resource.create(
                {
                    **self._settings.resource_attributes,
                    "service.name": self._settings.otel_service_name,
                    "service.instance.id": f"{socket.gethostname()}:{os.getpid()}",
                }
            ),
            shutdown_on_exit=False,
            id_generator=_RequestIds(),
            span_limits=self._limits,
        )
        provider.add_span_processor(collector.processor(self._settings))
        self._provider, self.tracer = provider, provider.get_tracer("app")

    async def stop(self) -> None:
        """Send what is there, as far as the time allows."""
        provider, self._provider, self.tracer = self._provider, None, None
        if provider is None:
            return
        # A daemon: the end of the process must not wait for a collector that does not answer.
        sending = threading.Thread(target=provider.shutdown, name="last-spans", daemon=True)
        sending.start()
        deadline = time.monotonic() + FLUSH_SECONDS
        while sending.is_alive() and time.monotonic() < deadline:  # noqa: ASYNC110 - of a thread
            await asyncio.sleep(0.01)


class ServerSpans:
    """WSGI middleware: a span for each request, the current one while the app answers."""

    def __init__(self, app: "WSGIApplication", tracing: Tracing) -> None:
        self._app = app
        self._tracing = tracing

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Answer the request."""
        tracer = self._tracing.tracer
        if tracer is None or environ.get("PATH_INFO", "").startswith(_PROBES):
            return self._app(environ, start_response)
        span = _begun(tracer, environ)
        answer = _Answer(span)
        # There is a tracer under our server only, which alone knows the status.
        environ[ANSWER].begins.append(answer.begins)
        token = attach(trace.set_span_in_context(span))
        try:
            body = self._app(environ, start_response)
        except BaseException:
            answer.ends()
            raise
        finally:
            detach(token)
        if isinstance(body, list | tuple):
            answer.ends()
            return body
        return _UntilClosed(body, answer)


class ClientSpans:
    """A span below the current one for each call to the provider and each command to Redis, made when it is over."""

    def __init__(self, app: LoopFlask, tracing: Tracing, provider: str) -> None:
        self._tracing = tracing
        host, _, port = provider.partition(":")
        self._provider = {server_attributes.SERVER_ADDRESS: host, server_attributes.SERVER_PORT: int(port or 443)}
        auth.provider_answered.connect(self._on_provider, sender=app)
        if store := app.extensions.get("session_store"):
            sessions.command_answered.connect(self._on_command, sender=store)

    def _on_provider(self, app: LoopFlask, *, call: str, outcome: str, seconds: float) -> None:
        self._make(f"provider {call}", seconds, outcome, self._provider)

    def _on_command(self, store: Any, *, command: str, outcome: str, seconds: float) -> None:
        attributes = {db_attributes.DB_SYSTEM_NAME: "redis", db_attributes.DB_OPERATION_NAME: command}
        self._make(command, seconds, outcome, attributes)

    def _make(self, name: str, seconds: float, outcome: str, attributes: dict[str, Any]) -> None:
        # What belongs to no request would be a trace of its own.
        if self._tracing.tracer is None or not trace.get_current_span().get_span_context().is_valid:
            return
        end = time.time_ns()
        span = self._tracing.tracer.start_span(
            name, kind=trace.SpanKind.CLIENT, attributes=attributes, start_time=end - int(seconds * 1e9)
        )
        if outcome != "ok":
            _failed(span, outcome)
        span.end(end)


class _Answer:
    """Ends the span of a request whose answer has begun and has no more to come.

    Of these the latter may be first: a body that is there in full, a stream that fails before its first byte.
    """

    def __init__(self, span: trace.Span) -> None:
        self._span = span
        self._begun = self._over = False

    def begins(self, status: int, request: Request | None) -> None:
        if self._span.is_recording():
            _matched(self._span, request)
            self._span.set_attribute(http_attributes.HTTP_RESPONSE_STATUS_CODE, status)
            if status >= 500:
                _failed(self._span, str(status))
        self._begun = True
        if self._over:
            self._span.end()

    def ends(self) -> None:
        self._over = True
        if self._begun:
            self._span.end()


class _UntilClosed:
    """The body of an answer that streams, which ends with it."""

    def __init__(self, body: Iterable[bytes], answer: _Answer) -> None:
        self._body = body
        self._answer = answer

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._body)

    def close(self) -> None:
        try:
            close = getattr(self._body, "close", None)
            if close is not None:
                close()
        finally:
            self._answer.ends()


def _begun(tracer: trace.Tracer, environ: "WSGIEnvironment") -> trace.Span:
    method = environ["REQUEST_METHOD"]
    known = method in _METHODS
    parent = _PARENT.extract(
        {
            "traceparent": environ.get("HTTP_TRACEPARENT", ""),
            "tracestate": environ.get("HTTP_TRACESTATE", ""),
        },
        Context(),
    )
    _trace_id.set(trace_id_of(environ))
    span = tracer.start_span(
        method if known else "HTTP",
        parent,
        trace.SpanKind.SERVER,
        {
            http_attributes.HTTP_REQUEST_METHOD: method if known else "_OTHER",
            url_attributes.URL_SCHEME: environ["wsgi.url_scheme"],
            network_attributes.NETWORK_PROTOCOL_VERSION: environ.get("SERVER_PROTOCOL", "").removeprefix("HTTP/"),
            "app.request_id": id_of(environ),
        },
    )
    _trace_id.set("")
    return span


def _matched(span: trace.Span, request: Request | None) -> None:
    if request is not None and request.url_rule is not None:
        rule = request.url_rule.rule
        span.set_attribute(http_attributes.HTTP_ROUTE, rule)
        span.update_name(f"{request.method if request.method in _METHODS else 'HTTP'} {rule}")


def _failed(span: trace.Span, kind: str) -> None:
    span.set_attribute(error_attributes.ERROR_TYPE, kind)
    span.set_status(trace.StatusCode.ERROR)


def _sampler(settings: Settings) -> sampling.Sampler:
    name, share = settings.otel_traces_sampler, settings.otel_traces_sampler_arg
    if name == "traceidratio":
        return sampling.TraceIdRatioBased(share)
    return sampling.ParentBasedTraceIdRatio(share) if name == "parentbased_traceidratio" else _SAMPLERS[name]


def init_app(app: LoopFlask, settings: Settings) -> None:
    """Trace the requests that a server's worker answers.

    :raises SettingsError: a certificate cannot be used.
    :raises ValueError: nor can a limit that OpenTelemetry reads itself.
    """
    collector.check_files(settings)
    tracing = Tracing(settings)
    app.on_start(tracing.start)
    app.on_stop(tracing.stop)
    app.wsgi_app = ServerSpans(app.wsgi_app, tracing)  # type: ignore[method-assign]
    # Signals do not keep who listens.
    app.extensions["client_spans"] = ClientSpans(app, tracing, settings.auth0_domain)
