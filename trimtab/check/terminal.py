"""The outcome as a table for a terminal, wide or narrow, with colours or without, or for a pipe."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from monitors.comparing.comparison import ColumnComparison
from monitors.finding import NoData
from trimtab.check import figures
from trimtab.check.outcome import Outcome, Segments, Side, Vectors
from trimtab.check.sparkline import BLOCKS, LETTERS, sparklines
from trimtab.check.verdict import EXPLAINED, Verdict, verdict

if TYPE_CHECKING:
    from monitors.multivariate.domain_classifier import DomainVerdict
    from monitors.multivariate.mmd import MmdVerdict
    from monitors.multivariate.vectors import VectorVerdict

ROWS = 40
"""Columns without drift that are shown beside those that drifted, unless all are asked for."""

_STYLES = {
    Verdict.DRIFT: "bold red",
    Verdict.MISSING: "bold red",
    Verdict.UNSURE: "yellow",
    Verdict.STEADY: "green",
    Verdict.NO_DATA: "dim",
}
_LEAST, _MOST, _NAME = 8, 16, 20  # characters of a sparkline; of a name that a sparkline gives way to
_GAP, _NUMBERS, _WEIGHT = (
    2,
    38,
    8,
)  # between two columns; effect, limit, p and verdict; weight; with their gaps
_LISTED, _TELLING = 8, 3
_CARRIED = 0.01  # of what tells the sides apart, below which a column is not named


def show(outcome: Outcome, console: Console, *, every: bool = False) -> None:
    """Print the outcome.

    Parameters
    ----------
    every
        Show all columns instead of the drifted ones and up to 40 others.
    """
    _show_sides(outcome, console)
    style = "bold red" if outcome.drifted else "bold green"
    first, *others = outcome.sentences()
    console.print(Text.assemble((first, style), *(f" {told}" for told in others)), soft_wrap=True)
    if outcome.columns:
        console.print()
    shown = _shown(outcome.columns, every=every)
    _show_table(outcome, shown, console)
    if len(shown) < len(outcome.columns):
        hidden = figures.count(len(outcome.columns) - len(shown), "more column")
        console.print(Text(f"… and {hidden} without drift; --all shows them", "dim"), soft_wrap=True)
    if outcome.target is not None:
        console.print(
            Text("\nThe target, apart: if it drifted, the truth itself moved", "bold"), soft_wrap=True
        )
        _show_table(outcome, (outcome.target,), console)
    for line in notes(outcome):
        console.print(line, soft_wrap=True)
    if outcome.segments is not None:
        _show_segments(outcome.segments, console)
    _show_legend(outcome, shown, console)


def notes(outcome: Outcome) -> list[Text]:
    """Return what no row of the table says: what is missing, new, gone, skipped, and what moved together."""
    found: list[tuple[str, str]] = []
    tested = [*outcome.columns, *([outcome.target] if outcome.target else [])]
    missing = [
        f"{c.name} {_shares(c)}" for c in tested if not isinstance(c.missing, NoData) and c.missing.drifted
    ]
    found.append(("missing values moved", _listed(missing)))
    unseen = [
        f"{name}: {_listed([f'{e.value} {figures.share(e.current)}' for e in new.examples], new.distinct)}"
        for name, new in outcome.unseen.items()
    ]
    found.append(("never in the reference", _listed(unseen, separator="; ")))
    moved = outcome.moved_pairs
    pairs = [f"{p.first} × {p.second} {p.rho_reference:+.2f} → {p.rho_current:+.2f}" for p in moved]
    found.append(("correlations moved", _listed(pairs)))
    found.append(("words changed", _listed([_words(name, outcome) for name in outcome.moved_texts])))
    found += [(f"vectors of {name}", _vectors(each)) for name, each in outcome.vectors.items()]
    found.append(("all columns together", "" if outcome.joint is None else _joint(outcome.joint)))
    found.append(("only in the reference", _listed(outcome.absent)))
    found.append(("only in the current file", _listed(outcome.new)))
    found.append(("not compared", _listed([f"{name} ({why})" for name, why in outcome.skipped.items()])))
    found.append(("weight", outcome.weighed))
    found.append(("dependent rows", outcome.dependence))
    lines = [Text.assemble((f"{title}: ", "bold"), told) for title, told in found if told]
    return [Text(""), *lines] if lines else []


def _show_sides(outcome: Outcome, console: Console) -> None:
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True, style="dim")
    table.add_column(overflow="fold")
    table.add_column(no_wrap=True, justify="right")
    table.add_column(no_wrap=True)
    for name, side in (("reference", outcome.reference), ("current", outcome.current)):
        table.add_row(name, Text(side.file), figures.count(side.rows, "row"), _span(side))
    console.print(table)
    console.print()


def _span(side: Side) -> str:
    if side.span is None:
        return ""
    first, last = (figures.instant(moment.timestamp() * 1e6) for moment in side.span)
    return f"{first} – {last}"


def _shown(columns: Sequence[ColumnComparison], *, every: bool) -> Sequence[ColumnComparison]:
    drifted = sum(column.drifted for column in columns)
    return columns if every else columns[: drifted + ROWS]


def _show_table(outcome: Outcome, columns: Sequence[ColumnComparison], console: Console) -> None:
    if not columns:
        return
    weighed = any(column.importance is not None for column in columns)
    table = Table(box=None, padding=(0, _GAP, 0, 0), pad_edge=False)
    names = min(_NAME, max(len(column.name) for column in columns))
    table.add_column("column", overflow="ellipsis", no_wrap=True, min_width=names)
    table.add_column("kind", no_wrap=True, min_width=max(len(column.kind.value) for column in columns))
    for heading, room in (("effect", 6), ("limit", 5), ("p", 7), *([("weight", 6)] if weighed else [])):
        table.add_column(heading, justify="right", no_wrap=True, min_width=room)
    table.add_column("verdict", no_wrap=True, min_width=7)
    width = _spark_width(columns, console, names + weighed * _WEIGHT)
    if width:
        table.add_column("reference", no_wrap=True, style="blue", min_width=width)
        table.add_column("current", no_wrap=True, style="magenta", min_width=width)
    levels = LETTERS if console.options.ascii_only else BLOCKS
    for column in columns:
        told = verdict(column)
        row = [Text(column.name), column.kind.value, *_numbers(column)]
        if weighed:
            row.append("–" if column.importance is None else figures.share(column.importance))
        row.append(Text(told.value, _STYLES[told]))
        if width:
            before, after = (side.columns[column.name] for side in outcome.profiles)
            row += map(Text, sparklines(before, after, width, levels))
        table.add_row(*row)
    console.print(table)


def _spark_width(columns: Sequence[ColumnComparison], console: Console, names: int) -> int:
    """Return how wide a sparkline may be beside names, and weights, that are not cut; 0 for no room."""
    kinds = max(len(column.kind.value) for column in columns)
    room = (console.width - names - kinds - _NUMBERS) // 2 - _GAP
    return 0 if room < _LEAST else min(_MOST, room)


def _numbers(column: ColumnComparison) -> list[str]:
    p = "–" if isinstance(column.p_value, NoData) else figures.probability(column.p_value)
    if isinstance(column.effect, NoData):
        return ["–", "–", p]
    return [figures.effect(column.effect.value), figures.effect(column.threshold), p]


def _show_segments(found: Segments, console: Console) -> None:
    console.print(Text(f"\nBy {found.column}", "bold"))
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    names = min(_NAME, max((len(one.value) for one in found.segments), default=0))
    table.add_column(found.column, overflow="ellipsis", no_wrap=True, min_width=max(names, len(found.column)))
    for heading in ("reference", "current", "drifted"):
        table.add_column(heading, justify="right", no_wrap=True, min_width=9)
    table.add_column("the worst", overflow="ellipsis", no_wrap=True)
    for one in found.segments:
        drifted = one.drifted
        told = Text(f"{len(drifted)} of {len(one.columns)}", "bold red" if drifted else "green")
        rows = (f"{one.rows_reference:,}", f"{one.rows_current:,}")
        table.add_row(Text(one.value), *rows, told, Text(_listed([c.name for c in drifted])))
    console.print(table)
    for value, why in found.left_out.items():
        console.print(Text(f"{value}: {why}", "dim"), soft_wrap=True)


def _show_legend(outcome: Outcome, shown: Iterable[ColumnComparison], console: Console) -> None:
    present = {verdict(column) for column in shown}
    console.print()
    for each in Verdict:
        if each in present and present != {Verdict.STEADY}:  # else the first sentence has said it
            console.print(
                Text.assemble((each.value, _STYLES[each]), (f": {EXPLAINED[each]}", "dim")), soft_wrap=True
            )
    told = f"On identical data this check says drift in at most {figures.share(outcome.alpha)} of cases."
    console.print(Text(told, "dim"), soft_wrap=True)


def _shares(column: ColumnComparison) -> str:
    missing = column.missing
    return "" if isinstance(missing, NoData) else figures.change(missing.reference, missing.current)


def _words(name: str, outcome: Outcome) -> str:
    found = outcome.texts[name]
    if isinstance(found, NoData):
        return name
    telling = _listed(
        [
            f"{each.ngram} {figures.change(each.share_reference, each.share_current)}"
            for each in found.telling[:_TELLING]
        ]
    )
    return f"{name} (AUC {found.auc:.2f}: {telling})"


def _vectors(found: Vectors) -> str:
    told = []
    if isinstance(found.place, NoData):
        told.append(f"not tested: {found.place.reason}")
    else:
        told.append(f"{'drift' if found.drifted else 'steady'}, {_area(found.place)}")
        if not isinstance(found.place.mmd, NoData):
            told.append(f"MMD {_measure(found.place.mmd)}")
    if not isinstance(found.missing, NoData) and found.missing.drifted:
        told.append(f"missing {figures.change(found.missing.reference, found.missing.current)}")
    return "; ".join(told)


def _joint(found: DomainVerdict | NoData) -> str:
    if isinstance(found, NoData):
        return f"not tested: {found.reason}"
    told = f"{'drift' if found.drifted else 'steady'}, {_area(found)}"
    carried = [f"{each.name} {figures.share(each.share)}" for each in found.carriers if each.share > _CARRIED]
    return f"{told}; carried by {_listed(carried)}" if found.drifted else told


def _area(found: VectorVerdict | DomainVerdict) -> str:
    low, high = found.auc_interval
    return f"AUC {found.auc:.2f} ({low:.2f} to {high:.2f}), p {figures.probability(found.p_value)}"


def _measure(found: MmdVerdict) -> str:
    return f"{figures.effect(found.effect)}, p {figures.probability(found.p_value)}"


def _listed(parts: Sequence[str], total: int | None = None, *, separator: str = ", ") -> str:
    """Return the first few, and how many more there are."""
    total = len(parts) if total is None else total
    shown = parts[:_LISTED]
    more = [f"{total - len(shown):,} more"] if total > len(shown) else []
    return separator.join([*shown, *more])
