"""The bar chart of the page, as SVG by hand: a plotting library would be the tests' largest dependency."""

from collections.abc import Sequence
from html import escape

from .figures import Figure

_WIDTH, _LABELS, _VALUES = 860, 300, 150
_ROW, _BAR, _TOP = 30, 16, 44
_STYLE = """
  text { font: 13px system-ui, sans-serif; fill: #1f2328 }
  .title { font-weight: 600; font-size: 15px }
  .ours { fill: #0a7a5c } .other { fill: #8c959f } .range { stroke: #1f2328; stroke-width: 1.5 }
  .page { fill: #fff }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 } .page { fill: #0d1117 } .range { stroke: #e6edf3 } .ours { fill: #2ea97f }
  }
"""


def bars(title: str, rows: Sequence[tuple[str, Figure, bool]]) -> str:
    """An SVG with a bar for each row: what it is, its figure, and whether it is this project's."""
    scale = (_WIDTH - _LABELS - _VALUES) / max(value.high for _, value, _ in rows)
    height = _TOP + _ROW * len(rows) + 12
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img" aria-labelledby="title">',
        f'<title id="title">{escape(title)}</title>',
        f"<style>{_STYLE}</style>",
        f'<rect class="page" width="{_WIDTH}" height="{height}"/>',
        f'<text class="title" x="12" y="26">{escape(title)}</text>',
    ]
    for number, (label, value, ours) in enumerate(rows):
        y = _TOP + number * _ROW
        middle = y + _BAR / 2
        low, high = _LABELS + value.low * scale, _LABELS + value.high * scale
        parts += [
            f'<text x="{_LABELS - 10}" y="{middle + 5:g}" text-anchor="end">{escape(label)}</text>',
            f'<rect class="{"ours" if ours else "other"}" x="{_LABELS}" y="{y}" '
            f'width="{value.median * scale:.1f}" height="{_BAR}" rx="2"/>',
            f'<path class="range" d="M{low:.1f} {middle:g}H{high:.1f}M{low:.1f} {y + 4}v{_BAR - 8}'
            f'M{high:.1f} {y + 4}v{_BAR - 8}"/>',
            f'<text x="{high + 8:.1f}" y="{middle + 5:g}">{value.median:,.0f}</text>',
        ]
    return "\n".join([*parts, "</svg>", ""])
