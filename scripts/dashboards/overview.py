"""The first look: are the objectives met, does anything alert, and what do people get."""

from .expressions import a_minute, quantile, rate, share
from .model import BLUE, GREEN, ORANGE, RED, Bars, Dashboard, Limit, Row, Stat, Table, TimeSeries
from .panels import certificate

REQUESTS = "http_request_duration_seconds_count{APP}"
FAILING = 'http_request_duration_seconds_count{APP, status=~"5.."}'
BUCKETS = "http_request_duration_seconds_bucket{APP}"
SLOW = 0.5

OBJECTIVES = Row(
    "Are the objectives met?",
    [
        Bars(
            "Error budget left, 30 days",
            "What is left of the bad events that each objective allows within 30 days: 100 % is all of it; below 0 % "
            "the objective is missed. docs/slo.md says what counts.",
            "percentunit",
            {"{{slo}}": "min by (slo) (job:slo_budget_left:ratio30d{JOB})"},
            limits=[Limit(0), Limit(0.25, colour=ORANGE)],
            low_is_bad=True,
            maximum=1,
            decimals=1,
        ),
        TimeSeries(
            "How fast the budgets burn, over an hour",
            "At 1 a month's budget lasts a month, at 14.4 two days: that is a page. Longer windows have lower limits, "
            "the lowest 1 over three days.",
            "none",
            {"{{slo}}": "max by (slo) (job:slo_burn:rate1h{JOB})"},
            limits=[Limit(14.4, alert) for alert in ("PagesFailing", "PagesSlow", "LoginsFailing", "LoginsSlow")],
        ),
        Table(
            "Alerts that fire",
            "What Prometheus has told Alertmanager; the runbook has a section for each. Empty is good.",
            "none",
            {
                "": "group by (alertname, severity, instance) "
                '(ALERTS{alertstate="firing", severity!="none", namespace=~"$namespace"})'
            },
            rows={"alertname": "Alert", "severity": "Severity", "instance": "Where"},
            flag=True,
        ),
    ],
)
GLANCE = Row(
    "What do people get?",
    [
        Stat("Requests", "Answered by the app.", "reqps", {"": rate(REQUESTS)}, decimals=1),
        Stat(
            "Failing",
            "The share of requests that is answered with 5xx.",
            "percentunit",
            {"": share(rate(FAILING), rate(REQUESTS))},
            limits=[Limit(0.001, colour=ORANGE), Limit(0.0144, "PagesFailing")],
            decimals=2,
        ),
        Stat(
            "Slowest hundredth",
            "One request in a hundred takes this long or longer, whatever the route.",
            "s",
            {"": quantile(0.99, BUCKETS)},
            limits=[Limit(SLOW, "PagesSlow", ORANGE)],
        ),
        Stat(
            "People signed in",
            "Logins that ended in a session, a minute.",
            "none",
            {"": a_minute("auth_logins_completed_total{APP}")},
            decimals=1,
        ),
        Stat(
            "Being answered",
            "Requests in progress, in all processes.",
            "none",
            {"": "sum(http_requests_in_flight{APP})"},
        ),
        certificate(),
    ],
)
DETAILS = Row(
    "Which requests?",
    [
        TimeSeries(
            "Requests by status",
            "Answered by the app, by the class of the status.",
            "reqps",
            {
                "{{class}}": "sum by (class) (label_replace("
                f'rate({REQUESTS}[$__rate_interval]), "class", "${{1}}xx", "status", "(.).."))'
            },
            colours={"2xx": GREEN, "3xx": BLUE, "4xx": ORANGE, "5xx": RED},
            stacked=True,
        ),
        TimeSeries(
            "Failing by route",
            "5xx answers, by route.",
            "reqps",
            {"{{url_rule}} {{status}}": f"{rate(FAILING, 'url_rule, status')} > 0"},
            stacked=True,
        ),
        TimeSeries(
            "How long requests take",
            "From the first line of the request to the response, all routes together. The objective for pages is half "
            "a second.",
            "s",
            {
                "half of them": quantile(0.5, BUCKETS),
                "19 in 20": quantile(0.95, BUCKETS),
                "99 in 100": quantile(0.99, BUCKETS),
            },
            limits=[Limit(SLOW, "PagesSlow", ORANGE)],
        ),
        Table(
            "Routes",
            "Each route of the table of routes; what matches none is `unmatched`.",
            "reqps",
            {
                "Requests": f"{rate(REQUESTS, 'url_rule')} > 0",
                "Failing": share(rate(FAILING, "url_rule"), rate(REQUESTS, "url_rule")),
                "Half of them": quantile(0.5, BUCKETS, "url_rule"),
                "99 in 100": quantile(0.99, BUCKETS, "url_rule"),
            },
            width=16,
            rows={"url_rule": "Route"},
            units={"Failing": "percentunit", "Half of them": "s", "99 in 100": "s"},
        ),
        TimeSeries(
            "Turned away",
            "503 where too many came at once: at the door, where they have no route yet, or for want of a thread. 504 "
            "where one took too long. All but those at the door are answers of a route, and shown there as well.",
            "reqps",
            {
                "too many, at the {{at}}": rate("server_requests_refused_total{APP}", "at"),
                "took too long": rate("server_requests_timed_out_total{APP}"),
            },
            limits=[Limit(None, "RequestsRefused")],
        ),
    ],
)
DASHBOARD = Dashboard(
    "overview",
    "auth0-flask / Overview",
    "Objectives and what is left of their error budgets; requests: how many, how many fail, how long they take.",
    [OBJECTIVES, GLANCE, DETAILS],
)
