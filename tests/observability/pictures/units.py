"""Numbers as Grafana writes them, for the units that the dashboards have."""

import math

_DURATIONS = ((604_800, "weeks"), (86_400, "days"), (3_600, "hours"), (60, "min"), (1, "s"), (0.001, "ms"), (0, "µs"))
_SIZES = ((1024**3, "GiB"), (1024**2, "MiB"), (1024, "KiB"), (0, "B"))


def shown(value: float, unit: str, decimals: int | None = None) -> str:
    """A value with its unit."""
    if math.isnan(value):
        return "–"
    if value == 0 and unit in ("s", "bytes"):
        return "0"
    if unit == "percentunit":
        return f"{_short(100 * value, decimals)} %"
    if unit == "s":
        return _in(value, _DURATIONS, decimals)
    if unit == "bytes":
        return _in(value, _SIZES, decimals)
    return f"{_short(value, decimals)}{' req/s' if unit == 'reqps' else ''}"


def _in(value: float, units: tuple[tuple[float, str], ...], decimals: int | None) -> str:
    size, name = next((size, name) for size, name in units if abs(value) >= size)
    return f"{_short(value / (size or (1e-6 if name == 'µs' else 1)), decimals)} {name}"


def _short(value: float, decimals: int | None) -> str:
    if decimals is None:
        decimals = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
        return f"{value:.{decimals}f}".rstrip("0").rstrip(".") if decimals else f"{value:.0f}"
    return f"{value:,.{decimals}f}"
