"""What a dashboard is made of, and Grafana's JSON of it (its classic schema, which Grafana 9 and newer read).

In an expression `APP`, `JOB` and `NAMESPACE` stand for the selectors of the dashboard's variables. What the app exposes
is selected by `APP`, recording rules by `JOB`, and what exporters expose by `NAMESPACE`, because their job and their
instance are others. A machine has no namespaces: a variable without values is "All", which matches a missing label.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

FOLDER = Path(__file__).resolve().parents[2] / "deploy" / "grafana" / "dashboards"
SELECTORS = {
    "{APP}": '{job=~"$job", namespace=~"$namespace", instance=~"$instance"}',
    "{JOB}": '{job=~"$job", namespace=~"$namespace"}',
    "{NAMESPACE}": '{namespace=~"$namespace"}',
}
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
GREEN, ORANGE, RED, BLUE, GREY = "green", "orange", "red", "blue", "#8e8e8e"
_COLUMNS = 24
_RUNBOOK = "${documentation}docs/runbook.md"
Json = dict[str, Any]


@dataclass(frozen=True)
class Limit:
    """A value from which on, or below which, a panel changes its colour; *alert* is the one that has the same.

    Without a value there is only the link to the alert's section of the runbook: anything above 0 needs no line.
    """

    value: float | None
    alert: str = ""
    colour: str = RED


@dataclass(frozen=True)
class Panel:
    """One picture: `queries` are expressions by their legends; sizes are in Grafana's 24 columns and rows of 30 px."""

    title: str
    description: str
    unit: str
    queries: Mapping[str, str]
    width: int = 8
    height: int = 8
    limits: Sequence[Limit] = ()
    # Whether low values are the bad ones.
    low_is_bad: bool = False
    colours: Mapping[str, str] = field(default_factory=dict)
    maximum: float | None = None
    decimals: int | None = None
    # What a number means, where it is one of a few: `{0: ("closed", GREEN)}`.
    words: Mapping[int, tuple[str, str]] = field(default_factory=dict)

    kind: ClassVar[str]
    instant: ClassVar[bool] = False

    @property
    def expressions(self) -> dict[str, str]:
        """The queries with the variables' selectors, by legend."""
        return {legend: _selected(expression) for legend, expression in self.queries.items()}

    @property
    def alerts(self) -> list[str]:
        """The alerts whose limits are shown."""
        return list(dict.fromkeys(limit.alert for limit in self.limits if limit.alert))

    def steps(self) -> list[tuple[float | None, str]]:
        """The colours from below, each with the value that it begins at; none where there is no limit with a value."""
        limits = sorted({(limit.value, limit.colour) for limit in self.limits if limit.value is not None})
        if not limits:
            return []
        values, colours = zip(*limits, strict=True)
        colours = (*colours, GREEN) if self.low_is_bad else (GREEN, *colours)
        return list(zip((None, *values), colours, strict=True))

    def json(self, number: int, x: int, y: int) -> Json:
        """Grafana's panel at a place of the grid."""
        return {
            "id": number,
            "type": self.kind,
            "title": self.title,
            "description": self.description,
            "datasource": SOURCE,
            "gridPos": {"x": x, "y": y, "w": self.width, "h": self.height},
            "targets": list(self._targets()),
            "fieldConfig": {"defaults": self._defaults(), "overrides": list(self._overrides())},
            "options": self._options(),
            "links": [
                {
                    **_LINK,
                    "type": "link",
                    "title": f"Runbook: {alert}",
                    "url": f"{_RUNBOOK}#{alert.lower()}",
                    "targetBlank": True,
                }
                for alert in self.alerts
            ],
        }

    def _targets(self) -> Iterator[Json]:
        for letter, (legend, expression) in zip("ABCDEFGH", self.expressions.items(), strict=False):
            yield {
                "refId": letter,
                "datasource": SOURCE,
                "expr": expression,
                "legendFormat": legend,
                "instant": self.instant,
                "range": not self.instant,
                **({"format": "table"} if self.kind == "table" else {}),
            }

    def _defaults(self) -> Json:
        defaults: Json = {"unit": self.unit, "min": 0}
        if self.steps():
            steps = [{"value": value, "color": colour} for value, colour in self.steps()]
            defaults["thresholds"] = {"mode": "absolute", "steps": steps}
        if self.maximum is not None:
            defaults["max"] = self.maximum
        if self.decimals is not None:
            defaults["decimals"] = self.decimals
        if self.words:
            options = {
                str(number): {"text": text, "color": colour, "index": index}
                for index, (number, (text, colour)) in enumerate(self.words.items())
            }
            defaults["mappings"] = [{"type": "value", "options": options}]
        return defaults

    def _overrides(self) -> Iterator[Json]:
        for name, colour in self.colours.items():
            fixed = {"id": "color", "value": {"mode": "fixed", "fixedColor": colour}}
            yield {"matcher": {"id": "byName", "options": name}, "properties": [fixed]}

    def _options(self) -> Json:
        raise NotImplementedError


@dataclass(frozen=True)
class TimeSeries(Panel):
    """Lines over time; `stacked` ones add up."""

    stacked: bool = False
    kind: ClassVar[str] = "timeseries"

    def _defaults(self) -> Json:
        custom: Json = {
            "drawStyle": "line",
            "lineWidth": 1 if self.stacked else 2,
            "fillOpacity": 30 if self.stacked else 6,
            "showPoints": "never",
            "stacking": {"mode": "normal" if self.stacked else "none", "group": "A"},
        }
        if self.steps():
            custom["thresholdsStyle"] = {"mode": "dashed"}
        return super()._defaults() | {"custom": custom, "color": {"mode": "palette-classic"}}

    def _options(self) -> Json:
        return {
            "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
            "tooltip": {"mode": "multi", "sort": "desc"},
        }


@dataclass(frozen=True)
class Stat(Panel):
    """The last number, large, over its course."""

    width: int = 4
    height: int = 4
    kind: ClassVar[str] = "stat"

    def _defaults(self) -> Json:
        colour = {"mode": "thresholds"} if self.steps() or self.words else {"mode": "fixed", "fixedColor": BLUE}
        return super()._defaults() | {"color": colour}

    def _options(self) -> Json:
        return {
            "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
            "graphMode": "none" if self.words else "area",
            "colorMode": "value",
            "justifyMode": "auto",
            "orientation": "auto",
            "textMode": "value" if len(self.queries) == 1 and "" in self.queries else "auto",
            "wideLayout": True,
            "showPercentChange": False,
            "percentChangeColorMode": "standard",
        }


@dataclass(frozen=True)
class Bars(Panel):
    """The last number of each series as a bar."""

    kind: ClassVar[str] = "bargauge"
    instant: ClassVar[bool] = True

    def _defaults(self) -> Json:
        colour = {"mode": "thresholds"} if self.steps() else {"mode": "fixed", "fixedColor": BLUE}
        return super()._defaults() | {"color": colour}

    def _options(self) -> Json:
        return {
            "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
            "displayMode": "basic",
            "orientation": "horizontal",
            "valueMode": "color",
            "namePlacement": "auto",
            "sizing": "auto",
            "minVizWidth": 8,
            "minVizHeight": 16,
            "maxVizHeight": 300,
            "showUnfilled": True,
            "legend": {"displayMode": "list", "placement": "bottom", "showLegend": False, "calcs": []},
        }


@dataclass(frozen=True)
class Table(Panel):
    """A row for each series of all queries together, with the labels of `rows` and a column for each query.

    `units` are those of the columns where they are others than the panel's; `flag` is for one query that only says that
    something is there: its value is left out.
    """

    rows: Mapping[str, str] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)
    flag: bool = False
    kind: ClassVar[str] = "table"
    instant: ClassVar[bool] = True

    def json(self, number: int, x: int, y: int) -> Json:
        """Grafana's panel, with the transformations that make one table of the queries."""
        columns = {f"Value #{letter}": legend for letter, legend in zip("ABCDEFGH", self.queries, strict=False)}
        if len(columns) == 1:
            # Grafana numbers values only where there are several.
            columns["Value"] = columns["Value #A"]
        organize = {
            "excludeByName": dict.fromkeys(["Time", *(columns if self.flag else [])], True),
            "indexByName": {name: index for index, name in enumerate((*self.rows, *columns))},
            "renameByName": {**self.rows, **({} if self.flag else columns)},
        }
        return super().json(number, x, y) | {
            "transformations": [{"id": "merge", "options": {}}, {"id": "organize", "options": organize}]
        }

    def _defaults(self) -> Json:
        custom = {"align": "auto", "inspect": False, "cellOptions": {"type": "auto"}}
        return super()._defaults() | {"custom": custom}

    def _overrides(self) -> Iterator[Json]:
        yield from super()._overrides()
        for name, unit in self.units.items():
            yield {"matcher": {"id": "byName", "options": name}, "properties": [{"id": "unit", "value": unit}]}

    def _options(self) -> Json:
        first = [] if self.flag else [{"displayName": next(iter(self.queries)), "desc": True}]
        return {"showHeader": True, "cellHeight": "sm", "frameIndex": 0, "sortBy": first}


@dataclass(frozen=True)
class Row:
    """A question, and the panels that answer it."""

    title: str
    panels: Sequence[Panel]


@dataclass(frozen=True)
class Dashboard:
    """One dashboard. `name` is its file's and the end of its uid, which links and bookmarks rely on."""

    name: str
    title: str
    description: str
    rows: Sequence[Row]

    @property
    def uid(self) -> str:
        """Stable over versions."""
        return f"auth0-flask-{self.name}"

    @property
    def path(self) -> Path:
        """The file that Grafana is given."""
        return FOLDER / f"{self.name}.json"

    @property
    def panels(self) -> list[Panel]:
        """All of them."""
        return [panel for row in self.rows for panel in row.panels]

    def text(self) -> str:
        """The file's content."""
        return json.dumps(self.json(), indent=2, ensure_ascii=False) + "\n"

    def json(self) -> Json:
        """Grafana's dashboard."""
        return {
            "uid": self.uid,
            "title": self.title,
            "description": self.description,
            "tags": [_TAG],
            "editable": False,
            "graphTooltip": 1,
            "schemaVersion": 39,
            "refresh": "30s",
            "time": {"from": "now-3h", "to": "now"},
            "timezone": "browser",
            "links": [
                {**_LINK, "type": "dashboards", "title": "auth0-flask", "tags": [_TAG], "keepTime": True},
                {**_LINK, "type": "link", "title": "Runbook", "url": _RUNBOOK, "icon": "doc", "targetBlank": True},
            ],
            "templating": {"list": VARIABLES},
            "panels": list(self._placed()),
        }

    def _placed(self) -> Iterator[Json]:
        """Rows below each other; panels beside each other, as many as fit."""
        number, y = 0, 0
        for row in self.rows:
            number += 1
            place = {"x": 0, "y": y, "w": _COLUMNS, "h": 1}
            yield {
                "id": number,
                "type": "row",
                "title": row.title,
                "collapsed": False,
                "gridPos": place,
                "panels": [],
            }
            x, y, lowest = 0, y + 1, y + 1
            for panel in row.panels:
                if x + panel.width > _COLUMNS:
                    x, y = 0, lowest
                number += 1
                yield panel.json(number, x, y)
                x, lowest = x + panel.width, max(lowest, y + panel.height)
            y = lowest


def _selected(expression: str) -> str:
    for name, selector in SELECTORS.items():
        expression = expression.replace(name, selector)
    # Among other matchers.
    for name, selector in SELECTORS.items():
        expression = expression.replace(f"{name[1:-1]},", f"{selector[1:-1]},")
    return expression


def _from_labels(name: str, title: str, metric: str) -> Json:
    """A variable with the values of a label, or all of them."""
    return {
        "name": name,
        "label": title,
        "type": "query",
        "datasource": SOURCE,
        "query": {"qryType": 1, "query": f"label_values({_selected(metric)}, {name})", "refId": name},
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        # Also what has no such label.
        "allValue": ".*",
        "current": {"text": ["All"], "value": ["$__all"]},
    }


_TAG = "auth0-flask"
# What the schema wants of every link.
_LINK: Json = {
    **{"title": "", "url": "", "type": "link", "icon": "external link", "tooltip": "", "tags": []},
    **{"asDropdown": False, "targetBlank": False, "includeVars": False, "keepTime": False},
}
VARIABLES: list[Json] = [
    {
        "name": "datasource",
        "label": "Data source",
        "type": "datasource",
        "query": "prometheus",
        "refresh": 1,
    },
    _from_labels("namespace", "Namespace", "app_info"),
    _from_labels("job", "Job", "app_info{NAMESPACE}"),
    _from_labels("instance", "Instance", "app_info{JOB}"),
    # What the links to the runbook begin with: where this repository is to be read.
    {
        "name": "documentation",
        "type": "constant",
        "hide": 2,
        "query": "",
        "current": {"text": "", "value": ""},
        "skipUrlSync": True,
    },
]
