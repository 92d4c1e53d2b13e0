"""What a running gunicorn tells Prometheus: `scrape(server).value("auth_logouts_total", kind="user")`."""

from dataclasses import dataclass

import httpx
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from tests.servers.gunicorn import Gunicorn


@dataclass
class Scrape:
    """One answer of the metrics' port."""

    text: str
    families: list[Metric]

    @property
    def series(self) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
        """Every sample by its name and labels."""
        return {
            (sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for family in self.families
            for sample in family.samples
        }

    @property
    def cumulative(self) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
        """Those that must never go back: of counters and of histograms."""
        kinds = {family.name: family.type for family in self.families}
        ours = {sample.name for family in self.families if kinds[family.name] != "gauge" for sample in family.samples}
        return {key: value for key, value in self.series.items() if key[0] in ours}

    def value(self, name: str, **labels: str) -> float:
        """The sum of the samples of this name that have these labels among theirs.

        :raises AssertionError: there is none.
        """
        found = [
            value for (sample, has), value in self.series.items() if sample == name and set(labels.items()) <= set(has)
        ]
        assert found, f"no {name} with {labels} in:\n{self.text}"
        return sum(found)


def scrape(server: Gunicorn) -> Scrape:
    """Ask for the metrics of all workers."""
    # Plain HTTP: to read the public authorities first would take longer than all the rest.
    answer = httpx.get(server.metrics_url, timeout=30, verify=False)
    assert answer.status_code == 200, answer.text
    return Scrape(answer.text, list(text_string_to_metric_families(answer.text)))
