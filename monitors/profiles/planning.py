"""Takes the plan from a sample of the reference: what each column is, and where its bins lie."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyarrow as pa

from monitors.profiles.counting import columns
from monitors.profiles.counting.arrow_arrays import arrow_flags, numpy_numbers
from monitors.profiles.counting.bins import numeric_plan
from monitors.profiles.plan import TRACKED, CategoricalPlan, ColumnPlan, Family, Ints, Kind, Plan
from spec import DataError, Problem, did_you_mean

SAMPLE = 2**15
"""Rows of the reference from which the plan is taken."""

_TEXT_SHARE, _TEXT_LEAST, _TEXT_WORDS = 0.5, 100, 3


def make_plan(sample: pa.Table, *, kinds: Mapping[str, Kind] | None = None, pairs: bool = False) -> Plan:
    """Return the plan of a reference.

    Numbers are numeric, instants and dates datetime, strings categorical: or text, where more than half of at
    least 100 values are distinct and have three words or more on average.

    Parameters
    ----------
    sample
        Rows of the reference from all over it, for instance 32,768.
    kinds
        What columns are, where their types do not say: numbers that are categories.
    pairs
        Whether to count the joint moments of the numeric columns too.

    Raises
    ------
    DataError
        With every name of `kinds` that is no column, and every kind that its type cannot have.
    """
    kinds = kinds or {}
    skipped = not_profiled(sample.schema, kinds)
    names = [name for name in sample.schema.names if name not in skipped]

    def planned(name: str) -> ColumnPlan:
        return _plan(name, sample.column(name).combine_chunks(), kinds.get(name))

    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:  # most of it is sorting, which runs beside
        return Plan(dict(zip(names, pool.map(planned, names), strict=True)), skipped, pairs)


def not_profiled(schema: pa.Schema, kinds: Mapping[str, Kind]) -> dict[str, str]:
    """Return the columns that have no plan, with the reason.

    Raises
    ------
    DataError
        As `make_plan` does.
    """
    _check(schema, kinds)
    skipped: dict[str, str] = {}
    times = Counter(schema.names)
    for field in schema:
        if times[field.name] > 1:
            skipped[field.name] = "more than one column has this name"
        elif columns.family(field.type) is None:
            skipped[field.name] = f"columns of type {field.type} are not profiled"
    return skipped


def _plan(name: str, array: pa.Array, kind: Kind | None) -> ColumnPlan:
    family = columns.family(array.type) or Family.NULL
    kind = kind or _kind(family, array)
    if kind is Kind.BOOLEAN:
        return CategoricalPlan(name, kind, family, ("false", "true"))
    if kind is Kind.CATEGORICAL:
        return CategoricalPlan(name, kind, family, _frequent(array))
    values = columns.lengths(array) if kind is Kind.TEXT else columns.numbers(array)
    return numeric_plan(name, kind, family, values)


def _kind(family: Family, array: pa.Array) -> Kind:
    if family is Family.STRING:
        return Kind.TEXT if _is_text(array) else Kind.CATEGORICAL
    known = {Family.BOOLEAN: Kind.BOOLEAN, Family.TIME: Kind.DATETIME, Family.NULL: Kind.CATEGORICAL}
    return known.get(family, Kind.NUMERIC)


def _is_text(array: pa.Array) -> bool:
    texts, counts = _counted(array)
    if counts.sum() < _TEXT_LEAST or len(texts) <= _TEXT_SHARE * counts.sum():
        return False
    words = sum(len(text.split()) for text in columns.decoded(texts))
    return words >= _TEXT_WORDS * len(texts)


def _frequent(array: pa.Array) -> tuple[str, ...]:
    """Return the values that are tracked, the most frequent first; by their bytes among equals."""
    texts, counts = _counted(array)
    least = np.partition(counts, -TRACKED)[-TRACKED] if len(counts) > TRACKED else 0
    likely = counts >= least
    names = columns.decoded(texts.filter(arrow_flags(likely)))
    ranked = sorted(zip((-counts[likely]).tolist(), names, strict=True))
    return tuple(dict.fromkeys(name for _, name in ranked[:TRACKED]))


def _counted(array: pa.Array) -> tuple[pa.Array, Ints]:
    """Return the distinct values that are not null as strings, and how often each stands there."""
    found = columns.strings(array).drop_null().value_counts()
    return found.field(0), numpy_numbers(found.field(1))


def _check(schema: pa.Schema, kinds: Mapping[str, Kind]) -> None:
    possible = {
        Kind.NUMERIC: {Family.NUMBER},
        Kind.DATETIME: {Family.TIME},
        Kind.BOOLEAN: {Family.BOOLEAN},
        Kind.TEXT: {Family.STRING},
        Kind.CATEGORICAL: {Family.STRING, Family.NUMBER, Family.BOOLEAN, Family.TIME},
    }
    problems = []
    for name, kind in kinds.items():
        if name not in schema.names:
            problems.append(
                Problem(name, "must be a column", "no such column", did_you_mean(name, schema.names))
            )
        elif columns.family(schema.field(name).type) not in possible[kind] | {Family.NULL}:
            problems.append(
                Problem(name, f"must be of a type that can be {kind.value}", str(schema.field(name).type))
            )
    if problems:
        raise DataError(problems)
