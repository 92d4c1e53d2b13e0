"""Rules and routing with a shorter day: every length of time divided by the same number, and nothing else changed."""

import math
import re
from collections.abc import Mapping
from typing import Any

_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800, "y": 31_536_000}
_PART = r"(\d+)(ms|[smhdwy])"
_DURATION = re.compile(rf"(?:{_PART})+")
# In an expression only a range, a step of a subquery, and an offset are lengths of time; names may look like one.
_IN_EXPRESSION = re.compile(rf"(?<=\[)(?:{_PART})+(?=[\]:])|(?<=:)(?:{_PART})+(?=\])|(?<=offset )(?:{_PART})+")
_FIELDS = {"for", "keep_firing_for", "interval", "group_wait", "group_interval", "repeat_interval"}


def seconds(duration: str) -> float:
    """A length of time in Prometheus' notation, `1h30m`."""
    assert _DURATION.fullmatch(duration), duration
    return sum(int(number) * _SECONDS[unit] for number, unit in re.findall(_PART, duration))


def shortened(document: Any, divisor: float) -> Any:
    """A copy of a file of rules, or of Alertmanager's configuration, in which a minute lasts a minute by *divisor*."""
    if isinstance(document, Mapping):
        return {name: _field(name, value, divisor) for name, value in document.items()}
    if isinstance(document, list):
        return [shortened(item, divisor) for item in document]
    return document


def _field(name: str, value: Any, divisor: float) -> Any:
    if name in _FIELDS and isinstance(value, str):
        return _divided(value, divisor)
    if name == "expr":
        return _IN_EXPRESSION.sub(lambda found: _divided(found[0], divisor), value)
    return shortened(value, divisor)


def _divided(duration: str, divisor: float) -> str:
    return f"{max(1, math.ceil(seconds(duration) * 1000 / divisor))}ms"
