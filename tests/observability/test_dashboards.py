"""Every query of every dashboard, asked of a real Prometheus after a real run of the app: each has an answer."""

import math
import time
from collections.abc import Iterator

import pytest

from scripts.dashboards import DASHBOARDS
from scripts.dashboards.model import VARIABLES, Panel
from tests.observability.queries import ALL, Choice, filled, values_of
from tests.observability.scene import CLUSTER, Scene, scene, use
from tests.servers.prometheus import Prometheus

PANELS = [pytest.param(panel, id=f"{board.name}: {panel.title}") for board in DASHBOARDS for panel in board.panels]
# From the last thing that happened to the last rule that has heard of it.
ANSWER_SECONDS = 60


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """Everything, after a day of use within some seconds."""
    with scene(tmp_path_factory.mktemp("scene")) as running:
        use(running)
        yield running


@pytest.fixture(scope="module")
def choices(used: Scene) -> dict[str, Choice]:
    """What somebody chooses from the variables' values: on one machine all, in a cluster the app or one replica."""
    [instance] = values_of(used.prometheus, "instance", ALL)
    return {
        "one machine": Choice(namespace="", job="app", instance=".*"),
        "everything": ALL,
        "a cluster's app": Choice(**CLUSTER, instance=".*"),
        "one replica": Choice(**CLUSTER, instance=instance),
    }


@pytest.fixture(scope="module")
def deadline(used: Scene) -> float:
    """Until when a query may be without an answer."""
    return time.monotonic() + ANSWER_SECONDS


def answer(server: Prometheus, expression: str, deadline: float) -> list[float]:
    """The numbers that a query comes to, as soon as there is one."""
    while True:
        numbers = [float(sample["value"][1]) for sample in server.query(expression)]
        numbers = [number for number in numbers if not math.isnan(number)]
        if numbers or time.monotonic() > deadline:
            return numbers
        time.sleep(0.2)


@pytest.mark.parametrize("where", ["one machine", "everything", "a cluster's app", "one replica"])
@pytest.mark.parametrize("panel", PANELS)
def test_every_query_of_a_panel_has_an_answer(
    used: Scene, choices: dict[str, Choice], deadline: float, panel: Panel, where: str
) -> None:
    for legend, expression in panel.expressions.items():
        asked = filled(expression, choices[where])
        numbers = answer(used.prometheus, asked, deadline)
        assert numbers, f"{legend or 'the query'}: {asked}"
        assert all(map(math.isfinite, numbers)), f"{legend}: {asked} is {numbers}"


def test_the_variables_offer_what_there_is(used: Scene) -> None:
    server = used.prometheus
    assert [variable["name"] for variable in VARIABLES if variable["type"] == "query"] == [
        "namespace",
        "job",
        "instance",
    ]
    assert values_of(server, "namespace", ALL) == [CLUSTER["namespace"]]
    assert values_of(server, "job", ALL) == sorted(["app", CLUSTER["job"]])
    assert values_of(server, "job", Choice(namespace=CLUSTER["namespace"], job=".*", instance=".*")) == [CLUSTER["job"]]
    assert len(values_of(server, "instance", Choice(namespace=".*", job="app", instance=".*"))) == 1
    assert values_of(server, "instance", Choice(namespace=".*", job="another", instance=".*")) == []


def test_what_is_chosen_counts(used: Scene) -> None:
    """Panels of an app that is not there stay empty: every expression has the selectors."""
    nobody = Choice(namespace="another", job="another", instance="another")
    for board in DASHBOARDS:
        for panel in board.panels:
            for expression in panel.expressions.values():
                assert used.prometheus.query(filled(expression, nobody)) == [], f"{panel.title}: {expression}"
