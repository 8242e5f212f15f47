"""The page, from its first sentence to its last."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from html import escape
from importlib.metadata import version
from importlib.resources import files

from trimtab.check import figures
from trimtab.check.outcome import Outcome, Side
from trimtab.check.page import charts, samples
from trimtab.check.page.cards import card
from trimtab.check.page.table import columns_table
from trimtab.check.verdict import EXPLAINED, Verdict, verdict

CARDS = 100
"""Columns with a large picture; the worst come first."""

_EXAMPLES = 12
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"
_HEAD = (
    '<!doctype html><html lang="en"><head><meta charset="utf-8">'
    '<meta name="viewport" content="width=device-width, initial-scale=1">'
    '<meta name="color-scheme" content="light dark">'
    f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
)


def render(outcome: Outcome, made_at: datetime) -> str:
    """Return the whole page.

    Parameters
    ----------
    made_at
        When the check was made, timezone-aware; said at the foot.
    """
    first, *others = outcome.sentences()
    body = "".join(
        [
            _masthead(outcome, first, others),
            _target(outcome),
            _columns(outcome),
            samples.joint(outcome, _anchors(outcome)),
            _pairs(outcome),
            samples.texts(outcome),
            samples.vectors(outcome),
            _segments(outcome),
            _notes(outcome),
            _cards(outcome),
            _foot(outcome, made_at),
        ]
    )
    style, script = (files(__package__).joinpath(name).read_text("utf-8") for name in ("page.css", "page.js"))
    return (
        f"{_HEAD}<title>{escape(first)} Drift check</title><style>{style}</style></head>"
        f"<body><main>{body}</main><script>{script}</script></body></html>\n"
    )


def _masthead(outcome: Outcome, first: str, others: Sequence[str]) -> str:
    more = f'<p class="more">{escape(" ".join(others))}</p>' if others else ""
    told, style = ("drift", "drift") if outcome.drifted else ("no drift", "good")
    return (
        f'<header class="top"><p class="eyebrow">Drift check <span class="pill {style}">{told}</span></p>'
        f'<h1>{escape(first)}</h1>{more}<div class="sides">'
        f"{_side('reference', 'before', outcome.reference)}{_side('current', 'after', outcome.current)}"
        "</div></header>"
    )


def _side(name: str, style: str, side: Side) -> str:
    span = ""
    if side.span is not None:
        first, last = (figures.instant(moment.timestamp() * 1e6) for moment in side.span)
        span = f"<span>{first} – {last}</span>"
    return (
        f'<div class="side {style}"><span class="swatch" aria-hidden="true"></span>'
        f"<div><strong>{name}</strong>"
        f'<code title="{escape(side.file)}">{escape(side.file)}</code>'
        f"<span>{figures.count(side.rows, 'row')}</span>{span}</div></div>"
    )


def _target(outcome: Outcome) -> str:
    if outcome.target is None:
        return ""
    told = (
        "The truth itself moved: what the model is to predict is no longer distributed as it was."
        if outcome.target.drifted
        else "The truth did not move: the target is distributed as it was."
    )
    drawn = card(outcome.target, outcome, "target")
    return f'<section><h2>Target</h2><p class="lead">{told}</p>{drawn}</section>'


def _columns(outcome: Outcome) -> str:
    if not outcome.columns:
        return ""
    drifted = len(outcome.drifted_columns)
    return (
        f"<section><h2>Columns <small>{drifted} of {len(outcome.columns):,} drifted, the worst first"
        "</small></h2>"
        f'<div class="tools" id="tools" hidden><input type="search" id="filter" placeholder="Filter columns" '
        f'aria-label="Filter columns"><label><input type="checkbox" id="only"> drifted only</label>'
        f'<button type="button" id="theme" aria-label="Switch between light and dark">◐</button></div>'
        f"{columns_table(outcome, _anchors(outcome))}</section>"
    )


def _anchors(outcome: Outcome) -> dict[str, str]:
    return {column.name: f"column-{place}" for place, column in enumerate(outcome.columns[:CARDS])}


def _pairs(outcome: Outcome) -> str:
    moved = outcome.moved_pairs
    if not moved:
        return ""
    drawn = charts.ladder([(pair.rho_reference, pair.rho_current) for pair in moved[:_EXAMPLES]])
    rows = "".join(
        f'<tr><th scope="row">{escape(pair.first)} × {escape(pair.second)}</th>'
        f"<td>{pair.rho_reference:+.2f}</td>"
        f"<td>{picture}</td><td>{pair.rho_current:+.2f}</td><td>{figures.probability(pair.q_value)}</td></tr>"
        for pair, picture in zip(moved, drawn, strict=False)
    )
    more = len(moved) - _EXAMPLES
    rest = f"<p>… and {more:,} more.</p>" if more > 0 else ""
    return (
        '<section><h2>Correlations that moved</h2><p class="lead">What went together no longer does, or the '
        "other way round, though each column may look as before.</p>"
        '<div class="scroll"><table class="plain">'
        '<thead><tr><th scope="col">pair</th><th scope="col">before</th>'
        '<th scope="col"><span class="aside">−1</span> rank correlation <span class="aside">+1</span></th>'
        '<th scope="col">now</th><th scope="col">p, adjusted</th></tr></thead>'
        f"<tbody>{rows}</tbody></table></div>{rest}</section>"
    )


def _segments(outcome: Outcome) -> str:
    found = outcome.segments
    if found is None:
        return ""
    rows = "".join(
        f'<tr><th scope="row">{escape(one.value)}</th>'
        f"<td>{one.rows_reference:,}</td><td>{one.rows_current:,}</td>"
        f'<td class="effect"><span class="bar{" over" if one.drifted else ""}">'
        f'<i style="width:{100 * len(one.drifted) / max(len(one.columns), 1):.0f}%"></i></span>'
        f"<span>{len(one.drifted)} of {len(one.columns)}</span></td>"
        f'<td class="names">{escape(", ".join(column.name for column in one.drifted[:_EXAMPLES]))}</td></tr>'
        for one in found.segments
    )
    left_out = "".join(
        f"<dt>{escape(value)}</dt><dd>{escape(why)}</dd>" for value, why in found.left_out.items()
    )
    return (
        f"<section><h2>By {escape(found.column)}</h2>"
        '<div class="scroll"><table class="plain"><thead><tr>'
        f'<th scope="col">{escape(found.column)}</th><th scope="col">reference</th>'
        '<th scope="col">current</th><th scope="col">drifted</th><th scope="col">the worst</th></tr></thead>'
        f"<tbody>{rows}</tbody></table></div>{f'<dl>{left_out}</dl>' if left_out else ''}</section>"
    )


def _notes(outcome: Outcome) -> str:
    found: list[tuple[str, list[str]]] = []
    for name, new in outcome.unseen.items():
        values = [f"{each.value} ({figures.share(each.current)})" for each in new.examples]
        more = new.distinct - len(values)
        found.append(
            (f"Never in the reference: {name}", [*values, *([f"{more:,} more"] if more > 0 else [])])
        )
    found.append(("Only in the reference", list(outcome.absent)))
    found.append(("Only in the current file", list(outcome.new)))
    found.append(("Not compared", [f"{name}: {why}" for name, why in outcome.skipped.items()]))
    found.append(("Weight", [outcome.weighed] if outcome.weighed else []))
    found.append(("Dependent rows", [outcome.dependence] if outcome.dependence else []))
    rows = "".join(
        f"<dt>{escape(title)}</dt><dd>{'<br>'.join(map(escape, values))}</dd>"
        for title, values in found
        if values
    )
    return f"<section><h2>Worth knowing</h2><dl>{rows}</dl></section>" if rows else ""


def _cards(outcome: Outcome) -> str:
    if not outcome.columns:
        return ""
    cards = "".join(
        card(column, outcome, anchor)
        for column, anchor in zip(outcome.columns, _anchors(outcome).values(), strict=False)
    )
    more = len(outcome.columns) - CARDS
    rest = f"<p>{more:,} more columns are in the table only.</p>" if more > 0 else ""
    return f'<section><h2>Column by column</h2><div class="cards">{cards}</div>{rest}</section>'


def _foot(outcome: Outcome, made_at: datetime) -> str:
    present = {verdict(column) for column in outcome.columns}
    words = "".join(f"<dt>{each.value}</dt><dd>{EXPLAINED[each]}</dd>" for each in Verdict if each in present)
    told = f"On identical data this check says drift in at most {figures.share(outcome.alpha)} of cases."
    made = f"Made by trimtab {version('trimtab')}, {made_at:%Y-%m-%d %H:%M} UTC."
    return f"<footer><h2>How to read it</h2><dl>{words}</dl><p>{told}</p><p>{made}</p></footer>"
