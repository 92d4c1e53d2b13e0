"""Metrics of a real gunicorn with several workers: one sum, on a port of its own, with labels of ours alone."""

import concurrent.futures
import random
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.servers.gunicorn import Gunicorn, gunicorn

HOST = {"Host": "localhost"}
# A connection for each request, so that any worker may take it.
CLIENT = httpx.Client(headers=HOST, limits=httpx.Limits(max_keepalive_connections=0))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gunicorn]:
    """Two workers."""
    with gunicorn(tmp_path_factory.mktemp("gunicorn"), environment={"SERVER_WORKERS": "2"}) as running:
        yield running


def requests_counted(server: Gunicorn) -> dict[tuple[str, str, str], float]:
    """How many requests were counted, by method, route and status, in all workers together."""
    page = httpx.get(server.metrics_url)
    assert page.status_code == 200
    return {
        (sample.labels["method"], sample.labels["url_rule"], sample.labels["status"]): sample.value
        for family in text_string_to_metric_families(page.text)
        for sample in family.samples
        if sample.name == "http_request_duration_seconds_count"
    }


def get(server: Gunicorn, path: str, method: str = "GET") -> int:
    """Send one request and return the answer's status."""
    return CLIENT.request(method, server.url + path).status_code


def test_every_workers_requests_are_counted_once(server: Gunicorn) -> None:
    before = requests_counted(server).get(("GET", "/", "200"), 0)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda _: get(server, "/"), range(100))) == {200}
    assert requests_counted(server)[("GET", "/", "200")] == before + 100


def test_what_a_stranger_makes_up_adds_no_series(server: Gunicorn) -> None:
    get(server, "/no-such-page")
    get(server, "/no-such-page", "PROPFIND")
    get(server, "/", "PROPFIND")
    before = set(requests_counted(server))
    dice = random.Random(1)
    with httpx.Client(base_url=server.url, headers=HOST) as client:
        for _ in range(500):
            path = f"/{dice.getrandbits(64):x}?{dice.getrandbits(64):x}"
            client.request(dice.choice(("GET", "PROPFIND", "MKCOL", "M-SEARCH")), path)
    assert set(requests_counted(server)) == before
    assert ("GET", "unmatched", "404") in before
    assert ("other", "unmatched", "404") in before


def test_metrics_are_not_on_the_apps_own_port(server: Gunicorn) -> None:
    assert get(server, "/metrics") == 404


def test_a_query_on_the_metrics_port_is_no_error(server: Gunicorn) -> None:
    assert httpx.get(server.metrics_url, params={"name[]": "http_request_duration_seconds"}).status_code == 200


def test_a_worker_that_is_killed_takes_no_count_with_it(tmp_path: Path) -> None:
    with gunicorn(tmp_path, environment={"SERVER_WORKERS": "1"}) as server:
        for _ in range(5):
            get(server, "/")
        [worker] = server.workers
        import os

        os.kill(worker, signal.SIGKILL)
        server.wait_for("Application startup complete", times=2)
        get(server, "/")
        assert requests_counted(server)[("GET", "/", "200")] == 6


def test_pages_add_metrics_of_their_own(tmp_path: Path) -> None:
    pages = tmp_path / "my_pages.py"
    pages.write_text(
        "def init_app(app):\n"
        "    metrics = app.extensions['metrics']\n"
        "    @app.get('/')\n"
        "    @metrics.counter('orders_total', 'Orders taken.')\n"
        "    def home():\n"
        "        return 'ordered'\n"
        # The exporter's decorators make a plain function of an async view, which Flask alone answers with 500.
        "    @app.get('/untracked')\n"
        "    @metrics.do_not_track()\n"
        "    async def untracked():\n"
        "        return 'seen'\n"
    )
    with gunicorn(tmp_path, environment={"APP_PAGES": "my_pages"}, python_path=[tmp_path]) as server:
        assert get(server, "/") == 200
        assert get(server, "/untracked") == 200
        assert "orders_total 1.0" in httpx.get(server.metrics_url).text
