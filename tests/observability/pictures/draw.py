"""A dashboard as a page: Grafana's grid in CSS, its panels as SVG and tables."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape

from scripts.dashboards.model import Bars, Dashboard, Panel, Stat, Table, TimeSeries

from .units import shown

WIDTH = 1480
_CELL, _GAP, _ROW = 60, 8, 30
COLOURS = {"green": "#3d8b40", "orange": "#d9730d", "red": "#c9243f", "blue": "#2f6fd6"}
PALETTE = ("#3d8b40", "#d9a406", "#2f6fd6", "#d9730d", "#c9243f", "#8a4fc0", "#1a8f8f", "#8e8e8e")
_STYLE = """
  * { box-sizing: border-box } body { margin: 0; padding: 16px; background: #f4f5f7; color: #1f2328; width: %dpx;
  font: 13px system-ui, sans-serif } h1 { font-size: 18px; margin: 0 0 2px } p { margin: 0 0 10px; color: #57606a }
  h2 { font-size: 14px; margin: 12px 0 6px; font-weight: 600 } .row { display: grid; gap: 8px;
  grid-template-columns: repeat(24, 1fr); grid-auto-rows: 30px }
  .panel { background: #fff; border: 1px solid #d8dce1; border-radius: 4px; padding: 8px 10px; overflow: hidden;
  display: flex; flex-direction: column; min-width: 0 }
  h3 { font-size: 12.5px; margin: 0 0 4px; flex: none; font-weight: 600; white-space: nowrap; overflow: hidden;
  text-overflow: ellipsis } .legend { color: #57606a; font-size: 11.5px; display: flex; flex-wrap: wrap; gap: 0 12px;
  max-height: 34px; overflow: hidden } .legend i { display: inline-block; width: 10px; height: 3px; margin-right: 5px;
  vertical-align: 3px } svg { display: block; flex: 1; min-height: 0; width: 100%% } svg text { font: 11px system-ui,
  sans-serif; fill: #57606a } .stat { flex: 1; display: flex; align-items: center; justify-content: center;
  font-size: 28px; font-weight: 600 } table { border-collapse: collapse; width: 100%%; font-size: 12px }
  th, td { text-align: left; padding: 3px 8px 3px 0; border-bottom: 1px solid #e7eaee; white-space: nowrap }
  th { color: #57606a; font-weight: 600 } .bar { display: flex; align-items: center; gap: 10px; margin: 5px 0 }
  .bar span { width: 150px; text-align: right; color: #57606a } .bar b { width: 72px; white-space: nowrap }
  .bar div { flex: 1; height: 18px;
  background: #eceff2; border-radius: 2px } .bar div div { height: 100%% } .none { color: #8e8e8e; margin: auto }
"""
Points = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Series:
    """What one query came to for one set of labels: its points over the time that is shown, or the last one."""

    query: str
    labels: Mapping[str, str]
    points: Points

    @property
    def name(self) -> str:
        """The legend."""
        return re.sub(r"\{\{(\w+)\}\}", lambda found: self.labels.get(found[1], ""), self.query)

    @property
    def last(self) -> float:
        """The last number that is one."""
        return next((value for _, value in reversed(self.points) if not math.isnan(value)), math.nan)


def page(dashboard: Dashboard, series: Mapping[str, Sequence[Series]], start: float, end: float) -> str:
    """HTML of a dashboard with the series of each panel by its title."""
    parts = [f"<!doctype html><meta charset=utf-8><style>{_STYLE % WIDTH}</style>"]
    parts += [f"<h1>{escape(dashboard.title)}</h1><p>{escape(dashboard.description)}</p>"]
    for row in dashboard.rows:
        parts.append(f"<h2>{escape(row.title)}</h2><div class=row>")
        for panel in row.panels:
            # Grafana's rows have a gap in them too.
            place = f"grid-column: span {panel.width}; grid-row: span {panel.height * 3 // 4 + 1}"
            body = "".join(_body(panel, series[panel.title], start, end))
            parts.append(f'<div class=panel style="{place}"><h3>{escape(panel.title)}</h3>{body}</div>')
        parts.append("</div>")
    return "\n".join(parts)


def _body(panel: Panel, series: Sequence[Series], start: float, end: float) -> Iterator[str]:
    if not series:
        yield "<span class=none>nothing, which is good</span>"
    elif isinstance(panel, Table):
        yield from _table(panel, series)
    elif isinstance(panel, Bars):
        yield from _bars(panel, series)
    elif isinstance(panel, Stat):
        yield from _stat(panel, series[0])
    elif isinstance(panel, TimeSeries):
        yield from _lines(panel, series, start, end)


def _colour(panel: Panel, value: float) -> str:
    found = "blue"
    for step, colour in panel.steps():
        if step is None or value >= step:
            found = colour
    return COLOURS[found]


def _stat(panel: Panel, series: Series) -> Iterator[str]:
    value = series.last
    if panel.words and not math.isnan(value):
        text, colour = panel.words[int(value)][0], COLOURS[panel.words[int(value)][1]]
    else:
        text, colour = shown(value, panel.unit, panel.decimals), _colour(panel, value)
    yield f'<div class=stat style="color: {colour}">{escape(text)}</div>'


def _bars(panel: Panel, series: Sequence[Series]) -> Iterator[str]:
    most = panel.maximum or max(one.last for one in series) or 1
    for one in series:
        share = max(0.0, min(1.0, one.last / most)) * 100
        colour = _colour(panel, one.last)
        yield f"<div class=bar><span>{escape(one.name)}</span><div><div "
        yield f'style="width: {share:.1f}%; background: {colour}"></div></div>'
        yield f'<b style="color: {colour}">{shown(one.last, panel.unit, panel.decimals)}</b></div>'


def _table(panel: Table, series: Sequence[Series]) -> Iterator[str]:
    columns = [] if panel.flag else list(panel.queries)
    rows: dict[tuple[str, ...], dict[str, float]] = {}
    for one in series:
        rows.setdefault(tuple(one.labels.get(label, "") for label in panel.rows), {})[one.query] = one.last
    yield "<table><tr>" + "".join(f"<th>{escape(name)}</th>" for name in (*panel.rows.values(), *columns)) + "</tr>"
    first = columns[0] if columns else ""
    for labels, values in sorted(rows.items(), key=lambda row: (-row[1].get(first, 0.0), row[0])):
        cells = [
            *labels,
            *(shown(values.get(name, math.nan), panel.units.get(name, panel.unit)) for name in columns),
        ]
        yield "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>"
    yield "</table>"


def _lines(panel: TimeSeries, series: Sequence[Series], start: float, end: float) -> Iterator[str]:
    width, height = panel.width * _CELL, (panel.height * 3 // 4 + 1) * (_ROW + _GAP) - 84
    left, bottom = 62, 18
    coloured = [
        (one, COLOURS.get(panel.colours.get(one.name, ""), panel.colours.get(one.name, PALETTE[number % len(PALETTE)])))
        for number, one in enumerate(series)
    ]
    stacks = _stacked(series) if panel.stacked else [one.points for one in series]
    limits = [value for value, _ in panel.steps() if value is not None]
    values = [value for points in stacks for _, value in points if not math.isnan(value)]
    most = max(values, default=0.0)
    # A limit is drawn where the numbers come near it.
    wanted = max([most, *(limit for limit in limits if limit <= 2.5 * most)]) or max([1.0, *limits])
    step = 1024.0 ** math.floor(math.log(wanted, 1024)) if panel.unit == "bytes" else 1.0
    top = _round_up(wanted / step) * step

    def x(time: float) -> float:
        return left + (time - start) / (end - start) * (width - left - 6)

    def y(value: float) -> float:
        return height - bottom - value / top * (height - bottom - 8)

    yield f'<svg viewBox="0 0 {width} {height}" preserveAspectRatio="none">'
    for part in range(5):
        value = top * part / 4
        yield f'<path d="M{left} {y(value):.1f}H{width}" stroke="#e7eaee"/>'
        yield f'<text x="{left - 6}" y="{y(value) + 4:.1f}" text-anchor="end">{shown(value, panel.unit)}</text>'
    for part in range(1, 5):
        time = start + (end - start) * part / 4
        label, anchor = ("now", "end") if part == 4 else (f"−{(end - time) / 60:.0f} min", "middle")
        yield f'<text x="{x(time):.0f}" y="{height - 3}" text-anchor="{anchor}">{label}</text>'
    for (_, colour), points in reversed(list(zip(coloured, stacks, strict=True))):
        for piece in _pieces(points):
            line = "L".join(f"{x(time):.1f} {y(min(value, top)):.1f}" for time, value in piece)
            if panel.stacked:
                base = f"L{x(piece[-1][0]):.1f} {y(0):.1f}L{x(piece[0][0]):.1f} {y(0):.1f}Z"
                yield f'<path d="M{line}{base}" fill="#fff"/><path d="M{line}{base}" fill="{colour}" opacity=".3"/>'
            yield f'<path d="M{line}" fill="none" stroke="{colour}" stroke-width="{1.2 if panel.stacked else 1.8}"/>'
    for limit, colour in panel.steps():
        if limit is not None and limit <= top:
            yield f'<path d="M{left} {y(limit):.1f}H{width}" stroke="{COLOURS[colour]}" stroke-dasharray="6 4"/>'
    yield "</svg><div class=legend>"
    for one, colour in coloured:
        yield f'<span><i style="background: {colour}"></i>{escape(one.name)}</span>'
    yield "</div>"


def _stacked(series: Sequence[Series]) -> list[Points]:
    """Each series on top of those before it."""
    below: dict[float, float] = {}
    stacks: list[Points] = []
    for one in series:
        for time, value in one.points:
            below[time] = below.get(time, 0.0) + (0.0 if math.isnan(value) else value)
        stacks.append([(time, below[time]) for time, _ in one.points])
    return stacks


def _pieces(points: Points) -> Iterator[list[tuple[float, float]]]:
    """What lies between gaps."""
    piece: list[tuple[float, float]] = []
    for time, value in points:
        if math.isnan(value):
            if piece:
                yield piece
            piece = []
        else:
            piece.append((time, value))
    if piece:
        yield piece


def _round_up(value: float) -> float:
    """The next of 1, 2, 4, 6, 8 times a power of ten: quarters of them are short numbers."""
    power: float = 10 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 2, 4, 6, 8, 10) if step * power >= value * 0.9999)
