"""Prometheus and Alertmanager as deploy/ has them, with a shorter day, and whoever they tell."""

import datetime
import json
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.observability.shortened import seconds, shortened
from tests.servers.alertmanager import CONFIGURATION as ROUTING
from tests.servers.alertmanager import Message, People, alertmanager, told
from tests.servers.exporters import blackbox_exporter
from tests.servers.prometheus import FILES, Prometheus, configuration, prometheus

# A minute lasts a second and a half, an hour as many minutes. Prometheus looks every second, and waits as long for an
# answer: on a busy machine one takes its time.
DIVISOR = 40
INTERVAL = "1s"
# What is said in a minute at most by a rule comes within seconds here; the rest is for a machine that is slow.
WAIT_SECONDS = 60


@dataclass
class Watch:
    """What incidents are seen by."""

    folder: Path
    prometheus: Prometheus
    people: People
    rules: list[Path]

    def scrape(self, job: str, namespace: str, *addresses: str, **labels: str) -> None:
        """Have Prometheus look at *addresses* from now on, in place of those of before."""
        targets = [{"targets": list(addresses), "labels": {"namespace": namespace, **labels}}]
        aside = self.folder / f"{job}.{namespace}.new"
        aside.write_text(json.dumps(targets))
        aside.replace(self.folder / f"{job}.{namespace}.json")

    def scrape_certificate(self, namespace: str, address: str) -> None:
        """Have the certificate looked at that a server shows for localhost."""
        self.scrape("certificate", namespace, address, __param_hostname="localhost")

    def told(self, namespace: str, status: str = "firing") -> list[Message]:
        """What people were told of a namespace."""
        messages = [message for message in self.people.messages if message.status == status]
        return [message for message in messages if message.labels.get("namespace") == namespace]

    def wait_for(self, alert: str, namespace: str, status: str = "firing") -> Message:
        """Wait until people are told; fails with what is known of the namespace."""
        deadline = time.monotonic() + WAIT_SECONDS
        while True:
            for message in self.told(namespace, status):
                if message.labels["alertname"] == alert:
                    return message
            if time.monotonic() > deadline:
                raise AssertionError(f"nobody was told of {alert}: {self.known(namespace)}")
            time.sleep(0.05)

    def known(self, namespace: str) -> list[Any]:
        """Alerts of a namespace that fire or may, as Prometheus has them, and what people were told."""
        alerts = [alert for alert in self.prometheus.alerts() if alert["labels"].get("namespace") == namespace]
        return [*((alert["labels"], alert["state"]) for alert in alerts), *self.told(namespace)]

    def wait_until_all_is_said(self, since: float) -> None:
        """Wait until every rule has been looked at for longer than any alert waits, since a Unix time."""
        waits = [seconds(rule["for"]) for path in self.rules for rule in _rules(path) if "for" in rule]
        goal = since + max(waits) + 2
        deadline = time.monotonic() + WAIT_SECONDS
        while min(_time(group["lastEvaluation"]) for group in self.prometheus.groups()) < goal:
            assert time.monotonic() < deadline, "the rules are not looked at"
            time.sleep(0.1)

    def waited_in_vain(self, namespace: str) -> bool:
        """Whether a scrape of the app took longer than Prometheus waits; one that nobody answers has no duration."""
        duration = f'scrape_duration_seconds{{job="app", namespace="{namespace}"}}'
        return bool(self.prometheus.query(f"max_over_time({duration}[1h]) >= {seconds(INTERVAL)}"))

    def unhealthy(self) -> list[str]:
        """Rules that Prometheus cannot evaluate, and why."""
        rules = [rule for group in self.prometheus.groups() for rule in group["rules"]]
        return [f"{rule['name']}: {rule.get('lastError')}" for rule in rules if rule["health"] != "ok"]


@contextmanager
def watch(folder: Path) -> Iterator[Watch]:
    """Run both, and the exporter of certificates."""
    targets = folder / "targets"
    targets.mkdir(parents=True)
    rules = []
    for path in sorted((FILES / "rules").glob("*.yml")):
        document = shortened(yaml.safe_load(path.read_text(encoding="utf-8")), DIVISOR)
        rules.append(folder / path.name)
        rules[-1].write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
    routing = shortened(yaml.safe_load(ROUTING.read_text(encoding="utf-8")), DIVISOR)
    with told() as people, blackbox_exporter(folder) as blackbox:
        # Who is told is a webhook of the test's; who is told of what is the file's.
        for receiver in routing["receivers"]:
            if receiver.pop("slack_configs", None):
                url = f"{people.url}/{receiver['name']}"
                receiver["webhook_configs"] = [{"url": url, "send_resolved": True}]
        with alertmanager(folder / "alertmanager", routing) as address:
            jobs = {job: [] for job in ("app", "redis", "certificate")}
            document = configuration(jobs, interval=INTERVAL, alertmanagers=[address], blackbox=blackbox)
            for job in document["scrape_configs"]:
                job.pop("static_configs", None)
                if job["job_name"] == "certificate":
                    # The exporter takes half a second off its time limit, for the answer.
                    job |= {"scrape_interval": "2s", "scrape_timeout": "2s"}
                job["file_sd_configs"] = [{"files": [f"{targets}/{job['job_name']}.*.json"]}]
            document["rule_files"] = [str(path) for path in rules]
            with prometheus(folder / "prometheus", document) as server:
                yield Watch(targets, server, people, rules)


def _rules(path: Path) -> Iterator[dict[str, Any]]:
    for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]:
        yield from group["rules"]


def _time(text: str) -> float:
    # Go's fractions of a second have nine digits, Python's six.
    return datetime.datetime.fromisoformat(re.sub(r"(\.\d{1,6})\d*", r"\1", text)).timestamp()
