"""What a sample told, on the page: texts, vectors, and all columns together."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import TYPE_CHECKING

from monitors.finding import NoData
from trimtab.check import figures
from trimtab.check.outcome import Outcome, Vectors

if TYPE_CHECKING:
    from monitors.multivariate.domain_classifier import Carrier, DomainVerdict
    from monitors.multivariate.text import TextVerdict
    from monitors.multivariate.vectors import VectorVerdict

_EXAMPLES = 12
_LEAST = 0.005  # of what tells the sides apart, below which a column is not shown
_WIDTH, _MARGIN = 120, 6  # of the drawn interval, as of a correlation's ladder


def texts(outcome: Outcome) -> str:
    """Return the section of what texts say; empty if there are none."""
    if not outcome.texts:
        return ""
    rows = [f"<dt>{escape(name)}</dt><dd>{_text(found)}</dd>" for name, found in outcome.texts.items()]
    return f"<section><h2>Texts</h2><dl>{''.join(rows)}</dl></section>"


def vectors(outcome: Outcome) -> str:
    """Return the section of the columns of vectors; empty if there are none."""
    if not outcome.vectors:
        return ""
    heads = (
        *("column", "verdict"),
        '<span class="aside">½</span> classifier\'s AUC <span class="aside">1</span>',
        *("p", "MMD", "p of MMD", "missing"),
    )
    head = "".join(f'<th scope="col">{name}</th>' for name in heads)
    rows = "".join(
        f'<tr><th scope="row">{escape(name)}</th>{_vectors(found)}</tr>'
        for name, found in outcome.vectors.items()
    )
    lead = (
        "A linear classifier sees what moves their means; MMD sees their spread and shape too. Drift in "
        "either is drift, and so is a share of missing vectors that moved."
    )
    return (
        f'<section><h2>Vectors</h2><p class="lead">{lead}</p><div class="scroll"><table class="plain">'
        f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div></section>"
    )


def joint(outcome: Outcome, anchors: Mapping[str, str]) -> str:
    """Return the section of all columns together; empty if it was not asked for."""
    if outcome.joint is None:
        return ""
    told = (
        f'<p class="lead">Not tested: {escape(outcome.joint.reason)}.</p>'
        if isinstance(outcome.joint, NoData)
        else _joint(outcome.joint, anchors)
    )
    return f"<section><h2>All columns together</h2>{told}</section>"


def _text(found: TextVerdict | NoData) -> str:
    if isinstance(found, NoData):
        return escape(f"not tested: {found.reason}")
    told = f"a classifier tells the sides apart with AUC {found.auc:.2f}"
    if not found.drifted:
        return f"the words did not change: {told}, where 0.50 is guessing"
    telling = "".join(
        f"<li><b>{escape(each.ngram)}</b> {figures.change(each.share_reference, each.share_current)}</li>"
        for each in found.telling[:_EXAMPLES]
    )
    return f"the words changed: {told}, mostly by<ul>{telling}</ul>"


def _vectors(found: Vectors) -> str:
    place, missing = found.place, found.missing
    cells = [_pill("drift", "drift") if found.drifted else _pill("steady", "good")]
    if isinstance(place, NoData):
        cells[0] = cells[0] if found.drifted else _pill("no data", "mute")
        told = f'<td>{cells[0]}</td><td colspan="4" class="names">{escape(place.reason)}</td>'
    else:
        mmd = ("–", "–")
        if not isinstance(place.mmd, NoData):
            mmd = (figures.effect(place.mmd.effect), figures.probability(place.mmd.p_value))
        cells += [_area(place), *map(escape, (figures.probability(place.p_value), *mmd))]
        told = "".join(f"<td>{cell}</td>" for cell in cells)
    if isinstance(missing, NoData) or not (missing.reference or missing.current):
        return f"{told}<td>–</td>"
    share = figures.change(missing.reference, missing.current)
    return f"{told}<td>{f'<strong>{share}</strong>' if missing.drifted else share}</td>"


def _joint(found: DomainVerdict, anchors: Mapping[str, str]) -> str:
    low, high = found.auc_interval
    told = (
        f"A classifier that sees all columns at once tells {found.rows_current:,} current rows from "
        f"{found.rows_reference:,} of the reference with AUC {found.auc:.2f} ({low:.2f} to {high:.2f}), "
        f"where 0.50 is guessing; p {figures.probability(found.p_value)}."
    )
    told = f'<p class="lead">{escape(told)}</p>'
    carriers = [each for each in found.carriers if each.share >= _LEAST][:_EXAMPLES]
    if not found.drifted or not carriers:
        return told
    rows = "".join(_carrier(each, anchors.get(each.name)) for each in carriers)
    return (
        f'{told}<div class="scroll"><table class="plain"><thead><tr><th scope="col">carried by</th>'
        '<th scope="col">share</th><th scope="col">loss of AUC without it</th></tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def _carrier(one: Carrier, anchor: str | None) -> str:
    name = escape(one.name)
    linked = f'<a href="#{anchor}">{name}</a>' if anchor else name
    bar = f'<span class="bar over"><i style="width:{100 * one.share:.0f}%"></i></span>'
    return (
        f'<tr><th scope="row">{linked}</th>'
        f'<td class="effect">{bar}<span>{figures.share(one.share)}</span></td><td>{one.drop:.3f}</td></tr>'
    )


def _area(found: VectorVerdict) -> str:
    """Return an AUC with its interval, drawn between ½ and 1."""
    low, middle, high = (
        _MARGIN + max(0.0, 2 * area - 1) * (_WIDTH - 2 * _MARGIN)
        for area in (found.auc_interval[0], found.auc, found.auc_interval[1])
    )
    drawn = (
        f'<svg class="ladder" viewBox="0 0 {_WIDTH} 16" aria-hidden="true">'
        f'<path class="axis" d="M{_MARGIN} 8h{_WIDTH - 2 * _MARGIN}M{_MARGIN} 4v8"/>'
        f'<path class="after" d="M{low:.1f} 8H{high:.1f}"/>'
        f'<circle class="after" cx="{middle:.1f}" cy="8" r="4"/></svg>'
    )
    return f'<span class="area">{drawn}<span>{found.auc:.2f}</span></span>'


def _pill(told: str, style: str) -> str:
    return f'<span class="pill {style}">{told}</span>'
