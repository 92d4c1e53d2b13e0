"""One id for a request: a trusted proxy's, else one made here."""

import re
from typing import Any

import pytest
from flask.testing import FlaskClient
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from app import create_app
from app.settings import Settings
from app.web import trace_id_of
from tests.unit.browsing import client_of

SENT = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def client(settings: Settings) -> FlaskClient:
    return client_of(create_app(settings.model_copy(update={"trusted_proxies": ("10.0.0.0/8",)})))


def answered(client: FlaskClient, sent: str, peer: str) -> str:
    return client.get("/", headers={"X-Request-ID": sent}, environ_base={"REMOTE_ADDR": peer}).headers["X-Request-ID"]


def test_a_trusted_proxys_id_is_taken_over(client: FlaskClient) -> None:
    assert answered(client, SENT, "10.0.0.1") == SENT


def test_a_strangers_is_not(client: FlaskClient) -> None:
    assert re.fullmatch(r"[0-9a-f]{32}", made := answered(client, SENT, "203.0.113.1"))
    assert made != SENT


@pytest.mark.parametrize(
    "sent", ["", "short", "a" * 65, "with space in it", "<script>alert(1)</script>", "a,b,c,d,e,f"]
)
def test_an_id_that_is_not_well_formed_is_not_either(client: FlaskClient, sent: str) -> None:
    assert re.fullmatch(r"[0-9a-f]{32}", answered(client, sent, "10.0.0.1"))


def test_each_request_has_its_own(client: FlaskClient) -> None:
    assert len({client.get("/").headers["X-Request-ID"] for _ in range(50)}) == 50


PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def joined(parent: str) -> str:
    """The id of the trace that OpenTelemetry joins: of zeros, if none."""
    context = TraceContextTextMapPropagator().extract({"traceparent": parent}, Context())
    return trace.format_trace_id(trace.get_current_span(context).get_span_context().trace_id)


def test_a_trace_that_begins_here_has_the_requests_id() -> None:
    environ: dict[str, Any] = {"HTTP_X_REQUEST_ID": SENT}
    assert trace_id_of(environ) == SENT
    made: dict[str, Any] = {}
    assert trace_id_of(made) == made["app.request_id"]


@pytest.mark.parametrize(
    "parent", [PARENT, "01" + PARENT[2:], f"01{PARENT[2:]}-later", f"cc{PARENT[2:]}-", f"fe{PARENT[2:]}-a-b"]
)
def test_a_trace_that_a_proxy_began_keeps_its_id_as_in_its_spans(parent: str) -> None:
    assert trace_id_of({"HTTP_X_REQUEST_ID": SENT, "HTTP_TRACEPARENT": parent}) == PARENT[3:35] == joined(parent)


@pytest.mark.parametrize(
    "parent",
    [
        *("", "forged", PARENT.upper(), PARENT + "-x", PARENT + "-", "ff" + PARENT[2:], f"01{PARENT[2:]}later"),
        *(f"00-{'0' * 32}-{'1' * 16}-01", f"00-{'1' * 32}-{'0' * 16}-01"),
    ],
)
def test_a_parent_that_is_not_well_formed_is_none(parent: str) -> None:
    assert trace_id_of({"HTTP_X_REQUEST_ID": SENT, "HTTP_TRACEPARENT": parent}) == SENT
    assert joined(parent) == "0" * 32


@pytest.mark.parametrize("request_id", ["from-the-edge_1", "0" * 32])
def test_a_request_whose_id_no_trace_can_have_gets_another_and_keeps_it(request_id: str) -> None:
    environ: dict[str, Any] = {"HTTP_X_REQUEST_ID": request_id}
    first = trace_id_of(environ)
    assert re.fullmatch("[0-9a-f]{32}", first)
    assert first != request_id
    assert trace_id_of(environ) == first
