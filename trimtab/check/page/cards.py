"""One column on a card: both distributions, what changed, and the numbers before and after."""

from __future__ import annotations

from html import escape

from monitors.comparing.comparison import ColumnComparison
from monitors.distances import METHODS
from monitors.finding import NoData
from monitors.profiles.plan import Kind
from monitors.profiles.profile import CategoricalColumn, Column, NumericColumn
from trimtab.check import figures
from trimtab.check.histogram import histogram, quantiles
from trimtab.check.outcome import Outcome
from trimtab.check.page.charts import BINS, chart
from trimtab.check.verdict import Verdict, verdict

_SHARES = (("5 %", 0.05), ("median", 0.5), ("95 %", 0.95))
_PILLS = {
    Verdict.DRIFT: "drift",
    Verdict.MISSING: "drift",
    Verdict.UNSURE: "warn",
    Verdict.STEADY: "good",
    Verdict.NO_DATA: "mute",
}


def card(column: ColumnComparison, outcome: Outcome, place: str) -> str:
    """Return the card of a column; `place` is its anchor."""
    before, after = (side.columns[column.name] for side in outcome.profiles)
    title = f"{column.name}: reference and current distributions. {effect_sentence(column)}"
    return (
        f'<article class="card" id="{place}"><header><h3>{escape(column.name)}</h3>'
        f'<span class="kind">{_kind(column)}</span>{pill(column)}</header>'
        f'<p class="effect">{escape(effect_sentence(column))}</p>'
        f"{chart(before, after, title)}{_tails(before, after)}{_table(before, after)}</article>"
    )


def pill(column: ColumnComparison) -> str:
    """Return the verdict as a coloured word."""
    told = verdict(column)
    return f'<span class="pill {_PILLS[told]}">{told.value}</span>'


def effect_sentence(column: ColumnComparison) -> str:
    """Return the effect, its limit and its p in words."""
    if isinstance(column.effect, NoData):
        return f"No effect: {column.effect.reason}."
    method = METHODS[column.method]
    unit = f" {method.unit}" if method.unit else ""
    value, limit = figures.effect(column.effect.value), figures.effect(column.threshold)
    told = f"{_name(column.method)} {value}{unit}, limit {limit}"
    if not isinstance(column.p_value, NoData):
        told += f", p {figures.probability(column.p_value)}"
    if not isinstance(column.missing, NoData) and column.missing.drifted:
        shares = f"{figures.share(column.missing.reference)} to {figures.share(column.missing.current)}"
        told += f"; missing values went from {shares}"
    return f"{told}. {column.note[:1].upper()}{column.note[1:]}".strip()


def _name(method: str) -> str:
    names = {"jensenshannon": "Jensen-Shannon", "psi": "PSI", "ks": "KS", "kl_div": "KL", "l_infinity": "L∞"}
    return names.get(method, method.replace("_", " ").capitalize())


def _kind(column: ColumnComparison) -> str:
    return "text, by length" if column.kind is Kind.TEXT else column.kind.value


def _tails(before: Column, after: Column) -> str:
    """Return what the picture leaves out on its sides."""
    if not isinstance(before, NumericColumn) or not isinstance(after, NumericColumn):
        return ""
    drawn = _beyond(before, after)
    return f'<p class="tails">{drawn}</p>' if drawn else ""


def _beyond(before: NumericColumn, after: NumericColumn) -> str:
    drawn = histogram(before, after, BINS)
    if drawn is None:
        return ""
    kind = before.plan.kind
    told = []
    for sign, edge, shares in (
        ("below", drawn.edges[0], drawn.below),
        ("above", drawn.edges[-1], drawn.above),
    ):
        if max(shares) > 0:
            told.append(f"{sign} {figures.of_kind(float(edge), kind)}: {figures.change(*shares)}")
    return f"Beyond the picture: {'; '.join(told)}" if told else ""


def _table(before: Column, after: Column) -> str:
    rows = [("missing", _missing(before), _missing(after))]
    if isinstance(before, NumericColumn) and isinstance(after, NumericColumn):
        rows += _numeric_rows(before, after)
    elif isinstance(before, CategoricalColumn) and isinstance(after, CategoricalColumn):
        rows.insert(0, ("rows", f"{before.rows:,}", f"{after.rows:,}"))
        rows.append(("distinct", f"{round(before.distinct):,}", f"{round(after.distinct):,}"))
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name, *_ in rows)
    lines = (
        ('<abbr title="reference">ref.</abbr>', "before", 1),
        ('<abbr title="current">cur.</abbr>', "after", 2),
    )
    body = "".join(
        f'<tr><th scope="row"><span class="dot {style}"></span>{side}</th>'
        + "".join(f"<td>{escape(row[place])}</td>" for row in rows)
        + "</tr>"
        for side, style, place in lines
    )
    head = f"<thead><tr><td></td>{head}</tr></thead>"
    return f'<div class="scroll"><table class="numbers">{head}<tbody>{body}</tbody></table></div>'


def _numeric_rows(before: NumericColumn, after: NumericColumn) -> list[tuple[str, str, str]]:
    kind, sides = before.plan.kind, (before, after)
    shown = Kind.NUMERIC if kind is Kind.TEXT else kind
    told = [_told(side, shown) for side in sides]
    infinite = any(side.pos_inf or side.neg_inf for side in sides)
    hidden = set() if infinite else {"±inf"}
    hidden |= {"std"} if kind is Kind.DATETIME else set()
    return [(name, told[0][name], told[1][name]) for name in told[0] if name not in hidden]


def _told(side: NumericColumn, kind: Kind) -> dict[str, str]:
    found = quantiles(side, [share for _, share in _SHARES])
    told = {"mean": figures.of_kind(side.mean, kind), "std": figures.number(side.std)}
    told["min"] = figures.of_kind(side.minimum, kind)
    for place, (name, _) in enumerate(_SHARES):
        told[name] = figures.of_kind(found[place] if found else None, kind)
    return told | {"max": figures.of_kind(side.maximum, kind), "±inf": f"{side.pos_inf + side.neg_inf:,}"}


def _missing(column: Column) -> str:
    return figures.share(column.missing / column.rows) if column.rows else "–"
