"""What Prometheus gets from a run in which everything happens: as documented, well formed, bounded, and nobody's."""

import concurrent.futures
import http.client
import random
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from app.ops.metrics.declared import ALL, Metric
from tests.integration.browser import until
from tests.integration.conftest import MakeBrowser, with_each_backend
from tests.servers.app import ServedApp
from tests.servers.gunicorn import Gunicorn, gunicorn
from tests.servers.identity import IdentityProvider
from tests.servers.metrics import Scrape, scrape
from tests.servers.redis import RedisServer

ROOT = Path(__file__).parents[3]
METRICS = {metric.name: metric for metrics in ALL.values() for metric in metrics}
DOCUMENTED = set(re.findall(r"^\| `([a-z0-9_]+)` \|", (ROOT / "docs" / "metrics.md").read_text(), re.MULTILINE))


@pytest.fixture(scope="module")
def running(
    running_provider: IdentityProvider, session_redis: RedisServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, ServedApp]]:
    """The app with each kind of session, for these tests alone: they read what it tells."""
    with with_each_backend(running_provider, session_redis, tmp_path_factory, workers=2) as both:
        yield both


@pytest.fixture
def used(running: dict[str, ServedApp], backend: str, new_browser: MakeBrowser) -> ServedApp:
    """An app that somebody has signed in to, and out of."""
    served = running[backend]
    served.provider.knobs.reset()
    browser = new_browser(served)
    browser.sign_in_as()
    browser.get("/profile")
    browser.get("/logout")
    until(lambda: scrape(served.server).value("server_pool_threads"), lambda threads: threads == 16)
    return served


def exposed(found: Scrape) -> dict[str, str]:
    """The kinds of all metrics by their names, as they are declared."""
    return {family.name + ("_total" if family.type == "counter" else ""): family.type for family in found.families}


def test_a_run_has_the_documented_metrics_and_no_others(used: ServedApp) -> None:
    wanted = {name: metric.kind for name, metric in METRICS.items() if metric.backend in (None, used.backend)}
    assert exposed(scrape(used.server)) == wanted
    assert set(METRICS) == DOCUMENTED


def test_every_label_has_one_of_its_documented_values(used: ServedApp) -> None:
    def of(sample: str) -> Metric:
        return METRICS.get(sample) or METRICS[re.sub("_(bucket|sum|count)$", "", sample)]

    for (name, labels), _value in scrape(used.server).series.items():
        metric, has = of(name), dict(labels)
        has.pop("le", None)
        assert has.keys() == metric.labels.keys(), name
        for label, value in has.items():
            values = metric.labels[label]
            assert isinstance(values, str) or value in values, (name, label, value)


def test_promtool_finds_nothing_to_complain_of(used: ServedApp) -> None:
    text = scrape(used.server).text
    checked = subprocess.run(
        ["promtool", "check", "metrics"], input=text, capture_output=True, text=True, timeout=60, check=False
    )
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


def test_openmetrics_is_spoken_to_who_asks_for_it(used: ServedApp) -> None:
    answer = httpx.get(used.server.metrics_url, headers={"accept": "application/openmetrics-text; version=1.0.0"})
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    families = {family.name for family in text_string_to_metric_families(answer.text)}
    assert families == {family.name for family in scrape(used.server).families}


def test_nothing_in_it_says_who_somebody_is(used: ServedApp, new_browser: MakeBrowser) -> None:
    browser = new_browser(used)
    browser.sign_in_as()
    user = browser.user or {}
    text = scrape(used.server).text
    personal = [str(user[name]) for name in ("sub", "sid", "email", "name", "nickname")]
    assert [value for value in (*personal, *browser.secrets, "127.0.0.1") if value in text] == []


SCAN = 10_000


@pytest.fixture
def scanned(tmp_path: Path) -> Iterator[Gunicorn]:
    with gunicorn(tmp_path, environment={"SERVER_WORKERS": "2"}) as running:
        yield running


def test_ten_thousand_paths_hosts_and_methods_of_a_stranger_add_no_series(scanned: Gunicorn) -> None:
    def scan(seed: int) -> int:
        dice = random.Random(seed)
        connection = http.client.HTTPConnection("127.0.0.1", scanned.port, timeout=60)
        for _ in range(SCAN // 4):
            word = f"{dice.getrandbits(64):x}"
            method = dice.choice(("GET", "GET", "POST", "PROPFIND", f"M{word}".upper()))
            path = dice.choice(
                (f"/{word}", f"/static/{word}", f"/login/{word}?{word}={word}", f"/callback?state={word}")
            )
            host = dice.choice(("localhost", f"{word}.example"))
            connection.request(method, path, headers={"Host": host, "User-Agent": word, "Cookie": f"{word}={word}"})
            connection.getresponse().read()
        connection.close()
        return SCAN // 4

    def series() -> set[object]:
        return set(scrape(scanned).series)

    # What any one stranger brings about: a route or none, a known method or another, and the status.
    scan(-1)
    before = series()
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(scan, range(4))) == SCAN
    assert series() == before
    assert scrape(scanned).value("http_request_duration_seconds_count") >= SCAN


def test_a_method_or_query_that_is_made_up_does_not_harm_the_port(scanned: Gunicorn) -> None:
    for method in ("POST", "BREW", "OPTIONS", "DELETE"):
        assert httpx.request(method, scanned.metrics_url).status_code in (200, 405, 501)
    for query in ("name[]=", "name[]=none", "name[]=a&name[]=b", "x" * 5000):
        assert httpx.get(f"{scanned.metrics_url}?{query}").status_code == 200
