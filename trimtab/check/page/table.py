"""All columns in one table that can be sorted."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from monitors.comparing.comparison import ColumnComparison
from monitors.finding import NoData
from trimtab.check import figures
from trimtab.check.outcome import Outcome
from trimtab.check.page.cards import pill
from trimtab.check.page.charts import small
from trimtab.check.verdict import Verdict, verdict

PICTURES = 300
"""Columns with a small picture in the table; beyond, a page of thousands of columns would be slow to open."""

_FULL = 3  # a bar of the effect ends at so many times its limit


def columns_table(outcome: Outcome, anchors: Mapping[str, str]) -> str:
    """Return the table; columns with an anchor are links to their card."""
    heads = ["column", "verdict", "kind", "distribution", "effect / limit", "p", "missing"]
    weighed = any(column.importance is not None for column in outcome.columns)
    if weighed:
        heads.insert(6, "weight")
    head = "".join(f'<th scope="col">{name}</th>' for name in heads)
    rows = "".join(
        _row(column, outcome, anchors.get(column.name), pictured=place < PICTURES, weighed=weighed)
        for place, column in enumerate(outcome.columns)
    )
    head = f"<thead><tr>{head}</tr></thead>"
    return (
        f'<div class="scroll"><table class="columns" id="columns">{head}<tbody>{rows}</tbody></table></div>'
    )


def _row(
    column: ColumnComparison, outcome: Outcome, anchor: str | None, *, pictured: bool, weighed: bool
) -> str:
    name = escape(column.name)
    linked = f'<a href="#{anchor}">{name}</a>' if anchor else name
    before, after = (side.columns[column.name] for side in outcome.profiles)
    order = list(Verdict).index(verdict(column))
    cells = [
        f'<th scope="row">{linked}</th>',
        f'<td data-v="{order}">{pill(column)}</td>',
        f"<td>{column.kind.value}</td>",
        f"<td>{small(before, after) if pictured else ''}</td>",
        _effect(column),
        _probability(column),
        *([_sortable(column.importance, _weight(column))] if weighed else []),
        _missing(column),
    ]
    return f"<tr{' class=drifted' if column.drifted else ''}>{''.join(cells)}</tr>"


def _effect(column: ColumnComparison) -> str:
    if isinstance(column.effect, NoData):
        return f'<td data-v="-1" title="{escape(column.effect.reason)}">–</td>'
    ratio = column.effect.value / column.threshold
    length = min(ratio / _FULL, 1) * 100
    over = " over" if ratio >= 1 else ""
    told = f"{figures.effect(column.effect.value)} <small>/ {figures.effect(column.threshold)}</small>"
    bar = f'<span class="bar{over}"><i style="width:{length:.0f}%"></i></span>'
    return f'<td data-v="{ratio:.6g}" class="effect">{bar}<span>{told}</span></td>'


def _probability(column: ColumnComparison) -> str:
    if isinstance(column.p_value, NoData):
        return f'<td data-v="2" title="{escape(column.p_value.reason)}">–</td>'
    return _sortable(column.p_value, figures.probability(column.p_value))


def _weight(column: ColumnComparison) -> str:
    return "–" if column.importance is None else figures.share(column.importance)


def _missing(column: ColumnComparison) -> str:
    missing = column.missing
    if isinstance(missing, NoData):
        return '<td data-v="-1">–</td>'
    told = figures.change(missing.reference, missing.current)
    change = abs(missing.current - missing.reference)
    strong = f"<strong>{told}</strong>" if missing.drifted else told
    shown = strong if missing.reference or missing.current else "–"
    return f'<td data-v="{change:.6g}" class="missing">{shown}</td>'


def _sortable(value: float | None, told: str) -> str:
    return f'<td data-v="{-1 if value is None else f"{value:.4g}"}">{escape(told)}</td>'
