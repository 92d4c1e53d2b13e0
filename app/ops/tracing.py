"""Whether there are traces: without `OTEL_EXPORTER_OTLP_ENDPOINT` nothing of OpenTelemetry is even imported."""

from app.environment import Problem
from app.server import LoopFlask
from app.settings import Settings, SettingsError


def init_app(app: LoopFlask, settings: Settings) -> None:
    """Trace requests, if the settings ask for it.

    :raises SettingsError: it cannot be done as they say.
    """
    if not settings.traced:
        return
    try:
        from . import spans  # noqa: PLC0415

        spans.init_app(app, settings)
    except ModuleNotFoundError as error:
        sentence = f"is set, but {error.name} is not installed: install the extra `tracing`, or leave it out"
        raise SettingsError([Problem("OTEL_EXPORTER_OTLP_ENDPOINT", sentence)]) from None
    except ValueError as error:
        # OpenTelemetry's limits of spans, which it reads itself: "OTEL_… must be a non-negative integer but got …".
        variable = str(error).partition(" ")[0]
        raise SettingsError([Problem(variable, "is no whole number", "128")]) from None
