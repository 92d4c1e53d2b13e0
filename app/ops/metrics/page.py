"""The page docs/metrics.md, made of the declarations."""

from app.auth import failures

from .declared import ALL, Metric, Values

_HEADING = """\
# Metrics

Made by `make docs` from `app/ops/metrics/declared.py`; change it there.

`/metrics` on the port of `METRICS_BIND` (9464), in Prometheus' text format or in OpenMetrics. One gunicorn serves the
sums of all its workers there, also of those that have ended: a counter never goes back because a worker was recycled or
killed, and what a dead worker last said of itself (its threads, its connections) is gone with it.

Counters are there from the start, at zero for each value of their labels, so that `increase` sees the first event; a
histogram with labels appears with its first observation. No label has a value that a stranger chooses, or one that says
who somebody is: scanners add no series. Metrics that pages add stand beside these ([pages.md](pages.md)).

Exemplars are not in it: prometheus_client keeps none where several workers write. The histogram of a route says when to
look, and the `trace_id` of a request's line in the log leads to its trace.
"""

_CAUSES = """
### Causes of failed logins

| whose | `cause` |
|---|---|
| lies with the person, or with a rule: nothing is out of order | {peoples} |
| lies with the provider, or on the way to it | {providers} |
| lies with this app: the operator has to do something | {operators} |

`needs_the_person` is a silent sign-in (`AUTH0_SILENT_LOGIN`) that the provider cannot do without asking: the page is
shown to somebody who is not signed in.
"""


def markdown() -> str:
    """The whole page."""
    parts = [_HEADING]
    for title, metrics in ALL.items():
        rows = "".join(_row(metric) for metric in metrics)
        parts.append(f"\n## {title}\n\n| name | type | unit | labels | meaning |\n|---|---|---|---|---|\n{rows}")
    return "".join(parts) + _CAUSES.format(
        peoples=_values(failures.PEOPLES),
        providers=_values(failures.PROVIDERS),
        operators=_values(failures.OPERATORS),
    )


def _row(metric: Metric) -> str:
    labels = "<br>".join(f"`{name}`: {_values(values)}" for name, values in metric.labels.items())
    only = f" With `SESSION_BACKEND={metric.backend}` only." if metric.backend else ""
    buckets = f" Buckets: {', '.join(f'{bound:g}' for bound in metric.buckets)}." if metric.buckets else ""
    workers = " The highest of all workers." if metric.across == "livemax" else ""
    return f"| `{metric.name}` | {metric.kind} | {_unit(metric)} | {labels} | {metric.help}{workers}{buckets}{only} |\n"


def _unit(metric: Metric) -> str:
    name = metric.name.removesuffix("_total")
    return next((unit for unit in ("seconds", "bytes") if name.endswith(f"_{unit}")), "")


def _values(values: Values) -> str:
    return values if isinstance(values, str) else ", ".join(f"`{value}`" for value in values)
