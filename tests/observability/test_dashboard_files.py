"""The dashboards as files: renewed, right by Grafana's own schema, and in agreement with the alerts."""

import itertools
import json
import math
import re
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from scripts.dashboards import DASHBOARDS
from scripts.dashboards.model import FOLDER, Dashboard, Panel

ROOT = Path(__file__).parents[2]
SCHEMAS = Path(__file__).parent / "schemas"
RULES = ROOT / "deploy" / "prometheus" / "rules"
PANELS = [pytest.param(panel, id=f"{board.name}: {panel.title}") for board in DASHBOARDS for panel in board.panels]
BOARDS = [pytest.param(board, id=board.name) for board in DASHBOARDS]


def schema(name: str) -> Any:
    """One of those that scripts/grafana_schemas.py has made; None for what a panel has no type of."""
    path = SCHEMAS / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else None


def check(document: dict[str, Any]) -> None:
    """Raise jsonschema.ValidationError for what Grafana's types do not allow."""
    whole = schema("dashboard")
    for panel in document["panels"]:
        if panel["type"] == "row":
            continue
        # Of a whole dashboard it would only be said that this is neither a panel nor a row.
        jsonschema.validate(panel, {"$ref": "#/definitions/Panel", "definitions": whole["definitions"]})
        jsonschema.validate(panel["options"], schema(f"{panel['type']}-options"))
        custom = panel["fieldConfig"]["defaults"].get("custom", {})
        if of_type := schema(f"{panel['type']}-custom"):
            jsonschema.validate(custom, of_type)
        else:
            assert custom == {}
    jsonschema.validate(document, whole)


def test_the_files_are_renewed() -> None:
    """`make docs` does it."""
    assert {path.name: path.read_text() for path in FOLDER.iterdir()} == {
        board.path.name: board.text() for board in DASHBOARDS
    }


@pytest.mark.parametrize("board", BOARDS)
def test_a_dashboard_is_right_by_grafanas_schema(board: Dashboard) -> None:
    check(board.json())


@pytest.mark.parametrize(
    ("path", "name"),
    [((), "refreshes"), (("panels", 1), "titel"), (("panels", 1, "options"), "legends"), (("links", 0), "href")],
)
def test_a_misspelt_field_is_found(path: tuple[Any, ...], name: str) -> None:
    document = DASHBOARDS[0].json()
    place = document
    for step in path:
        place = place[step]
    place[name] = "x"
    with pytest.raises(jsonschema.ValidationError, match=name):
        check(document)


def test_names_and_uids_are_those_that_bookmarks_have() -> None:
    assert {board.uid: board.title for board in DASHBOARDS} == {
        "auth0-flask-overview": "auth0-flask / Overview",
        "auth0-flask-authentication": "auth0-flask / Authentication",
        "auth0-flask-sessions": "auth0-flask / Sessions and Redis",
        "auth0-flask-runtime": "auth0-flask / Runtime",
    }


@pytest.mark.parametrize("board", BOARDS)
def test_panels_are_beside_each_other_and_have_names_of_their_own(board: Dashboard) -> None:
    panels = board.json()["panels"]
    places = [
        set(itertools.product(range(place["x"], place["x"] + place["w"]), range(place["y"], place["y"] + place["h"])))
        for place in (panel["gridPos"] for panel in panels)
    ]
    assert sum(map(len, places)) == len(set().union(*places))
    # All of them together are a rectangle of the grid's width: nothing overlaps, and there is no hole.
    taken = set().union(*places)
    assert taken == set(itertools.product(range(24), range(max(y for _, y in taken) + 1)))
    for names in ([panel["title"] for panel in panels], [panel["id"] for panel in panels]):
        assert len(names) == len(set(names))


@pytest.mark.parametrize("board", BOARDS)
def test_the_data_source_is_the_one_that_is_chosen(board: Dashboard) -> None:
    sources = re.findall(r'"datasource": \{[^}]*"uid": "([^"]*)"', board.text())
    assert set(sources) == {"${datasource}"}
    assert not re.search(r"https?://", board.text())


@pytest.mark.parametrize("panel", PANELS)
def test_a_panel_says_what_it_shows_and_of_which_app(panel: Panel) -> None:
    assert panel.description.endswith(".")
    for expression in panel.expressions.values():
        assert "$namespace" in expression
        assert not re.search(r"\b(APP|JOB|NAMESPACE)\b", expression)
    assert len(panel.json(1, 0, 0)["targets"]) == len(panel.queries)


@cache
def rules() -> list[dict[str, Any]]:
    """All of deploy/prometheus/rules."""
    groups = [group for path in RULES.glob("*.yml") for group in yaml.safe_load(path.read_text())["groups"]]
    return [rule for group in groups for rule in group["rules"]]


def limits_of(alert: str) -> set[float]:
    """What the alert compares with, in its expression or in those that it is recorded from.

    Of an objective the limits as burn rates and as shares of events, and the time within which an event is a good one.
    """
    found: set[float] = set()
    for rule in (rule for rule in rules() if rule.get("alert") == alert):
        found |= comparisons(rule["expr"])
        for slo in re.findall(r'slo="([a-z-]+)"', rule["expr"]):
            recorded = set(re.findall(r"job:slo_burn:\w+", rule["expr"]))
            burns = set().union(*(comparisons(other["expr"]) for other in rules() if other.get("record") in recorded))
            of_slo = [other for other in rules() if other.get("labels", {}).get("slo") == slo]
            [budget] = [other["expr"] for other in of_slo if other["record"] == "slo:error_budget:ratio"]
            share = 1 - float(re.findall(r"1 - ([0-9.]+)", budget)[0])
            found |= burns | {share} | {burn * share for burn in burns}
            found |= {float(le) for other in rules() for le in re.findall(r'le="([0-9.]+)"', str(other.get("expr")))}
    return found


def comparisons(expression: str) -> set[float]:
    """The numbers behind > and <, which may be products."""
    found = re.findall(r"[<>]=? (\d[\d.]*(?: \* \d[\d.]*)?)", expression)
    return {math.prod(map(float, text.split(" * "))) for text in found}


@pytest.mark.parametrize("panel", [param for param in PANELS if param.values[0].alerts])
def test_a_limit_is_the_alerts_and_links_to_its_section_of_the_runbook(panel: Panel) -> None:
    for limit in panel.limits:
        if limit.alert and limit.value is not None:
            # Grafana's limits begin at the value, and those of alerts after it: it matters where values are whole.
            value = limit.value - (1 if panel.decimals == 0 else 0)
            known = limits_of(limit.alert)
            assert any(math.isclose(value, number) for number in known), (limit, known)
    assert set(panel.alerts) <= {rule.get("alert") for rule in rules()}
    headings = {
        re.sub(r"[^a-z0-9 -]", "", line.lstrip("# ").lower()).replace(" ", "-")
        for line in (ROOT / "docs" / "runbook.md").read_text().splitlines()
        if line.startswith("#")
    }
    for link in panel.json(1, 0, 0)["links"]:
        assert link["url"].partition("docs/runbook.md#")[2] in headings
