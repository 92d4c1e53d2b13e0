"""Shapes of expressions that more than one panel has."""


def rate(counter: str, by: str = "") -> str:
    """Events a second, by labels or in all."""
    return f"sum{f' by ({by})' if by else ''} (rate({counter}[$__rate_interval]))"


def a_minute(counter: str, by: str = "") -> str:
    """Events a minute, for what is rarer."""
    return f"60 * {rate(counter, by)}"


def share(part: str, whole: str) -> str:
    """A part of a whole, 0 to 1; 0 where the part has never happened."""
    return f"({part} or 0 * {whole}) / {whole}"


def quantile(of: float, histogram: str, by: str = "") -> str:
    """A quantile of a histogram, by labels or of all."""
    return f"histogram_quantile({of}, {rate(histogram, f'{by}, le' if by else 'le')})"
