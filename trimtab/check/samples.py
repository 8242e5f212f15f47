"""The questions that a sample answers: what texts say, where vectors lie, what all columns say together.

scikit-learn is imported where one of them is asked, and not before.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from monitors import columns as stored
from monitors.engines import local
from monitors.finding import NoData
from monitors.plan import Kind, Plan
from spec import DataError, Problem
from trimtab.check.request import Data
from trimtab.check.vectors import lengths, plain

if TYPE_CHECKING:
    from monitors.multivariate.domain_classifier import DomainVerdict
    from monitors.multivariate.text import TextVerdict
    from monitors.multivariate.vectors import VectorVerdict

ROWS = 5000
"""Rows of each side that are looked at; the same ones every time."""

_TESTS = 2  # of a column of vectors: the classifier, and MMD


def words(names: Sequence[str], sides: tuple[Data, Data], alpha: float) -> Mapping[str, TextVerdict | NoData]:
    """Return for each text column whether it says something else; `alpha` is for all of them together."""
    from monitors.multivariate.text import texts

    ours, theirs = (local.sample(side.rows, ROWS, columns=names) for side in sides)
    return {name: texts(ours.column(name), theirs.column(name), alpha=alpha / len(names)) for name in names}


def embeddings(
    names: Sequence[str], sides: tuple[Data, Data], alpha: float
) -> Mapping[str, VectorVerdict | NoData]:
    """Return for each column of vectors whether they lie elsewhere; `alpha` is for all of them together.

    A column has half of its share for the classifier, and half for MMD. One whose lists have several lengths
    on one side has `NoData`.

    Raises
    ------
    DataError
        With every column whose vectors have another length on the current side than in the reference.
    """
    from monitors.multivariate.vectors import vectors

    drawn = [local.sample(side.rows, ROWS, columns=names) for side in sides]
    pairs = {name: [plain(rows.column(name)) for rows in drawn] for name in names}
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
        name: _ragged(*long[name]) if name in ragged else vectors(*pair, alpha=share)
        for name, pair in pairs.items()
    }


def _ragged(*sides: Sequence[int]) -> NoData:
    every = [length for side in sides for length in side]
    return NoData(f"lists of {min(every)} to {max(every)} numbers are no vectors of one length")


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
