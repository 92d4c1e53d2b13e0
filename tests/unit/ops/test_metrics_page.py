"""The page docs/metrics.md, which is made of the declarations."""

import re
from pathlib import Path

import pytest

from app.__main__ import main
from app.auth import failures
from app.ops.metrics import declared

ROOT = Path(__file__).parents[3]
METRICS = [metric for metrics in declared.ALL.values() for metric in metrics]


def test_the_page_is_what_make_docs_makes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["metrics"]) == 0
    assert (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8") == capsys.readouterr().out


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_a_name_tells_the_unit_and_a_counter(metric: declared.Metric) -> None:
    assert re.fullmatch(r"[a-z][a-z0-9_]+", metric.name)
    assert metric.name.endswith("_total") == (metric.kind == "counter")
    assert bool(metric.buckets) == (metric.kind == "histogram")
    assert metric.help.endswith(".")
    assert "\n" not in metric.help


def test_every_declared_metric_is_listed_once() -> None:
    names = [metric.name for metric in METRICS]
    assert len(names) == len(set(names))
    assert {id(value) for value in vars(declared).values() if isinstance(value, declared.Metric)} == set(
        map(id, METRICS)
    )


def test_every_failure_of_a_login_is_a_cause_that_is_somebodys() -> None:
    kinds = {value.cause: value for value in vars(failures).values() if isinstance(value, failures.Failure)}
    assert kinds.keys() <= set(failures.CAUSES)
    assert len(failures.CAUSES) == len(set(failures.CAUSES))
    assert {cause for cause, failure in kinds.items() if failure.operator} <= set(failures.OPERATORS)
    assert not [cause for cause in (*failures.PEOPLES, *failures.PROVIDERS) if cause in kinds and kinds[cause].operator]
