"""Traces as a real collector receives them, from the workers of a real gunicorn."""

import collections
import concurrent.futures
import gzip
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from scripts.certificates import CA
from tests.integration.browser import lines, until
from tests.servers.collector import Collector, Span, collector
from tests.servers.gunicorn import ENVIRONMENT, ROOT, Gunicorn, gunicorn, launch
from tests.servers.ports import free_ports

HOST = {"Host": "localhost"}
# A connection for each request, so that any worker may take it.
CLIENT = httpx.Client(headers=HOST, limits=httpx.Limits(max_keepalive_connections=0), timeout=30)
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
NOT_SAMPLED = PARENT.replace("0af7", "0af8").removesuffix("1") + "0"
PAGES = """
    import sys
    import time
    from flask import Response, abort

    def init_app(app):
        app.add_url_rule("/", view_func=home)
        app.add_url_rule("/items/<item>", view_func=items)
        app.add_url_rule("/bug", view_func=bug)
        app.add_url_rule("/away", view_func=away)
        app.add_url_rule("/stream", view_func=stream)
        app.add_url_rule("/breaks", view_func=breaks)
        app.add_url_rule("/leaves", view_func=leaves)

    async def home():
        return ""

    def items(item):
        return item

    async def bug():
        raise RuntimeError("marked-detail")

    async def away():
        abort(503)

    def stream():
        def parts():
            yield "first"
            time.sleep(0.5)
            yield "last"
        return Response(parts())

    def breaks():
        def parts():
            raise RuntimeError("marked-detail")
            yield ""
        return Response(parts())

    async def leaves():
        sys.exit("marked-detail")
"""
FAST = {"OTEL_BSP_SCHEDULE_DELAY": "50"}
# No batch is due before the end.
AT_THE_END = {"OTEL_BSP_SCHEDULE_DELAY": "3600000"}


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the module `traced_pages`."""
    folder = tmp_path_factory.mktemp("pages")
    (folder / "traced_pages.py").write_text(textwrap.dedent(PAGES))
    return folder


@pytest.fixture(scope="module")
def collecting() -> Iterator[Collector]:
    """The collector of `traced`."""
    with collector() as running:
        yield running


@pytest.fixture(scope="module")
def traced(collecting: Collector, pages: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gunicorn]:
    """Two workers that nobody is a trusted proxy of."""
    environment = settings(collecting, SERVER_WORKERS="2", **FAST)
    with gunicorn(tmp_path_factory.mktemp("gunicorn"), environment=environment, python_path=[pages]) as server:
        yield server


def settings(collecting: Collector, **more: str) -> dict[str, str]:
    """Variables with which traces go there."""
    return {
        "APP_ENV": "production",
        "APP_PAGES": "traced_pages",
        "OTEL_EXPORTER_OTLP_ENDPOINT": collecting.endpoint,
        **more,
    }


def get(server: Gunicorn, path: str = "/", method: str = "GET", **headers: str) -> str:
    """Send one request; returns its id."""
    return CLIENT.request(method, server.url + path, headers=headers).headers["X-Request-ID"]


def span_of(server: Gunicorn, collecting: Collector, path: str, method: str = "GET", **headers: str) -> Span:
    """The one span of a request, whose trace has the request's id."""
    [span] = collecting.of(get(server, path, method, **headers))
    return span


def test_a_request_is_one_span_with_the_route_for_its_name(traced: Gunicorn, collecting: Collector) -> None:
    span = span_of(traced, collecting, "/items/marked-in-path?code=marked-in-query")
    assert (span.name, span.kind, span.parent, span.failed) == ("GET /items/<item>", "server", "", False)
    assert span.attributes == {
        "http.request.method": "GET",
        "http.route": "/items/<item>",
        "http.response.status_code": 200,
        "url.scheme": "http",
        "network.protocol.version": "1.1",
        "app.request_id": span.trace_id,
    }
    assert 0 < span.seconds < 30
    assert abs(time.time() - span.began) < 60


@pytest.mark.parametrize("method", ["GET", "PROPFIND"])
def test_what_a_stranger_makes_up_is_in_no_span(traced: Gunicorn, collecting: Collector, method: str) -> None:
    span = span_of(traced, collecting, "/marked-in-path", method)
    assert span.name == ("GET" if method == "GET" else "HTTP")
    assert span.attributes["http.request.method"] == ("GET" if method == "GET" else "_OTHER")
    assert "http.route" not in span.attributes
    assert "marked" not in repr(span)


@pytest.mark.parametrize(("path", "status"), [("/bug", 500), ("/away", 503)])
def test_an_answer_that_is_the_servers_fault_is_a_failed_span_without_the_message(
    traced: Gunicorn, collecting: Collector, path: str, status: int
) -> None:
    span = span_of(traced, collecting, path)
    assert (span.failed, span.attributes["error.type"], span.attributes["http.response.status_code"]) == (
        True,
        str(status),
        status,
    )
    assert b"marked-detail" not in b"".join(collecting.bodies)


@pytest.mark.parametrize(("path", "name"), [("/breaks", "GET /breaks"), ("/leaves", "GET")])
def test_an_answer_that_the_server_has_to_make_is_a_failed_span_too(
    traced: Gunicorn, collecting: Collector, path: str, name: str
) -> None:
    before = len(collecting.spans)
    assert CLIENT.get(traced.url + path).status_code == 500
    span = collecting.wait_for(lambda spans: len(spans) > before)[before]
    assert (span.name, span.failed, span.attributes["http.response.status_code"]) == (name, True, 500)
    assert b"marked-detail" not in b"".join(collecting.bodies)


def test_an_answer_that_is_the_clients_fault_is_no_failed_span(traced: Gunicorn, collecting: Collector) -> None:
    span = span_of(traced, collecting, "/no-such-page")
    assert (span.failed, span.attributes["http.response.status_code"]) == (False, 404)


def test_the_span_of_an_answer_that_streams_ends_with_it(traced: Gunicorn, collecting: Collector) -> None:
    assert span_of(traced, collecting, "/stream").seconds > 0.5


def test_probes_are_no_spans(traced: Gunicorn, collecting: Collector) -> None:
    get(traced, "/healthz/ready")
    collecting.of(get(traced))
    assert not [span for span in collecting.spans if "healthz" in repr(span)]


def test_the_log_has_the_trace_id_of_each_line(traced: Gunicorn, collecting: Collector) -> None:
    span = span_of(traced, collecting, "/bug")

    def lines_of_it() -> list[dict[str, Any]]:
        return [line for line in lines(traced.log) if line.get("trace_id") == span.trace_id]

    # That of the request itself comes a little late.
    found = until(lines_of_it, lambda found: len(found) == 2)
    assert [line["level"] for line in found] == ["error", "info"]
    assert found[1]["message"] == "request"


def test_every_request_of_every_worker_is_sent_once(traced: Gunicorn, collecting: Collector) -> None:
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        ids = list(pool.map(lambda _: get(traced), range(200)))
    wanted = set(ids)
    spans = collecting.wait_for(lambda spans: wanted <= {span.trace_id for span in spans})
    found = [span for span in spans if span.trace_id in wanted]
    assert len(found) == 200
    assert len({span.span_id for span in found}) == 200
    instances = collections.Counter(span.resource["service.instance.id"] for span in found)
    assert {int(name.rpartition(":")[2]) for name in instances} == set(traced.workers)
    assert {span.resource["service.name"] for span in found} == {"auth0-flask"}


def test_a_strangers_trace_is_not_joined(traced: Gunicorn, collecting: Collector) -> None:
    for header in (PARENT, NOT_SAMPLED):
        span = span_of(traced, collecting, "/", traceparent=header, tracestate="a=marked-state")
        assert span.parent == ""
        assert span.trace_id not in header
    assert b"marked-state" not in b"".join(collecting.bodies)


def test_a_trusted_proxys_trace_is_joined_and_it_decides_what_is_recorded(tmp_path: Path, pages: Path) -> None:
    with collector() as collecting:
        environment = settings(collecting, TRUSTED_PROXIES="127.0.0.1", **AT_THE_END)
        with gunicorn(tmp_path, environment=environment, python_path=[pages]) as server:
            get(server, traceparent=PARENT)
            get(server, traceparent=NOT_SAMPLED)
            for malformed in ("", "forged", PARENT.upper(), PARENT + "-more", PARENT.replace("00-", "ff-")):
                get(server, traceparent=malformed)
            get(server, traceparent=f"00-{'0' * 32}-b7ad6b7169203331-01")
            get(server, **{"X-Request-ID": "from-the-edge_1"})
        spans = collecting.spans
        joined = [span for span in spans if span.trace_id in PARENT]
        assert [span.parent for span in joined] == ["b7ad6b7169203331"]
        assert not [span for span in spans if span.trace_id in NOT_SAMPLED]
        begun = [span for span in spans if span.trace_id not in PARENT]
        assert [span.parent for span in begun] == [""] * 7
        logged = {line["request_id"]: line["trace_id"] for line in lines(server.log) if line["message"] == "request"}
        assert logged["from-the-edge_1"] == begun[-1].trace_id
        assert {PARENT[3:35], NOT_SAMPLED[3:35]} <= set(logged.values())


def test_what_is_not_sent_yet_is_sent_at_the_end(tmp_path: Path, pages: Path) -> None:
    with collector() as collecting:
        environment = settings(collecting, SERVER_WORKERS="2", **AT_THE_END)
        with gunicorn(tmp_path, environment=environment, python_path=[pages]) as server:
            ids = {get(server) for _ in range(20)}
            assert collecting.spans == []
            assert server.stop() == 0
        assert {span.trace_id for span in collecting.spans} == ids


def test_a_sampler_takes_its_share(tmp_path: Path, pages: Path) -> None:
    share = {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.5"}
    with collector() as collecting:
        environment = settings(collecting, **AT_THE_END, **share)
        with gunicorn(tmp_path, environment=environment, python_path=[pages]) as server:
            for _ in range(200):
                get(server)
        # 1 in 10^9 is further off.
        assert 56 < len(collecting.spans) < 144


def test_what_the_settings_say_of_the_app_and_the_way_is_done(tmp_path: Path, pages: Path) -> None:
    more = {
        "OTEL_SERVICE_NAME": "shop",
        "OTEL_RESOURCE_ATTRIBUTES": "team=a%2Cb,service.name=overruled",
        "OTEL_EXPORTER_OTLP_HEADERS": "Authorization=Bearer%20marked-token",
        "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip",
    }
    with collector() as collecting:
        with gunicorn(tmp_path, environment=settings(collecting, **AT_THE_END, **more), python_path=[pages]) as server:
            get(server)
        [headers] = collecting.headers
        assert {name.lower(): value for name, value in headers.items()}["authorization"] == "Bearer marked-token"
        collecting.bodies[:] = [gzip.decompress(body) for body in collecting.bodies]
        [span] = collecting.spans
        assert {"service.name": "shop", "team": "a,b"}.items() <= span.resource.items()
        assert "marked-token" not in server.log


@pytest.mark.parametrize("name", ["OTEL_EXPORTER_OTLP_CERTIFICATE", "SSL_CERT_FILE"])
def test_a_collector_with_a_private_authority_is_trusted_where_it_is_named(
    tmp_path: Path, pages: Path, ca: CA, name: str
) -> None:
    with collector(pair=ca.issue()) as collecting:
        environment = settings(
            collecting,
            # Some machines have this for all programs.
            REQUESTS_CA_BUNDLE="/etc/ssl/certs/ca-certificates.crt",
            # Until then OpenTelemetry tries again.
            OTEL_EXPORTER_OTLP_TIMEOUT="2000",
            **FAST,
        )
        with gunicorn(tmp_path / "a", environment=environment | {name: str(ca.path)}, python_path=[pages]) as server:
            collecting.of(get(server))
        with gunicorn(tmp_path / "b", environment=environment, python_path=[pages]) as server:
            get(server)
            server.wait_for("traces cannot be sent")
    [line] = [line for line in lines(server.log) if line["message"].startswith("traces cannot")]
    assert line["cause"] == "SSLError"


def complaints(server: Gunicorn) -> list[str]:
    """What the log says of sending traces."""
    return [line["message"] for line in lines(server.log) if "traces" in line["message"]]


def test_a_collector_that_is_away_costs_no_request_and_one_line(tmp_path: Path, pages: Path) -> None:
    [port] = free_ports(1)
    environment = {
        **ENVIRONMENT,
        "APP_ENV": "production",
        "APP_PAGES": "traced_pages",
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}",
        "OTEL_EXPORTER_OTLP_TIMEOUT": "200",
        "OTEL_BSP_MAX_QUEUE_SIZE": "10",
        **FAST,
    }
    with gunicorn(tmp_path, environment=environment, python_path=[pages]) as server:
        server.wait_for("traces cannot be sent") if get(server) else None
        # Far more than are kept.
        assert len({get(server) for _ in range(200)}) == 200
        with collector(port) as back:
            back.wait_for(lambda spans: bool(get(server)) and len(spans) > 0)
            server.wait_for("traces are sent again")
    assert complaints(server) == ["traces cannot be sent, and are lost until they can", "traces are sent again"]
    [line] = [line for line in lines(server.log) if line["message"].startswith("traces cannot")]
    assert (line["level"], line["cause"]) == ("warning", "ConnectionError")
    assert "opentelemetry" not in server.log


def test_a_collector_that_refuses_is_told_by_its_status(tmp_path: Path, pages: Path) -> None:
    with collector() as collecting:
        collecting.status = 401
        with gunicorn(tmp_path, environment=settings(collecting, **FAST), python_path=[pages]) as server:
            get(server)
            server.wait_for("traces cannot be sent")
    [line] = [line for line in lines(server.log) if line["message"].startswith("traces cannot")]
    assert line["cause"] == "status 401"


def test_a_collector_that_hangs_holds_up_neither_requests_nor_the_end(tmp_path: Path, pages: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as hanging:
        endpoint = f"http://127.0.0.1:{hanging.getsockname()[1]}"
        environment = {"APP_PAGES": "traced_pages", "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, **FAST}
        with gunicorn(tmp_path, environment=environment, python_path=[pages]) as server:
            for _ in range(20):
                get(server)
            began = time.monotonic()
            assert server.stop() == 0
            # SERVER_GRACE_SECONDS is 25, and sending would take until OTEL_EXPORTER_OTLP_TIMEOUT, twice.
            assert time.monotonic() - began < 10


def started_wrongly(tmp_path: Path, **environment: str) -> str:
    """What a server that does not start says."""
    server = launch(tmp_path, environment={"OTEL_EXPORTER_OTLP_ENDPOINT": "https://collector:4318", **environment})
    try:
        assert server.wait(60) == 1
    finally:
        server.kill()
    return server.log


@pytest.mark.parametrize(
    ("environment", "sentence"),
    [
        (
            {"OTEL_EXPORTER_OTLP_CERTIFICATE": "/nonexistent.pem"},
            "OTEL_EXPORTER_OTLP_CERTIFICATE names '/nonexistent.pem', which cannot be used: No such file or directory.",
        ),
        (
            {"OTEL_EXPORTER_OTLP_CERTIFICATE": str(ROOT / "README.md")},
            f"OTEL_EXPORTER_OTLP_CERTIFICATE names '{ROOT}/README.md', which cannot be used: "
            "it is no PEM, or not the key of this certificate.",
        ),
        (
            {
                "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE": "/nonexistent.pem",
                "OTEL_EXPORTER_OTLP_CLIENT_KEY": "/nonexistent.key",
            },
            "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE names '/nonexistent.pem', which cannot be used: "
            "No such file or directory.",
        ),
        (
            {"OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": "many"},
            "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT is no whole number (for example: 128).",
        ),
        (
            {"OTEL_EXPORTER_OTLP_ENDPIONT": "http://collector:4318"},
            "OTEL_EXPORTER_OTLP_ENDPIONT is no setting of this app: probably OTEL_EXPORTER_OTLP_ENDPOINT is meant.",
        ),
    ],
)
def test_what_cannot_be_used_stops_the_start_with_a_sentence(
    tmp_path: Path, environment: dict[str, str], sentence: str
) -> None:
    assert started_wrongly(tmp_path, **environment) == f"The settings have one problem:\n  - {sentence}\n"


def run_python(code: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run a program with valid settings."""
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env={**ENVIRONMENT, **environment},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize(
    "environment", [{}, {"OTEL_SDK_DISABLED": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}]
)
def test_without_traces_nothing_of_opentelemetry_is_imported(environment: dict[str, str]) -> None:
    """So they cost nothing: there is no middleware, no thread and no memory that could."""
    result = run_python(
        """
        import sys
        from app import create_app
        app = create_app()
        assert app.test_client().get("/", base_url="https://localhost:8443").status_code == 200
        names = {name.partition(".")[0] for name in sys.modules}
        print(sorted(names & {"opentelemetry", "google", "requests", "urllib3"}))
        """,
        **environment,
    )
    assert result.stdout == "[]\n", result.stderr


def test_the_extra_that_is_not_installed_is_said() -> None:
    result = run_python(
        """
        import sys
        sys.modules["opentelemetry"] = None
        import app.server.main
        """,
        OTEL_EXPORTER_OTLP_ENDPOINT="http://collector:4318",
    )
    assert result.stderr == (
        "The settings have one problem:\n  - OTEL_EXPORTER_OTLP_ENDPOINT is set, but opentelemetry is not installed: "
        "install the extra `tracing`, or leave it out.\n"
    )
