"""How spans get to the collector: in batches, from a thread, and quietly while it is away."""

import logging
import os
import ssl
from collections.abc import Sequence
from typing import Any

import requests
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from app.environment import Problem
from app.settings import Settings, SettingsError

log = logging.getLogger(__name__)

_COMPRESSION = {"none": Compression.NoCompression, "gzip": Compression.Gzip, "deflate": Compression.Deflate}
_BATCH = 512


class _Session(requests.Session):
    """Keeps what became of the last call, for the log: OpenTelemetry's own words quote URLs and headers."""

    outcome = ""

    def request(self, *arguments: Any, **options: Any) -> requests.Response:
        # Otherwise REQUESTS_CA_BUNDLE, where it is set, would count before what the settings say.
        options.setdefault("verify", self.verify)
        try:
            response = super().request(*arguments, **options)
        except Exception as error:
            self.outcome = type(error).__name__
            raise
        self.outcome = f"status {response.status_code}"
        return response


class Collector(SpanExporter):
    """Sends spans, and says once when that fails and once when it works again. For the processor's thread alone."""

    def __init__(self, settings: Settings) -> None:
        self._session = _Session()
        self._exporter = OTLPSpanExporter(
            endpoint=f"{settings.otel_exporter_otlp_endpoint}/v1/traces",
            certificate_file=authorities(settings),
            client_certificate_file=settings.otel_exporter_otlp_client_certificate,
            client_key_file=settings.otel_exporter_otlp_client_key,
            headers=settings.collector_headers,
            timeout=settings.otel_exporter_otlp_timeout / 1000,
            compression=_COMPRESSION[settings.otel_exporter_otlp_compression],
            session=self._session,
        )
        self._works = True

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send these spans."""
        result = self._exporter.export(spans)
        works = result is SpanExportResult.SUCCESS
        if works and not self._works:
            log.info("traces are sent again")
        elif self._works and not works:
            log.warning("traces cannot be sent, and are lost until they can", extra={"cause": self._session.outcome})
        self._works = works
        return result

    def shutdown(self) -> None:
        """Close the connections."""
        self._exporter.shutdown()  # type: ignore[no-untyped-call]

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Nothing is kept back here."""
        return True


def processor(settings: Settings) -> BatchSpanProcessor:
    """What spans are handed to when they end; it has a thread, so it is made in the process that it serves."""
    return BatchSpanProcessor(
        Collector(settings),
        max_queue_size=settings.otel_bsp_max_queue_size,
        schedule_delay_millis=settings.otel_bsp_schedule_delay,
        max_export_batch_size=min(_BATCH, settings.otel_bsp_max_queue_size),
    )


def authorities(settings: Settings) -> str | None:
    """The file of the authorities that the collector's certificate is checked against; None for the usual ones."""
    return settings.otel_exporter_otlp_certificate or os.environ.get("SSL_CERT_FILE") or None


def check_files(settings: Settings) -> None:
    """Whether certificates can be used; otherwise the first sign of it would be that spans are missing.

    :raises SettingsError: they cannot.
    """
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority, certificate = settings.otel_exporter_otlp_certificate, settings.otel_exporter_otlp_client_certificate
    try:
        name, path = "OTEL_EXPORTER_OTLP_CERTIFICATE", authority
        if authority:
            tls.load_verify_locations(authority)
        name, path = "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", certificate
        if certificate:
            tls.load_cert_chain(certificate, settings.otel_exporter_otlp_client_key)
    except OSError as error:
        # OpenSSL's own words say little: its NO_CERTIFICATE_OR_CRL_FOUND, NO_START_LINE and the like.
        reason = (
            "it is no PEM, or not the key of this certificate" if isinstance(error, ssl.SSLError) else error.strerror
        )
        sentence = f"names {path!r}, which cannot be used: {reason}"
        raise SettingsError([Problem(name, sentence)]) from None
