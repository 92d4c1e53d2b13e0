"""All logs of a run in which everything happens: what is in them, what is not, and that docs/logs.md says so."""

import json
import re
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from scripts.certificates import CA
from tests.integration.ops.everything import MARK, NEXT_SECRET, ROUTES, USER, Everything, Run, let_it_happen, routes
from tests.servers.app import SECRET, app
from tests.servers.collector import collector
from tests.servers.identity import identity
from tests.servers.nginx import nginx
from tests.servers.redis import redis_server

ROOT = Path(__file__).parents[3]
# Of the run; the tests only read.
pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def run(ca: CA, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """One run of everything, with two workers that log whatever they have to say."""
    folder = tmp_path_factory.mktemp("everything")
    (folder / "keys").write_text(SECRET)
    with ExitStack() as stack:
        collecting = stack.enter_context(collector())
        provider = stack.enter_context(identity(ca, users=[USER], options=["--key-file", str(folder / "key.json")]))
        redis = stack.enter_context(redis_server(folder))
        # Not below pytest's own folder: another user's nginx may not enter there.
        sockets = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="app-")))
        sockets.chmod(0o755)
        settings = {
            "SERVER_BIND": f"unix:{sockets / 'app.sock'}",
            "SERVER_TLS_CERTIFICATE": "",
            "SERVER_TLS_KEY": "",
            "SERVER_REQUEST_TIMEOUT_SECONDS": "3",
            "TRUSTED_PROXIES": "unix",
            "AUTH0_SECRET": "",
            "AUTH0_SECRET_FILE": str(folder / "keys"),
            "AUTH0_SCOPE": "openid profile email offline_access",
            "AUTH0_TIMEOUT_SECONDS": "2",
            "REDIS_TIMEOUT_SECONDS": "0.5",
            "LOG_LEVEL": "debug",
            "OTEL_EXPORTER_OTLP_ENDPOINT": collecting.endpoint,
            "OTEL_EXPORTER_OTLP_HEADERS": f"authorization={MARK}",
            "OTEL_BSP_SCHEDULE_DELAY": "50",
        }
        served = stack.enter_context(app(folder / "app", provider, redis=redis, **settings))
        (sockets / "app.sock").chmod(0o666)
        variables = {"NGINX_LOGIN_RATE": "1000r/s", "NGINX_SERVER_NAMES": "localhost"}
        front = stack.enter_context(nginx(ca.issue(), upstream=f"unix:{sockets / 'app.sock'}", variables=variables))
        everything = Everything(served, front, collecting, provider, folder)
        secret = let_it_happen(everything)
        metrics = httpx.get(served.server.metrics_url).text
        everything.lose_the_provider()
        served.server.stop()
        front.stop()
        for browser in everything.browsers:
            secret |= browser.secrets
            browser.http.close()
        yield Run(
            served.log,
            front.log,
            front.errors,
            provider.log.read_text() if provider.log.exists() else "",
            metrics,
            b"".join(collecting.bodies),
            {span.name for span in collecting.spans},
            secret | {MARK, SECRET, NEXT_SECRET, str(USER["user_id"])},
        )


def requests(log: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The lines of requests in the app's log."""
    return [line for line in log if line["message"] == "request"]


def test_every_route_of_the_app_is_asked_for() -> None:
    assert set(routes()) == set(ROUTES), "add the new route to ROUTES, with a path that it answers"


def test_no_secret_is_in_any_log_metric_or_span(run: Run) -> None:
    for place, text in (
        ("app", run.app_log),
        ("nginx", run.nginx_log),
        ("nginx' errors", run.nginx_errors),
        ("provider", run.provider_log),
        ("metrics", run.metrics),
        ("spans", run.spans.decode("latin-1")),
    ):
        shown = [line for line in text.splitlines() if any(secret in line for secret in run.secrets)]
        assert not shown, (place, shown[:5])
    assert "@" not in run.metrics + "".join(line.get("path", "") for line in run.app)


def test_everything_has_happened(run: Run) -> None:
    """What is not in the logs because it did not come to pass proves nothing."""
    statuses = {line["status"] for line in requests(run.app)}
    assert statuses >= {200, 302, 303, 400, 401, 403, 404, 405, 418, 500, 502, 503, 504}
    assert len(run.secrets) > 40
    assert all((run.nginx_errors, run.metrics, run.spans))
    assert {"GET /callback", "provider token", "EVAL"} <= run.span_names
    asked = {line["path"] for line in requests(run.app)}
    assert {path for path in ROUTES.values() if "%" not in path and "healthz" not in path} <= asked


@pytest.mark.parametrize("log", ["app", "nginx"])
def test_each_line_is_one_object_and_no_line_is_forged(run: Run, log: str) -> None:
    text: str = getattr(run, f"{log}_log")
    # `splitlines` knows every character that ends a line for somebody.
    assert text.splitlines() == text.removesuffix("\n").split("\n")
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029]", text)
    for line in text.splitlines():
        parsed = json.loads(line)
        assert isinstance(parsed, dict)
        assert "forged" not in (parsed.get("level"), *parsed)


def test_a_request_has_the_same_ids_in_both_logs(run: Run) -> None:
    in_app = {line["request_id"]: line["trace_id"] for line in requests(run.app)}
    in_nginx = {line["request_id"]: line["trace_id"] for line in run.nginx}
    both = in_app.keys() & in_nginx.keys()
    assert len(both) > 100
    assert {name: in_app[name] for name in both} == {name: in_nginx[name] for name in both}
    reached = [line for line in run.nginx if line["upstream_status"] in ("200", "302", "303", "403", "404", "500")]
    assert [line for line in reached if line["request_id"] not in in_app] == []


def test_a_request_is_one_line(run: Run) -> None:
    ids = [line["request_id"] for line in requests(run.app)]
    assert len(ids) == len(set(ids))
    assert len({line["request_id"] for line in run.nginx}) == len(run.nginx)


def tables() -> dict[str, list[list[str]]]:
    """The rows of docs/logs.md's tables, by heading, without their heads."""
    found: dict[str, list[list[str]]] = {}
    heading = ""
    for line in (ROOT / "docs" / "logs.md").read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            heading = line.removeprefix("## ")
        elif line.startswith("| `"):
            found.setdefault(heading, []).append([cell.strip() for cell in line.strip("|").split("|")])
    return found


def names(cell: str) -> set[str]:
    return set(re.findall("`([a-z_]+)`", cell))


def fields_of(heading: str) -> set[str]:
    """The fields that the tables under *heading* name, but for those of events."""
    return {name for row in tables()[heading] if len(row) == 2 for name in names(row[0])}


EVERY_LINE = "Every line of the app"


def test_nginx_lines_have_the_documented_fields(run: Run) -> None:
    assert {frozenset(line) for line in run.nginx} == {frozenset(fields_of("nginx"))}


def test_lines_of_requests_have_the_documented_fields(run: Run) -> None:
    every = fields_of(EVERY_LINE) - {"exception"}
    of_requests = {frozenset(line) for line in run.app if line["logger"] == "app.request"}
    assert of_requests == {frozenset(every | fields_of("Requests: `app.request`"))}


def test_every_security_event_is_documented_with_its_fields_and_has_happened(run: Run) -> None:
    rows = [row for row in tables()["Security events: `app.security`"] if len(row) == 4]
    documented = {names(row[0]).pop(): names(row[3]) for row in rows}
    seen: dict[str, set[str]] = {}
    for line in run.app:
        if line["logger"] == "app.security":
            own = set(line) - fields_of(EVERY_LINE) - {"event", "client"}
            assert seen.setdefault(line["event"], own) == own
            assert ("client" in line) == ("request_id" in line)
            [level] = [row[2] for row in rows if names(row[0]) == {line["event"]}] or [""]
            assert line["level"] in level
    assert seen == documented
    assert fields_of("Security events: `app.security`") == {name for own in documented.values() for name in own}
    assert not [line for line in run.app if "event" in line and line["logger"] != "app.security"]


def test_other_lines_have_the_documented_fields(run: Run) -> None:
    apart = ("app.request", "app.security")
    others = [line for line in run.app if line["logger"] not in apart and not line["logger"].startswith("tests.")]
    seen = {name for line in others for name in line}
    assert seen == fields_of(EVERY_LINE) | fields_of("Other lines")
