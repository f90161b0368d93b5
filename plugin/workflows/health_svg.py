"""Drawings of the report on a model's health, as SVG that stands in the page: no library and no script.

Colours are classes of the page's style sheet, so that light, dark and paper each have theirs. Every text is escaped.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape

import numpy as np

_WIDTH, _HEIGHT = 720, 240
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 12, 12, 26
_CELL_WIDTH, _CELL_HEIGHT = 160, 14
_MOST_POINTS = 160  # of a line; more are not seen
_MOST_DOTS = 800  # of a scatter
_COLOURS = 5  # the style sheet has .c0 to .c4
_DAY = 86_400


@dataclass(frozen=True, eq=False)
class Line:
    """A line over time.

    Attributes:
        name: For the legend.
        times: (n,) float64 seconds since 1970, ascending.
        values: (n,) float in 0..1, NaN = a gap.
        low, high: (n,) ends of the intervals, or None.
    """

    name: str
    times: np.ndarray
    values: np.ndarray
    low: np.ndarray | None = None
    high: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class Dots:
    """Points of one kind.

    Attributes:
        name: For the legend.
        points: (n, 2) float.
    """

    name: str
    points: np.ndarray


def line_chart(lines: Sequence[Line], *, title: str, description: str, floor: float = 0.0, ceiling: float = 1.0) -> str:
    """Return a chart of shares over time, the first line in the accent colour.

    Args:
        lines: At least one with a point.
        title: What is drawn; read out, and shown by the browser where the mouse rests.
        description: What there is to see, for those who cannot see it.
        floor: The share at which the axis begins, unless a line goes lower.
        ceiling: The share at which it ends, unless a line goes higher.
    """
    drawn = [_thinned(line) for line in lines if len(line.times)]
    start, end = min(line.times[0] for line in drawn), max(line.times[-1] for line in drawn)
    span = end - start or 1.0
    values = np.concatenate([edge for line in drawn for edge in (line.values, line.low, line.high) if edge is not None])
    values = values[np.isfinite(values)]
    lowest = min(floor, math.floor(10 * values.min(initial=floor)) / 10)
    highest = max(ceiling, math.ceil(10 * values.max(initial=ceiling)) / 10)
    top, bottom = _TOP, _HEIGHT - _BOTTOM

    def across(times: np.ndarray) -> np.ndarray:
        return _LEFT + (times - start) / span * (_WIDTH - _LEFT - _RIGHT)

    def down(shares: np.ndarray) -> np.ndarray:
        return bottom - (shares - lowest) / (highest - lowest) * (bottom - top)

    parts = [_shares_axis(lowest, highest, down), _times_axis(start, end, across)]
    for number in reversed(range(len(drawn))):  # the first one lies on top
        line, colour = drawn[number], f"c{number % _COLOURS}"
        x = across(line.times)
        if line.low is not None and line.high is not None:
            parts.append(_band(x, down(line.low), down(line.high), colour))
        parts.append(_path(x, down(line.values), colour))
    svg = _svg(_WIDTH, _HEIGHT, parts, title, description)
    return svg + legend([line.name for line in drawn]) if len(drawn) > 1 else svg


def scatter(kinds: Sequence[Dots], *, title: str, description: str) -> str:
    """Return a chart of points in the plane, the last kind on top; of very many each n-th is drawn.

    Args:
        kinds: At least one with a point.
        title: As in `line_chart`.
        description: Likewise.
    """
    every = np.concatenate([kind.points for kind in kinds])
    low, high = every.min(axis=0), every.max(axis=0)
    step = max(1, math.ceil(len(every) / _MOST_DOTS))
    height = _HEIGHT + 60
    scale = np.array([_WIDTH - 24, height - 24]) / np.where(high > low, high - low, 1)
    parts = [f'<rect class="frame" x="0.5" y="0.5" width="{_WIDTH - 1}" height="{height - 1}" rx="4"/>']
    for number, kind in enumerate(kinds):
        places = (kind.points[::step] - low) * scale + 12
        dots = "".join(f'<circle cx="{x:.1f}" cy="{height - y:.1f}" r="3"/>' for x, y in places)
        parts.append(f'<g class="dots d{number % _COLOURS}">{dots}</g>')
    return _svg(_WIDTH, height, parts, title, description) + legend([kind.name for kind in kinds], mark="d")


def share_bar(value: float, low: float, high: float) -> str:
    """Return a small bar of a share in 0..1 with its interval, for the cell of a table that also has the numbers."""
    if not math.isfinite(value):
        return ""
    middle, inner = _CELL_HEIGHT / 2, _CELL_WIDTH - 2

    def at(share: float) -> str:
        return f"{1 + inner * min(max(share, 0), 1):.1f}"

    whisker = ""
    if math.isfinite(low) and math.isfinite(high):
        whisker = f'<path class="whisker" d="M{at(low)} {middle}H{at(high)}M{at(low)} 4V10M{at(high)} 4V10"/>'
    return (
        f'<svg class="bar" viewBox="0 0 {_CELL_WIDTH} {_CELL_HEIGHT}" aria-hidden="true">'
        f'<rect class="rail" x="1" y="2" width="{inner}" height="10" rx="2"/>'
        f'<rect class="filled" x="1" y="2" width="{inner * min(max(value, 0), 1):.1f}" height="10" rx="2"/>'
        f"{whisker}</svg>"
    )


def legend(names: Iterable[str], mark: str = "c") -> str:
    """Return the names of what is drawn, each behind its colour."""
    entries = "".join(
        f'<li><span class="mark {mark}{number % _COLOURS}" aria-hidden="true"></span><bdi>{escape(name)}</bdi></li>'
        for number, name in enumerate(names)
    )
    return f'<ul class="legend">{entries}</ul>'


def _svg(width: int, height: int, parts: Iterable[str], title: str, description: str) -> str:
    told = escape(f"{title}: {description}")
    return (
        f'<div class="wide"><svg class="plot" viewBox="0 0 {width} {height}" role="img" aria-label="{told}">'
        f"<title>{escape(title)}</title><desc>{escape(description)}</desc>{''.join(parts)}</svg></div>"
    )


def _shares_axis(lowest: float, highest: float, down: Callable[[np.ndarray], np.ndarray]) -> str:
    tenths = round(10 * (highest - lowest))
    steps = tenths if tenths in (3, 4, 5, 6) else 5 if tenths % 5 == 0 else 4
    marks = np.linspace(lowest, highest, steps + 1)
    return "".join(
        f'<path class="grid" d="M{_LEFT} {y:.1f}H{_WIDTH - _RIGHT}"/>'
        f'<text class="tick" x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{100 * mark:.0f} %</text>'
        for mark, y in zip(marks, down(marks), strict=True)
    )


def _times_axis(start: float, end: float, across: Callable[[np.ndarray], np.ndarray]) -> str:
    marks = np.linspace(start, end, 5) if end > start else np.array([start])
    places = across(marks)
    written = [_when(mark, end - start) for mark in marks]
    parts = []
    for number, (text, x) in enumerate(zip(written, places, strict=True)):
        if number and text == written[number - 1]:
            continue
        anchor = "start" if number == 0 else "end" if number == len(marks) - 1 else "middle"
        parts.append(f'<text class="tick" x="{x:.1f}" y="{_HEIGHT - 8}" text-anchor="{anchor}">{text}</text>')
    return "".join(parts)


def _when(seconds: float, span: float) -> str:
    at = datetime.fromtimestamp(float(seconds), UTC)
    if span < _DAY:
        return f"{at:%H:%M}"
    return f"{at:%d %b %H:%M}" if span < 4 * _DAY else f"{at:%d %b}" if span < 300 * _DAY else f"{at:%b %Y}"


def _path(x: np.ndarray, y: np.ndarray, colour: str) -> str:
    """Return a line that is broken where it has no value, and a dot where it is a single point."""
    commands, begun = [], False
    for a, b in zip(x, y, strict=True):
        if math.isfinite(b):
            commands.append(f"{'L' if begun else 'M'}{a:.1f} {b:.1f}")
        begun = math.isfinite(b)
    known = np.flatnonzero(np.isfinite(y))
    end = ""
    if len(known):
        end = f'<circle class="end {colour}" cx="{x[known[-1]]:.1f}" cy="{y[known[-1]]:.1f}" r="3.5"/>'
    return f'<path class="line {colour}" d="{"".join(commands)}"/>{end}'


def _band(x: np.ndarray, low: np.ndarray, high: np.ndarray, colour: str) -> str:
    known = np.isfinite(low) & np.isfinite(high)
    if known.sum() < 2:
        return ""
    upper = [f"{a:.1f} {b:.1f}" for a, b in zip(x[known], high[known], strict=True)]
    lower = [f"{a:.1f} {b:.1f}" for a, b in zip(x[known][::-1], low[known][::-1], strict=True)]
    return f'<path class="band {colour}" d="M{"L".join([*upper, *lower])}Z"/>'


def _thinned(line: Line) -> Line:
    """Return the line with as many points as can be seen, the first and the last among them."""
    if len(line.times) <= _MOST_POINTS:
        return line
    kept = np.linspace(0, len(line.times) - 1, _MOST_POINTS).round().astype(int)
    edges = [None if edge is None else edge[kept] for edge in (line.low, line.high)]
    return Line(line.name, line.times[kept], line.values[kept], *edges)
