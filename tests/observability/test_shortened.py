"""The rule that shortens rules: everything that is a length of time, and nothing that looks like one."""

import pytest

from tests.observability.shortened import seconds, shortened


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("rate(a_total[5m])", "rate(a_total[5000ms])"),
        ("job:slo_burn:rate5m > 14.4", "job:slo_burn:rate5m > 14.4"),
        ("sum_over_time(job:bad:rate5m[1h30m])", "sum_over_time(job:bad:rate5m[90000ms])"),
        ("increase(a[6h] offset 15m)", "increase(a[360000ms] offset 15000ms)"),
        ("max_over_time(a[10m:30s])", "max_over_time(a[10000ms:500ms])"),
        ('a{url_rule=~"/5m"} < 21 * 86400', 'a{url_rule=~"/5m"} < 21 * 86400'),
    ],
)
def test_lengths_of_time_in_an_expression(expression: str, expected: str) -> None:
    assert shortened({"expr": expression}, 60) == {"expr": expected}


def test_lengths_of_time_of_rules_and_routes_and_no_other_text() -> None:
    rules = {
        "groups": [
            {
                "name": "5m",
                "interval": "2m",
                "rules": [{"alert": "A", "expr": "up == 0", "for": "1m", "annotations": {"summary": "in 5m"}}],
            }
        ]
    }
    group = shortened(rules, 60)["groups"][0]
    assert (group["name"], group["interval"]) == ("5m", "2000ms")
    assert group["rules"] == [{"alert": "A", "expr": "up == 0", "for": "1000ms", "annotations": {"summary": "in 5m"}}]
    route = {"route": {"group_wait": "30s", "routes": [{"repeat_interval": "1d"}]}}
    assert shortened(route, 60) == {"route": {"group_wait": "500ms", "routes": [{"repeat_interval": "1440000ms"}]}}


def test_nothing_gets_shorter_than_a_millisecond() -> None:
    assert shortened({"for": "1ms"}, 60) == {"for": "1ms"}
    assert seconds("1d2h") == 26 * 3600
