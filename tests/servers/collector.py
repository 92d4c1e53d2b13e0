"""A collector of traces, as OpenTelemetry's own takes them: `with collector() as running: running.spans`."""

import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

WAIT_SECONDS = 30
# opentelemetry/proto/trace/v1/trace.proto
KINDS = {1: "internal", 2: "server", 3: "client"}


@dataclass(frozen=True)
class Span:
    """A span as it was received: ids in hexadecimal, times in seconds, `resource` of the process that made it."""

    name: str
    kind: str
    trace_id: str
    span_id: str
    parent: str
    attributes: dict[str, Any]
    resource: dict[str, Any]
    failed: bool
    began: float
    seconds: float


@dataclass
class Collector:
    """A running one. `status` is what it answers; `bodies` and `headers` are of all requests so far."""

    server: ThreadingHTTPServer
    status: int = 200
    bodies: list[bytes] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)

    @property
    def endpoint(self) -> str:
        """What OTEL_EXPORTER_OTLP_ENDPOINT is set to."""
        scheme = "https" if isinstance(self.server.socket, ssl.SSLSocket) else "http"
        return f"{scheme}://localhost:{self.server.server_port}"

    @property
    def spans(self) -> list[Span]:
        """All that were received."""
        return [span for body in list(self.bodies) for span in _spans(body)]

    def wait_for(self, holds: Callable[[list[Span]], bool]) -> list[Span]:
        """The spans as soon as *holds* is true of them."""
        deadline = time.monotonic() + WAIT_SECONDS
        while not holds(spans := self.spans):
            assert time.monotonic() < deadline, spans
            time.sleep(0.02)
        return spans

    def of(self, trace_id: str, count: int = 1) -> list[Span]:
        """The spans of this trace, in the order of their beginning, as soon as there are *count*."""

        def found(spans: list[Span]) -> list[Span]:
            return sorted((span for span in spans if span.trace_id == trace_id), key=lambda span: span.began)

        return found(self.wait_for(lambda spans: len(found(spans)) >= count))


def _spans(body: bytes) -> Iterator[Span]:
    for group in ExportTraceServiceRequest.FromString(body).resource_spans:
        resource = {one.key: _value(one.value) for one in group.resource.attributes}
        for span in (span for scope in group.scope_spans for span in scope.spans):
            yield Span(
                span.name,
                KINDS[span.kind],
                span.trace_id.hex(),
                span.span_id.hex(),
                span.parent_span_id.hex(),
                {one.key: _value(one.value) for one in span.attributes},
                resource,
                span.status.code == 2,
                span.start_time_unix_nano / 1e9,
                (span.end_time_unix_nano - span.start_time_unix_nano) / 1e9,
            )


def _value(value: AnyValue) -> Any:
    return getattr(value, value.WhichOneof("value") or "string_value")


@contextmanager
def collector(port: int = 0, pair: tuple[Path, Path] | None = None) -> Iterator[Collector]:
    """Run one on a port of 127.0.0.1, a free one unless given; with a certificate and its key by TLS."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            accepted = self.path == "/v1/traces" and self.headers["Content-Type"] == "application/x-protobuf"
            status = running.status if accepted else 404
            if status == 200:
                running.bodies.append(body)
            running.headers.append(dict(self.headers.items()))
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
        if pair is not None:
            tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            tls.load_cert_chain(*pair)
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        running = Collector(server)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield running
        finally:
            server.shutdown()
            thread.join(WAIT_SECONDS)
