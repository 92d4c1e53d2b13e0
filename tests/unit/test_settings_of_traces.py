"""OpenTelemetry's variables: those that the app takes, what is wrong with them, and which others are mistakes."""

import re
from pathlib import Path

import pytest
from opentelemetry.sdk import environment_variables

from app.settings import Settings, SettingsError, load_settings

# Of other languages' SDKs and of Kubernetes' operator, set for everything that runs somewhere.
OTHERS = (
    *("OTEL_TRACES_EXPORTER", "OTEL_METRICS_EXPORTER", "OTEL_LOGS_EXPORTER", "OTEL_PROPAGATORS", "OTEL_LOG_LEVEL"),
    *("OTEL_JAVAAGENT_ENABLED", "OTEL_NODE_RESOURCE_DETECTORS", "OTEL_RESOURCE_ATTRIBUTES_POD_NAME"),
    "OTEL_CONFIG_FILE",
    *("OTEL_RESOURCE_ATTRIBUTES_NODE_NAME", "OTEL_NODE_IP", "OTEL_SEMCONV_STABILITY_OPT_IN", "OTEL_POD_IP"),
)
STANDARD = sorted(
    {name for name in vars(environment_variables) if re.fullmatch(r"OTEL_[A-Z0-9_]+", name)}.union(OTHERS)
)


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty working directory: a developer's own `.env` is not read."""
    monkeypatch.chdir(tmp_path)


def only_problem(variables: dict[str, str]) -> str:
    with pytest.raises(SettingsError) as caught:
        load_settings(variables)
    [problem] = caught.value.problems
    return str(problem)


def test_traces_are_off_unless_a_collector_is_named(variables: dict[str, str]) -> None:
    assert not load_settings(variables).traced
    named = {**variables, "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318/"}
    settings = load_settings(named)
    assert settings.traced
    assert settings.otel_exporter_otlp_endpoint == "http://collector:4318"
    assert not load_settings({**named, "OTEL_SDK_DISABLED": "true"}).traced


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("ENDPOINT", "collector:4318", "is not a plain URL"),
        ("ENDPOINT", "grpc://collector:4317", "is not a plain URL"),
        ("ENDPOINT", "http://user:marked-password@collector", "is not a plain URL"),
        ("ENDPOINT", "http://collector?key=marked-password", "is not a plain URL"),
        ("ENDPOINT", "http://collector:4318/v1/traces/", "ends in /v1/traces"),
        ("ENDPOINT", "http://collector:99999", "has a port that is not between"),
        ("PROTOCOL", "grpc", "is not valid: input should be 'http/protobuf'"),
        ("HEADERS", "marked-password", "is not of the form name=value"),
        ("HEADERS", "Bad Name=marked-password", "is not of the form name=value"),
        ("HEADERS", "authorization=marked-password%0d%0aX: y", "is not of the form name=value"),
        ("COMPRESSION", "zstd", "is not valid"),
        # Seconds, as other settings have them.
        ("TIMEOUT", "10", "is not valid: input should be greater than or equal to 100"),
        ("CLIENT_KEY", "/run/key.pem", "and OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE must be set together"),
    ],
)
def test_what_the_exporter_cannot_use_is_refused_without_a_secret(
    variables: dict[str, str], name: str, value: str, sentence: str
) -> None:
    problem = only_problem({**variables, f"OTEL_EXPORTER_OTLP_{name}": value})
    assert problem.startswith(f"OTEL_EXPORTER_OTLP_{name} {sentence}")
    assert "marked-password" not in problem


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OTEL_SERVICE_NAME", "two\nlines"),
        ("OTEL_SERVICE_NAME", "x" * 300),
        ("OTEL_RESOURCE_ATTRIBUTES", "production"),
        ("OTEL_RESOURCE_ATTRIBUTES", "a b=production"),
        ("OTEL_TRACES_SAMPLER", "always"),
        ("OTEL_TRACES_SAMPLER_ARG", "10"),
        ("OTEL_BSP_SCHEDULE_DELAY", "5s"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "0"),
        ("OTEL_SDK_DISABLED", "perhaps"),
    ],
)
def test_any_other_value_that_cannot_be_used_is_refused_by_name(
    variables: dict[str, str], name: str, value: str
) -> None:
    assert only_problem({**variables, name: value}).startswith(f"{name} ")


def test_headers_and_attributes_are_decoded(variables: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "headers").write_text("Authorization=Basic%20abc%3D, x-tenant = shop ,\n")
    settings = load_settings(
        {
            **variables,
            "OTEL_EXPORTER_OTLP_HEADERS_FILE": "headers",
            "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=production,team=a%2Cb",
        }
    )
    assert settings.collector_headers == {"authorization": "Basic abc=", "x-tenant": "shop"}
    assert settings.resource_attributes == {"deployment.environment.name": "production", "team": "a,b"}
    assert "abc" not in repr(settings)


@pytest.mark.parametrize(
    ("misspelt", "meant"),
    [
        ("OTEL_EXPORTER_OTLP_ENDPIONT", "OTEL_EXPORTER_OTLP_ENDPOINT"),
        ("OTEL_EXPORTER_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"),
        ("OTEL_TRACE_SAMPLER", "OTEL_TRACES_SAMPLER"),
        ("OTEL_TRACES_SAMPLER_ARGS", "OTEL_TRACES_SAMPLER_ARG"),
        ("OTEL_SERVICENAME", "OTEL_SERVICE_NAME"),
        ("OTEL_RESOURCE_ATTRIBUTE", "OTEL_RESOURCE_ATTRIBUTES"),
    ],
)
def test_a_misspelt_variable_stops_the_start(variables: dict[str, str], misspelt: str, meant: str) -> None:
    assert (
        only_problem({**variables, misspelt: "x"})
        == f"{misspelt} is no setting of this app: probably {meant} is meant."
    )


def test_a_variable_for_traces_alone_is_told_by_the_one_that_counts(variables: dict[str, str]) -> None:
    problem = only_problem({**variables, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://collector:4318/v1/traces"})
    assert problem == (
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT is not taken, since the app sends nothing but traces: "
        "set OTEL_EXPORTER_OTLP_ENDPOINT."
    )


NOT_OURS = [name for name in STANDARD if name.lower() not in Settings.model_fields and "_OTLP_TRACES_" not in name]


@pytest.mark.parametrize("name", NOT_OURS)
def test_a_standard_variable_that_does_not_concern_the_app_is_no_mistake(variables: dict[str, str], name: str) -> None:
    load_settings({**variables, name: "x"})
