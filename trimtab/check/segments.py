"""The same comparison in each value of a column, so that what moved in one place is seen there."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa
import pyarrow.compute as pc

from monitors.comparing.compare import Methods, compare
from monitors.engines.sources import open_source
from monitors.profiles.plan import Plan
from monitors.profiles.profile import Profile
from monitors.profiles.tally import Tally
from spec import DataError, Problem
from trimtab.check.outcome import Segment, Segments
from trimtab.check.request import Data

MISSING = "(missing)"
"""The name of the rows without a value."""

_SHOWN, _MOST, _LEAST = 20, 1000, 50


def by_segment(
    sides: tuple[Data, Data], column: str, plan: Plan, methods: Methods, threshold: float, alpha: float
) -> Segments:
    """Return the comparison in each of the 20 most frequent values that have 50 rows on both sides.

    Parameters
    ----------
    plan
        The reference's, without the segment column.
    alpha
        For all segments together: each is tested at its share (Bonferroni), and its columns at that
        (Benjamini-Hochberg).

    Raises
    ------
    DataError
        The column has more than 1,000 values, so it makes no segments.
    """
    ours, theirs = (_counted(side, column, plan) for side in sides)
    rows = {
        value: (_rows(ours, value), _rows(theirs, value))
        for value in [*ours, *(v for v in theirs if v not in ours)]
    }
    ranked = sorted(rows, key=lambda value: (-min(rows[value]), -sum(rows[value]), value))
    large = [value for value in ranked if min(rows[value]) >= _LEAST]
    left_out = {
        value: f"left out, {_LEAST} rows a side are needed: {a:,} and {b:,}"
        for value, (a, b) in rows.items()
        if min(a, b) < _LEAST
    }
    left_out |= dict.fromkeys(large[_SHOWN:], f"left out, only the {_SHOWN} largest are shown")
    found = []
    for value in large[:_SHOWN]:
        compared = compare(
            ours[value],
            theirs[value],
            methods=methods,
            threshold=threshold,
            alpha=alpha / len(large[:_SHOWN]),
        )
        found.append(Segment(value, *rows[value], compared.columns))
    found.sort(key=lambda one: -len(one.drifted))
    return Segments(column, tuple(found), left_out)


def _rows(profiles: Mapping[str, Profile], value: str) -> int:
    return profiles[value].rows if value in profiles else 0


def _counted(side: Data, column: str, plan: Plan) -> dict[str, Profile]:
    """Return the profile of each value's rows, in one pass."""
    source = open_source(side.rows)
    names = [name for name in plan.columns if name in source.schema.names]
    schema = pa.schema([source.schema.field(name) for name in names])
    tallies: dict[str, Tally] = {}
    for batch in source.batches(list(dict.fromkeys([*names, column]))):
        values = pc.fill_null(pc.cast(batch.column(column), pa.string()), MISSING).dictionary_encode()
        inputs = batch.select(names)
        for code, value in enumerate(values.dictionary.to_pylist()):
            tally = tallies.get(value) or tallies.setdefault(value, Tally(plan, schema))
            tally.add(inputs.filter(pc.equal(values.indices, code)))
        if len(tallies) > _MOST:
            hint = "Name a column with few values, such as a country"
            raise DataError(
                [
                    Problem(
                        f"{side.name}: {column}",
                        f"must have at most {_MOST:,} values, for --segment",
                        "more",
                        hint,
                    )
                ]
            )
    return {value: tally.profile() for value, tally in tallies.items()}
