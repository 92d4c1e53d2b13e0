"""The rules and the routing as files: what promtool and amtool say, and that each alert is tested and explained."""

import re
import subprocess
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.auth.failures import CAUSES, PEOPLES
from app.ops.metrics import declared

ROOT = Path(__file__).parents[2]
RULES = sorted((ROOT / "deploy" / "prometheus" / "rules").glob("*"))
CASES = sorted((ROOT / "tests" / "observability" / "rules").glob("*.yml"))
ALERTMANAGER = ROOT / "deploy" / "alertmanager" / "alertmanager.yml"
RUNBOOK = (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8")
SLO = (ROOT / "docs" / "slo.md").read_text(encoding="utf-8")
Rule = dict[str, Any]


def rules(kind: str) -> Iterator[Rule]:
    """All rules that have *kind*: `alert` or `record`."""
    for path in RULES:
        for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]:
            yield from (rule for rule in group["rules"] if kind in rule)


ALERTS = list(rules("alert"))
# Of Prometheus itself, and of the exporters of nginx and Redis.
OTHERS = {"up", "ALERTS", "redis_up", "nginx_up", "nginx_certificate_not_after_seconds", "nginx_probe_success"}
NAMES = list(dict.fromkeys(rule["alert"] for rule in ALERTS))


def said(*command: str | Path) -> str:
    """What a tool says, which has to be content."""
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def sections() -> dict[str, str]:
    """The runbook's sections of the third level, by their anchor."""
    parts = re.split(r"^### (.+)\n", RUNBOOK, flags=re.MULTILINE)
    return {anchor(heading): text for heading, text in zip(parts[1::2], parts[2::2], strict=True)}


def anchor(heading: str) -> str:
    """As GitHub makes it of a heading."""
    return re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-")


def told(name: str) -> list[Sequence[Rule]]:
    """What the cases of promtool expect of an alert, each time that they look."""
    return [look["exp_alerts"] for look in looks() if look["alertname"] == name]


@cache
def looks() -> list[Rule]:
    """All that the cases of promtool expect of alerts."""
    files = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in CASES]
    return [look for file in files for case in file["tests"] for look in case.get("alert_rule_test", [])]


def test_promtool_accepts_the_rules() -> None:
    assert said("promtool", "check", "rules", *RULES).count("SUCCESS") == len(RULES)


@pytest.mark.parametrize("path", CASES, ids=[path.stem for path in CASES])
def test_the_alerts_fire_when_they_should_and_not_otherwise(path: Path) -> None:
    said("promtool", "test", "rules", path)


def test_amtool_accepts_the_routing() -> None:
    assert "SUCCESS" in said("amtool", "check-config", ALERTMANAGER)


@pytest.mark.parametrize(
    ("labels", "receiver"),
    [
        ("severity=page", "page"),
        ("severity=ticket", "ticket"),
        ("severity=none", "nobody"),
        ("severity=warning", "ticket"),
    ],
)
def test_a_severity_leads_to_whom_it_should(labels: str, receiver: str) -> None:
    route = said("amtool", "config", "routes", "test", f"--config.file={ALERTMANAGER}", "alertname=Any", labels)
    assert route.strip() == receiver


@pytest.mark.parametrize("rule", ALERTS, ids=[f"{rule['alert']}-{rule['labels']['severity']}" for rule in ALERTS])
def test_an_alert_is_tested_for_firing_and_for_not_firing(rule: Rule) -> None:
    severity = rule["labels"]["severity"]
    fired = [any(alert["exp_labels"]["severity"] == severity for alert in alerts) for alerts in told(rule["alert"])]
    assert any(fired), "no case expects it to fire"
    assert not all(fired), "no case expects it not to fire"


@pytest.mark.parametrize("name", NAMES)
def test_an_alert_says_how_urgent_it_is_and_what_happens_in_a_sentence(name: str) -> None:
    for rule in (rule for rule in ALERTS if rule["alert"] == name):
        # What is sent to nobody only keeps others quiet.
        assert rule["labels"]["severity"] in (("none",) if name == "SymptomsExplained" else ("page", "ticket"))
        summary = rule["annotations"]["summary"]
        assert re.fullmatch(r"(?:[A-Z]|\{\{|nginx).* .*\.", summary), summary


@pytest.mark.parametrize("name", NAMES)
def test_an_alert_has_its_section_in_the_runbook(name: str) -> None:
    text = sections()[name.lower()]
    links = {rule["annotations"]["runbook_url"] for rule in ALERTS if rule["alert"] == name}
    assert links == {"{{ $externalLabels.documentation }}docs/runbook.md#" + name.lower()}
    for part in () if name == "SymptomsExplained" else ("**Means:**", "**See:**", "**Do:**"):
        assert part in text


def test_the_runbook_has_no_section_for_an_alert_that_is_gone_and_no_link_that_leads_nowhere() -> None:
    before, _, _procedures = RUNBOOK.partition("\n## Procedures\n")
    assert set(re.findall(r"^### (.+)$", before, re.MULTILINE)) == set(NAMES)
    anchors = set(sections()) | {anchor(heading) for heading in re.findall(r"^## (.+)$", RUNBOOK, re.MULTILINE)}
    assert set(re.findall(r"\]\(#([^)]+)\)", RUNBOOK)) <= anchors


def test_the_page_on_objectives_says_what_the_rules_do() -> None:
    objectives = {
        rule["labels"]["slo"]: 100 * (1 - float(re.fullmatch(r"vector\(1 - ([0-9.]+)\)", rule["expr"])[1]))  # type: ignore[index]
        for rule in rules("record")
        if rule["record"] == "slo:error_budget:ratio"
    }
    shares = {name: 100 - float(share) for name, share in re.findall(r"^\| `([\w-]+)` \|.* ([0-9.]+) % \|$", SLO, re.M)}
    assert shares == pytest.approx(objectives)
    for rule in ALERTS:
        if found := re.search(r'slo="([\w-]+)"', rule["expr"]):
            share = re.search(r"objective of ([0-9.]+) %", rule["annotations"]["summary"])
            assert share
            assert 100 - float(share[1]) == pytest.approx(objectives[found[1]])


def test_a_cause_keeps_quiet_only_objectives_and_alerts_that_there_are() -> None:
    objectives = {rule["labels"]["slo"] for rule in rules("record") if "slo" in rule.get("labels", {})}
    explained = {rule["labels"]["explains"] for rule in ALERTS if "explains" in rule["labels"]}
    known = {"alertname": set(NAMES), "slo": objectives, "explains": explained, "severity": {"page", "ticket"}}
    for inhibition in yaml.safe_load(ALERTMANAGER.read_text(encoding="utf-8"))["inhibit_rules"]:
        for matcher in (*inhibition["source_matchers"], *inhibition["target_matchers"]):
            label, values = re.fullmatch(r'(\w+)=~?"(.*)"', matcher).groups()  # type: ignore[union-attr]
            for value in values.split("|"):
                assert any(re.fullmatch(value, one) for one in known[label]), matcher


def test_what_the_person_did_is_no_failure_of_ours() -> None:
    (left_out,) = {found for rule in rules("record") for found in re.findall(r'cause!~"([^"]*)"', rule["expr"])}
    assert set(left_out.split("|")) == set(PEOPLES)
    (paragraph,) = re.findall(r"\*\*Logins\*\* are counted.*?\n\n", SLO, re.DOTALL)
    assert set(re.findall(r"`(\w+)`", paragraph)) == set(PEOPLES)


def test_the_runbook_says_what_to_do_about_every_cause_that_is_not_the_persons() -> None:
    table = set(re.findall(r"`(\w+)`", "".join(re.findall(r"^\| `.*? \|", sections()["loginsfailing"], re.M))))
    assert table == set(CAUSES) - set(PEOPLES)


def test_rules_ask_for_metrics_and_labels_that_there_are() -> None:
    known = {metric.name: metric for group in declared.ALL.values() for metric in group}
    recorded = {rule["record"] for rule in rules("record")}
    for rule in (*ALERTS, *rules("record")):
        for name, matchers in re.findall(r"\b([a-z_]+(?::[\w:]+)?|ALERTS)(?:\{([^}]*)\}|\[)", rule["expr"]):
            if name in recorded | OTHERS:
                continue
            metric = known[re.sub(r"_(count|bucket|sum)$", "", name)]
            labels = set(re.findall(r"(\w+)[=!]~?\"", matchers)) - {"le"}
            assert labels <= set(metric.labels), rule["expr"]
            for label, value in re.findall(r'(\w+)="([^"]*)"', matchers):
                values = metric.labels.get(label, ())
                assert value in (values or [f"{bound:g}" for bound in metric.buckets]), rule["expr"]


def test_rules_name_no_metric_that_nobody_has() -> None:
    known = {metric.name for group in declared.ALL.values() for metric in group} | OTHERS
    recorded = {rule["record"] for rule in rules("record")}
    for rule in (*ALERTS, *rules("record")):
        bare = re.sub(r'"[^"]*"|\[[^\]]*\]', "", rule["expr"])
        for name in re.findall(r"\b(?:app|http|server|auth|session|nginx|redis)_\w+", bare):
            if not re.search(rf"\b\w+:[\w:]*{name}|{name}:", bare):
                assert re.sub(r"_(count|bucket|sum)$", "", name) in known, name
        for name in re.findall(r"\b\w+:[\w:]+", bare):
            assert name in recorded, name
