"""What Grafana makes of an expression before it asks Prometheus, and of a variable's query."""

import re
from dataclasses import asdict, dataclass

from scripts.dashboards.model import VARIABLES
from tests.servers.prometheus import Prometheus

_QUERY = re.compile(r"label_values\((?P<match>.*), (?P<label>\w+)\)")


@dataclass(frozen=True)
class Choice:
    """Values of the variables, as regular expressions."""

    namespace: str
    job: str
    instance: str


ALL = Choice(namespace=".*", job=".*", instance=".*")


def filled(expression: str, choice: Choice, *, interval: str = "5m", over: str = "5m") -> str:
    """An expression with the variables' values, and with the time between points and the time that is shown."""
    values = {"__rate_interval": interval, "__range": over, **asdict(choice)}
    for name, value in values.items():
        expression = re.sub(rf"\${name}\b", lambda _, value=value: value, expression)  # type: ignore[misc]
    return expression


def values_of(server: Prometheus, name: str, choice: Choice) -> list[str]:
    """What a variable offers, sorted, after *choice* of the others."""
    [variable] = [variable for variable in VARIABLES if variable["name"] == name]
    query = _QUERY.fullmatch(variable["query"]["query"])
    assert query
    return sorted(server.label_values(query["label"], filled(query["match"], choice)))
