"""The questions that a sample answers: what texts say, where vectors lie, what all columns say together.

scikit-learn is imported where one of them is asked, and not before.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from monitors.comparing.column_pair import Missing
from monitors.comparing.compare import Methods
from monitors.comparing.comparison import MissingShift
from monitors.engines import local
from monitors.finding import NoData
from monitors.profiles.counting import columns as stored
from monitors.profiles.plan import Kind, Plan
from spec import DataError, Problem
from trimtab.check.outcome import Vectors
from trimtab.check.request import Data
from trimtab.check.vectors import lengths, plain

if TYPE_CHECKING:
    from monitors.multivariate.domain_classifier import DomainVerdict
    from monitors.multivariate.text import TextVerdict

ROWS = 5000
"""Rows of each side that are looked at; the same ones every time."""

_TESTS = 3  # of a column of vectors: the classifier, MMD, and the share of missing ones


def words(names: Sequence[str], sides: tuple[Data, Data], alpha: float) -> Mapping[str, TextVerdict | NoData]:
    """Return for each text column whether it says something else; `alpha` is for all of them together."""
    from monitors.multivariate.text import texts

    ours, theirs = (local.sample(side.rows, ROWS, columns=names) for side in sides)
    return {name: texts(ours.column(name), theirs.column(name), alpha=alpha / len(names)) for name in names}


def embeddings(names: Sequence[str], sides: tuple[Data, Data], alpha: float) -> Mapping[str, Vectors]:
    """Return for each column of vectors whether they lie elsewhere; `alpha` is for all of them together.

    Of its share, a column has a third for the classifier, a third for MMD and a third for what is missing.
    Where lists have several lengths on one side, nothing is said.

    Raises
    ------
    DataError
        With every column whose vectors have another length on the current side than in the reference.
    """
    drawn = [local.sample(side.rows, ROWS, columns=names) for side in sides]
    pairs = {name: (plain(drawn[0].column(name)), plain(drawn[1].column(name))) for name in names}
    long = {name: [lengths(side) for side in pair] for name, pair in pairs.items()}
    ragged = {name for name, (ours, theirs) in long.items() if max(len(ours), len(theirs)) > 1}
    problems = [
        _resized(f"{sides[1].name}: {name}", *ours, *theirs)
        for name, (ours, theirs) in long.items()
        if name not in ragged and ours and theirs and ours != theirs
    ]
    if problems:
        raise DataError(problems)
    share = alpha / len(names) / _TESTS
    return {
        name: _ragged(*long[name]) if name in ragged else _compared(*pair, share)
        for name, pair in pairs.items()
    }


def _compared(reference: pa.Array, current: pa.Array, alpha: float) -> Vectors:
    from monitors.multivariate.vectors import matrix, vectors

    found = vectors(reference, current, alpha=alpha)
    gone = [
        len(side) - int(np.isfinite(side).all(axis=1).sum()) if side.shape[1] else len(side)
        for side in map(matrix, (reference, current))
    ]
    return Vectors(found, _missing((len(reference), len(current)), (gone[0], gone[1]), alpha))


def _missing(rows: tuple[int, int], gone: tuple[int, int], alpha: float) -> MissingShift | NoData:
    if not min(rows):
        return NoData("a side has no rows")
    found = Missing(rows, gone)
    p_value = found.p_value()
    drifted = found.effect >= Methods().missing and p_value <= alpha
    return MissingShift(found.reference, found.current, found.effect, p_value, drifted)


def _ragged(*sides: Sequence[int]) -> Vectors:
    every = [length for side in sides for length in side]
    nothing = NoData(f"lists of {min(every)} to {max(every)} numbers are no vectors of one length")
    return Vectors(nothing, nothing)


def _resized(where: str, before: int, now: int) -> Problem:
    hint = "Was the embedding model changed? Leave the column out with --columns or --no-vectors"
    return Problem(where, f"must hold vectors of {before} numbers, as the reference", f"{now}", hint)


def together(plan: Plan, sides: tuple[Data, Data], alpha: float) -> DomainVerdict | NoData:
    """Return whether a classifier tells the sides apart by all columns of the plan; texts count by length."""
    from monitors.multivariate.domain_classifier import domain_classifier

    names = list(plan.columns)
    ours, theirs = (_measured(local.sample(side.rows, ROWS, columns=names), plan) for side in sides)
    coded = [name for name, column in plan.columns.items() if column.kind is Kind.CATEGORICAL]
    return domain_classifier(ours, theirs, categorical=coded, alpha=alpha)


def _measured(rows: pa.Table, plan: Plan) -> pa.Table:
    """Return the rows with the length of each text in its place: no two texts need be the same."""
    for place, name in enumerate(rows.column_names):
        if plan.columns[name].kind is Kind.TEXT:
            rows = rows.set_column(place, name, _text_lengths(rows.column(name).chunks))
    return rows


def _text_lengths(chunks: Iterable[pa.Array]) -> pa.ChunkedArray:
    counted = [pc.utf8_length(stored.strings(chunk)).cast(pa.int64()) for chunk in chunks]
    return pa.chunked_array(counted, pa.int64())
