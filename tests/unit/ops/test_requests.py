"""Each request leaves one line and one count, in labels that no stranger can make more of."""

import json
import logging
import random
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Response
from prometheus_client import CollectorRegistry

from app import create_app
from app.ops.logs import JsonFormatter
from app.server import LoopFlask
from app.server.limit import Overdue
from app.settings import Settings
from tests.unit.browsing import client_of
from tests.unit.server.client import on_a_loop, served


@pytest.fixture
def app(settings: Settings) -> LoopFlask:
    app = create_app(settings)

    @app.get("/items/<item>")
    async def item(item: str) -> str:
        return item

    @app.get("/stream")
    def stream() -> Response:
        return Response(iter(["a", "b"]))

    return app


@pytest.fixture
def lines() -> Iterator[list[dict[str, Any]]]:
    """The lines of requests."""
    found: list[dict[str, Any]] = []

    class Kept(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            found.append(json.loads(self.format(record)))

    handler, logger = Kept(), logging.getLogger("app.request")
    handler.setFormatter(JsonFormatter())
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield found
    logger.removeHandler(handler)
    logger.setLevel(level)


def counts(app: LoopFlask) -> dict[tuple[str, str, str], float]:
    """How many requests were counted, by method, route and status."""
    registry: CollectorRegistry = app.extensions["metrics"].registry
    return {
        (sample.labels["method"], sample.labels["url_rule"], sample.labels["status"]): sample.value
        for family in registry.collect()
        for sample in family.samples
        if sample.name == "http_request_duration_seconds_count"
    }


def test_a_request_is_one_line_without_its_query(app: LoopFlask, lines: list[dict[str, Any]]) -> None:
    answer = client_of(app).get("/items/one?code=marked&state=marked", environ_base={"REMOTE_ADDR": "203.0.113.5"})
    [line] = lines
    assert "marked" not in json.dumps(line)
    assert {name: line[name] for name in ("message", "level", "method", "path", "status", "client", "request_id")} == {
        "message": "request",
        "level": "info",
        "method": "GET",
        "path": "/items/one",
        "status": 200,
        "client": "203.0.113.5",
        "request_id": answer.headers["X-Request-ID"],
    }
    assert 0 <= line["seconds"] < 60


@pytest.mark.parametrize("path", ["/", "/profile", "/no-such-page", "/static/style.css", "/stream", "/callback"])
def test_every_kind_of_answer_is_one_line_and_one_count(app: LoopFlask, lines: list[dict[str, Any]], path: str) -> None:
    with client_of(app).get(path) as answer:
        answer.get_data()
    assert [(line["path"], line["status"]) for line in lines] == [(path, answer.status_code)]
    assert sum(counts(app).values()) == 1


def test_probes_are_counted_and_not_logged(app: LoopFlask, lines: list[dict[str, Any]]) -> None:
    client_of(app).get("/healthz/live")
    assert lines == []
    assert counts(app) == {("GET", "/healthz/live", "200"): 1}


def test_a_session_that_cannot_be_written_is_one_line_and_one_count_of_what_was_sent(
    app: LoopFlask, lines: list[dict[str, Any]]
) -> None:
    from flask import session

    @app.get("/too-much")
    async def too_much() -> str:
        session["much"] = "x" * 20_000
        return ""

    app.config["PROPAGATE_EXCEPTIONS"] = False
    assert client_of(app).get("/too-much").status_code == 500
    assert [line["status"] for line in lines] == [500]
    assert counts(app) == {("GET", "/too-much", "500"): 1}


def test_ten_thousand_paths_and_methods_of_a_stranger_are_a_handful_of_series(app: LoopFlask) -> None:
    """The exporter's default, `group_by="path"` with any method, would have made ten thousand of them."""
    logging.getLogger("app.request").setLevel(logging.WARNING)
    dice = random.Random(1)
    for number in range(10_000):
        known = number % 2
        environ = {
            "REQUEST_METHOD": dice.choice(("GET", "POST", "BREW", f"M{dice.getrandbits(20)}")),
            "PATH_INFO": f"/items/{dice.getrandbits(64):x}" if known else f"/{dice.getrandbits(64):x}",
            "QUERY_STRING": f"x={number}",
            "SERVER_NAME": "app.example.com",
            "SERVER_PORT": "443",
            "wsgi.url_scheme": "https",
        }
        list(app.wsgi_app(environ, lambda *_: lambda data: None))
    logging.getLogger("app.request").setLevel(logging.NOTSET)
    found = counts(app)
    assert sum(found.values()) == 10_000
    assert {rule for _, rule, _ in found} == {"/items/<item>", "unmatched"}
    assert {method for method, _, _ in found} == {"GET", "POST", "other"}
    assert len(found) <= 8


class Odd(Exception):
    """As some libraries', whose code is a text."""

    code = "E42"


@pytest.fixture
def failing(variables: dict[str, str]) -> Iterator[LoopFlask]:
    """An app whose answers the server replaces, or has to make."""
    local = variables | {"AUTH0_REDIRECT_URI": "https://localhost:8443/callback"}
    app = create_app(Settings.model_validate({name.lower(): value for name, value in local.items()}))
    app.config["PROPAGATE_EXCEPTIONS"] = True
    over = threading.Event()

    @app.get("/breaks")
    def breaks() -> Response:
        def generate() -> Iterator[str]:
            raise LookupError
            yield ""

        return Response(generate())

    @app.get("/late")
    def late() -> Response:
        def generate() -> Iterator[str]:
            over.wait(20)
            yield "late"

        return Response(generate())

    @app.get("/header")
    async def header() -> Response:
        return Response(headers={"X-Name": "snow \u2603"})

    @app.get("/hung/<what>")
    async def hung(what: str) -> str:
        raise Overdue("The error page took too long as well.")

    @app.get("/exit")
    def leave() -> str:
        sys.exit("a text")

    @app.get("/odd")
    async def odd() -> str:
        raise Odd

    yield app
    over.set()


@pytest.mark.parametrize(
    ("path", "rule", "status"),
    [
        ("/breaks", "/breaks", 500),
        ("/late", "/late", 504),
        ("/header", "/header", 500),
        # Nothing of what was asked is known any more when such an end gets there.
        ("/hung/one%3Fcode=marked", "unmatched", 504),
        ("/exit", "unmatched", 500),
        ("/odd", "unmatched", 500),
    ],
)
def test_an_answer_that_the_server_makes_is_one_line_and_one_count_of_what_was_sent(
    failing: LoopFlask, lines: list[dict[str, Any]], path: str, rule: str, status: int
) -> None:
    if path == "/late":
        # The others may take longer than that on a busy machine.
        failing.config["SERVER_REQUEST_TIMEOUT_SECONDS"] = 0.05

    @on_a_loop
    async def ask() -> None:
        async with served(failing) as client:
            assert (await client.get(path, [(b"x-request-id", b"marked-by-a-stranger")])).status == status

    ask()
    [line] = lines
    assert (line["path"], line["status"]) == (path.partition("%3F")[0], status)
    assert len(line["request_id"]) == len(line["trace_id"]) == 32
    assert "marked" not in json.dumps(line)
    assert counts(failing) == {("GET", rule, str(status)): 1}


@pytest.mark.parametrize(("path", "error"), [("/exit", SystemExit), ("/odd", Odd)])
def test_what_another_server_has_to_answer_is_a_500(
    failing: LoopFlask, lines: list[dict[str, Any]], path: str, error: type[BaseException]
) -> None:
    with pytest.raises(error):
        client_of(failing).get(path)
    assert [line["status"] for line in lines] == [500]
    assert [status for _, _, status in counts(failing)] == ["500"]
