"""The distributions of both sides over each other, as small inline SVG."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from html import escape

import numpy as np

from monitors.profiles.plan import Floats, Kind
from monitors.profiles.profile import CategoricalColumn, Column, NumericColumn
from trimtab.check import figures
from trimtab.check.histogram import Histogram, histogram
from trimtab.check.page.ticks import ticks
from trimtab.check.shares import Share, Shares, shares

BINS, SMALL_BINS = 48, 24
BARS, SMALL_BARS = 10, 8
_WIDTH, _HEIGHT, _FLOOR, _TOP = 480, 150, 128, 12
_SMALL_WIDTH, _SMALL_HEIGHT = 132, 30
_ROW, _LABEL, _FIGURES = 26, 130, 118
_LETTERS = 18


def chart(reference: Column, current: Column, title: str) -> str:
    """Return the large picture of a column, for its card."""
    if isinstance(reference, NumericColumn) and isinstance(current, NumericColumn):
        drawn = histogram(reference, current, BINS)
        return "" if drawn is None else _histogram(drawn, reference.plan.kind, title)
    if isinstance(reference, CategoricalColumn) and isinstance(current, CategoricalColumn):
        found = shares(reference, current, BARS)
        bars = [*found.shown, *([found.rest] if found.rest else []), *_missing(reference, current)]
        return _bars(bars, title) if bars else ""
    return ""


def small(reference: Column, current: Column) -> str:
    """Return the picture of a column for a row of the table; it says nothing to a screen reader."""
    paths = ""
    if isinstance(reference, NumericColumn) and isinstance(current, NumericColumn):
        drawn = histogram(reference, current, SMALL_BINS)
        if drawn is not None:
            places = np.linspace(0, _SMALL_WIDTH, len(drawn.reference) + 1)
            paths = _steps((drawn.reference, drawn.current), places, drawn.ceiling, _SMALL_HEIGHT - 1, 1)
    elif isinstance(reference, CategoricalColumn) and isinstance(current, CategoricalColumn):
        paths = _columns(shares(reference, current, SMALL_BARS - 1))
    size = f"0 0 {_SMALL_WIDTH} {_SMALL_HEIGHT}"
    return f'<svg class="small" viewBox="{size}" aria-hidden="true">{paths}</svg>' if paths else ""


def _columns(found: Shares) -> str:
    """Return a pair of columns for each value."""
    bars = [*found.shown, *([found.rest] if found.rest else [])]
    if not bars:
        return ""
    top = max(max(bar.reference, bar.current) for bar in bars)
    room = _SMALL_WIDTH / len(bars)
    width = min(room * 0.42, 14)
    drawn = []
    for place, bar in enumerate(bars):
        middle = (place + 0.5) * room
        for side, share, left in (("before", bar.reference, middle - width), ("after", bar.current, middle)):
            height = min(share / top, 1) * (_SMALL_HEIGHT - 2)
            x, y, h = _short(left), _short(_SMALL_HEIGHT - 1 - height), _short(height)
            drawn.append(f'<rect class="{side}" x="{x}" y="{y}" width="{_short(width)}" height="{h}"/>')
    return "".join(drawn)


def _histogram(drawn: Histogram, kind: Kind, title: str) -> str:
    places = _places(drawn)
    labels = []
    for value, label in ticks(drawn.edges[0], drawn.edges[-1], kind, logarithmic=drawn.logarithmic):
        x = _x(value, drawn)
        anchor = "start" if x < 16 else "end" if x > _WIDTH - 16 else "middle"  # noqa: PLR2004 - half a label
        labels.append(f'<path class="tick" d="M{x:.0f} {_FLOOR}v4"/>')
        labels.append(f'<text x="{x:.0f}" y="{_HEIGHT - 6}" text-anchor="{anchor}">{escape(label)}</text>')
    return (
        f'<svg class="chart" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(title)}" '
        f"{_data(drawn, kind)}>"
        f"{_steps((drawn.reference, drawn.current), places, drawn.ceiling, _FLOOR, _TOP)}"
        f'<path class="axis" d="M0 {_FLOOR}h{_WIDTH}"/>{"".join(labels)}{_cut(drawn, places)}</svg>'
    )


def _steps(heights: tuple[Floats, Floats], places: Floats, top: float, floor: float, least: float) -> str:
    """Return the reference as an area and the current side as a line over it."""
    tops = [floor - np.minimum(side / top if top else side, 1) * (floor - least) for side in heights]
    before, after = (_outline(side, places, floor) for side in tops)
    return f'<path class="before" d="{before}"/><path class="after" d="{after}"/>'


def _outline(tops: Floats, places: Floats, floor: float) -> str:
    parts = [f"M{_short(places[0])} {_short(floor)}"]
    last = floor
    for top, right in zip(tops.tolist(), places[1:].tolist(), strict=True):
        if _short(top) != _short(last):
            parts.append(f"V{_short(top)}")
            last = top
        parts.append(f"H{_short(right)}")
    return "".join([*parts, f"V{_short(floor)}"])


def _short(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def _places(drawn: Histogram) -> Floats:
    edges = np.log(drawn.edges) if drawn.logarithmic else drawn.edges
    scaled: Floats = (edges - edges[0]) / (edges[-1] - edges[0]) * _WIDTH
    return scaled


def _x(value: float, drawn: Histogram) -> float:
    low, high = float(drawn.edges[0]), float(drawn.edges[-1])
    if drawn.logarithmic:
        return math.log(value / low) / math.log(high / low) * _WIDTH
    return (value - low) / (high - low) * _WIDTH


def _cut(drawn: Histogram, places: Floats) -> str:
    """Return the heights of bars that the axis cuts off."""
    highest = np.maximum(drawn.reference, drawn.current)
    told = []
    for place in np.flatnonzero(highest > drawn.ceiling * (1 + 1e-9)).tolist()[:1]:
        right = places[place + 1] < _WIDTH * 3 / 4
        x, anchor = (places[place + 1] + 4, "start") if right else (places[place] - 4, "end")
        both = figures.change(float(drawn.reference[place]), float(drawn.current[place]))
        told.append(f'<text class="cut" x="{x:.0f}" y="{_TOP + 8}" text-anchor="{anchor}">↑ {both}</text>')
    return "".join(told)


def _data(drawn: Histogram, kind: Kind) -> str:
    """Return what the script shows under the pointer: edges, and shares in hundredths of a percent."""
    edges = f"{drawn.edges[0]:.8g},{drawn.edges[-1]:.8g}"
    sides = [",".join(str(round(share * 1e4)) for share in side) for side in (drawn.reference, drawn.current)]
    scale = "log" if drawn.logarithmic else "time" if kind is Kind.DATETIME else "even"
    return f'data-scale="{scale}" data-ends="{edges}" data-before="{sides[0]}" data-after="{sides[1]}"'


def _missing(reference: CategoricalColumn, current: CategoricalColumn) -> list[Share]:
    """Return the share of all rows that have no value, if there are any."""
    before, now = (side.missing / side.rows if side.rows else 0.0 for side in (reference, current))
    return [Share("(missing)", before, now)] if before or now else []


def _bars(bars: Sequence[Share], title: str) -> str:
    longest = max(max(bar.reference, bar.current) for bar in bars)
    height = _ROW * len(bars) + 4
    rows = "".join(_bar(bar, place, longest) for place, bar in enumerate(bars))
    size, label = f"0 0 {_WIDTH} {height}", escape(title)
    return f'<svg class="chart bars" viewBox="{size}" role="img" aria-label="{label}">{rows}</svg>'


def _bar(bar: Share, place: int, longest: float) -> str:
    y = place * _ROW + 4
    room = _WIDTH - _LABEL - _FIGURES
    widths = [_short(max(share and 1.0, share / longest * room)) for share in (bar.reference, bar.current)]
    name = bar.value if len(bar.value) <= _LETTERS else f"{bar.value[: _LETTERS - 1]}…"
    new = '<tspan class="new"> new</tspan>' if bar.unseen else ""
    told = figures.change(bar.reference, bar.current)
    return (
        f"<g><title>{escape(bar.value)}: {told}</title>"
        f'<text x="{_LABEL - 8}" y="{y + 14}" text-anchor="end">{escape(name)}{new}</text>'
        f'<rect class="before" x="{_LABEL}" y="{y}" width="{widths[0]}" height="9" rx="1.5"/>'
        f'<rect class="after" x="{_LABEL}" y="{y + 10}" width="{widths[1]}" height="9" rx="1.5"/>'
        f'<text class="figure" x="{_WIDTH}" y="{y + 14}" text-anchor="end">{told}</text></g>'
    )


def ladder(values: Iterable[tuple[float, float]], width: int = 120) -> list[str]:
    """Return for each pair of numbers in [-1, 1] where they lie, before as a ring and after as a dot."""
    drawn = []
    for before, after in values:
        x, y = ((1 + value) / 2 * (width - 12) + 6 for value in (before, after))
        drawn.append(
            f'<svg class="ladder" viewBox="0 0 {width} 16" aria-hidden="true">'
            f'<path class="axis" d="M6 8h{width - 12}M{width / 2:.0f} 4v8"/>'
            f'<path class="after" d="M{x:.0f} 8H{y:.0f}"/><circle class="before" cx="{x:.0f}" cy="8" r="4"/>'
            f'<circle class="after" cx="{y:.0f}" cy="8" r="4"/></svg>'
        )
    return drawn
