from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from monitors.profiles import profile_format
from monitors.profiles.counting import grid
from monitors.profiles.plan import Kind, NumericPlan, Plan
from monitors.profiles.planning import make_plan
from monitors.profiles.profile import CategoricalColumn, NumericColumn, Profile, empty, merged
from monitors.profiles.tally import count

floats = st.floats() | st.sampled_from([0.0, -0.0, 1.0, 1e308, -1e308, 5e-324, math.inf, -math.inf, math.nan])
words = st.sampled_from(["a", "b", "c", "", "ü", "\x00"]) | st.text(max_size=3)
integers = st.integers(-(2**63), 2**63 - 1) | st.integers(-3, 3)
rows = st.tuples(
    floats | st.none(),
    integers | st.none(),
    words | st.none(),
    st.booleans() | st.none(),
    integers | st.none(),
)
tables = st.lists(rows, max_size=25)
SCHEMA = pa.schema(
    {
        "real": pa.float64(),
        "whole": pa.int64(),
        "word": pa.string(),
        "flag": pa.bool_(),
        "when": pa.timestamp("us", tz="UTC"),
    }
)
few = settings(max_examples=50, deadline=None)


def table(drawn: Sequence[tuple[object, ...]]) -> pa.Table:
    """Return the drawn rows."""
    columns = list(zip(*drawn, strict=True)) or [()] * len(SCHEMA)
    return pa.table(
        [pa.array(column, field.type) for column, field in zip(columns, SCHEMA, strict=True)], SCHEMA
    )


def profiled(plan: Plan, data: pa.Table) -> Profile:
    """Return what is counted of a table."""
    return count(plan, data.schema, data.to_batches())


def numeric(profile: Profile, name: str) -> NumericColumn:
    """Return a numeric column."""
    column = profile.columns[name]
    assert isinstance(column, NumericColumn)
    return column


def categorical(profile: Profile, name: str) -> CategoricalColumn:
    """Return a categorical column."""
    column = profile.columns[name]
    assert isinstance(column, CategoricalColumn)
    return column


@few
@given(reference=tables, parts=st.lists(tables, min_size=3, max_size=3), pairs=st.booleans())
def test_merging_is_associative_and_commutative(
    reference: list[tuple[object, ...]],
    parts: list[list[tuple[object, ...]]],
    pairs: bool,
) -> None:
    """Profiles add up to exactly the same in any order and grouping, and no rows change nothing."""
    plan = make_plan(table(reference), pairs=pairs)
    one, two, three = (profiled(plan, table(part)) for part in parts)

    assert (one + two) + three == one + (two + three)
    assert one + two == two + one
    assert one + empty(plan) == one
    assert merged([one, two, three]) == profiled(plan, table([row for part in parts for row in part]))


@few
@given(reference=tables, current=tables, size=st.integers(1, 50), seed=st.integers(0, 9))
def test_batches_and_order_do_not_show(
    reference: list[tuple[object, ...]], current: list[tuple[object, ...]], size: int, seed: int
) -> None:
    """However rows are cut into batches, and in whatever order they come, their profile is the same."""
    plan = make_plan(table(reference), pairs=True)
    whole = profiled(plan, table(current))
    shuffled = table(current).take(np.random.default_rng(seed).permutation(len(current)))

    assert whole == count(plan, SCHEMA, table(current).to_batches(max_chunksize=size))
    assert whole == profiled(plan, shuffled)
    assert whole == profiled(plan, pa.concat_tables([table(current[:0]), table(current)]))


@few
@given(reference=tables, current=tables)
def test_every_row_is_counted_once(
    reference: list[tuple[object, ...]], current: list[tuple[object, ...]]
) -> None:
    """What was counted, null, NaN and infinite adds up to the number of rows in every column."""
    profile = profiled(make_plan(table(reference)), table(current))

    assert len(current) == profile.rows
    assert {name: len(current) for name in SCHEMA.names} == {n: c.rows for n, c in profile.columns.items()}
    real = [row[0] for row in current]
    column = numeric(profile, "real")
    assert sum(value is None for value in real) == column.nulls
    assert sum(value is not None and math.isnan(value) for value in real) == column.nans  # type: ignore[arg-type]
    assert real.count(math.inf) == column.pos_inf
    assert real.count(-math.inf) == column.neg_inf


@few
@given(reference=tables, current=tables)
def test_counts_are_those_of_a_search_among_the_cuts(
    reference: list[tuple[object, ...]], current: list[tuple[object, ...]]
) -> None:
    """A bin holds the values whose cell, or whose offset where the plan is exact, lies between its cuts."""
    profile = profiled(make_plan(table(reference)), table(current))

    for place, name in enumerate(("real", "whole")):
        column = numeric(profile, name)
        drawn = [row[place] for row in current if row[place] is not None]
        values = np.array(drawn, dtype=np.float64 if name == "real" else np.int64)
        values = values[np.isfinite(values)]
        assert searched(column.plan, values).tolist() == column.counts.tolist()
        assert (values.min().item() if len(values) else None) == column.minimum
        assert (values.max().item() if len(values) else None) == column.maximum


def searched(plan: NumericPlan, values: np.ndarray) -> np.ndarray:
    """Count in the simplest way that there is: one value after the other."""
    counts = np.zeros(plan.bins, dtype=np.int64)
    for value in values:
        alone = np.array([value])
        if plan.exact:
            place = grid.offsets(alone, plan.center)[0]
        else:
            place = grid.cells(alone, plan.center, plan.step)[0]
        counts[np.searchsorted(plan.cuts, place, side="right")] += 1
    return counts


@few
@given(
    reference=st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30),
    current=st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=30),
)
def test_moments_are_exact_sums_of_cells(reference: list[float], current: list[float]) -> None:
    """Mean and deviation come from integer sums, and are those of the values up to the stated bound."""
    plan = make_plan(pa.table({"x": reference}))
    column = numeric(profiled(plan, pa.table({"x": current})), "x")
    step, center = Fraction(column.plan.step), Fraction(column.plan.center)
    exact = [Fraction(value) for value in current]
    mean = sum(exact) / len(exact)
    bound = float(step * 51 / 100) + max(abs(float(value - center)) for value in exact) * 2.0**-18
    variance = sum((value - mean) ** 2 for value in exact) / len(exact)
    deviation = float(Fraction(math.isqrt(int(variance * 4**1100)), 2**1100))

    assert column.mean is not None
    assert column.std is not None
    assert abs(float(mean) - column.mean) <= bound
    assert abs(deviation - column.std) <= 2 * bound


@few
@given(reference=st.lists(words | st.none(), max_size=30), current=st.lists(words | st.none(), max_size=30))
def test_the_storage_of_strings_does_not_show(reference: list[str | None], current: list[str | None]) -> None:
    """Plain, large, viewed, coded and sliced strings have the same plan and the same profile."""
    plain = pa.array(current, pa.string())
    plan = make_plan(pa.table({"c": pa.array(reference, pa.string())}), kinds={"c": Kind.CATEGORICAL})
    padded = pa.array(["pad", *current, "pad"], pa.string()).slice(1, len(current))
    forms = [
        plain.cast(pa.large_string()),
        plain.cast(pa.string_view()),
        plain.dictionary_encode(),
        plain.cast(pa.large_string()).dictionary_encode(),
        padded,
        padded.dictionary_encode(),
    ]
    counted = profiled(plan, pa.table({"c": plain}))

    for form in forms:
        assert counted == profiled(plan, pa.table({"c": form})), form.type
        assert (
            make_plan(pa.table({"c": plain})).columns.keys()
            == make_plan(pa.table({"c": form})).columns.keys()
        )
    known = [word for word in current if word is not None]
    column = categorical(counted, "c")
    assert [known.count(value) for value in column.plan.values] == column.counts.tolist()  # type: ignore[union-attr]
    assert {w: known.count(w) for w in known if w not in column.plan.values} == dict(column.rare)
    assert len(set(known)) == column.distinct


@few
@given(
    reference=st.lists(st.integers(-(2**24), 2**24), min_size=1, max_size=40),
    current=st.lists(st.integers(-(2**24), 2**24), max_size=40),
)
def test_the_storage_of_numbers_does_not_show(reference: list[int], current: list[int]) -> None:
    """The same numbers as int64, int32, float64, float32 or decimals have the same counts and moments."""
    plan = make_plan(pa.table({"x": pa.array(reference, pa.int64())}))
    whole = profiled(plan, pa.table({"x": pa.array(current, pa.int64())}))

    for kind in (pa.int32(), pa.float64(), pa.float32(), pa.decimal128(22, 2)):
        assert whole == profiled(plan, pa.table({"x": pa.array(current, pa.int64()).cast(kind)})), kind


@few
@given(reference=tables, current=tables, pairs=st.booleans())
def test_bytes_bring_the_profile_back(
    reference: list[tuple[object, ...]],
    current: list[tuple[object, ...]],
    pairs: bool,
) -> None:
    """A profile read from its bytes equals it and writes the same bytes, with its plan or without."""
    plan = make_plan(table(reference), pairs=pairs)
    profile = profiled(plan, table(current))
    content = profile_format.to_bytes(profile)
    short = profile_format.to_bytes(profile, with_plan=False)

    assert profile == profile_format.from_bytes(content)
    assert plan.fingerprint == profile_format.from_bytes(content).plan.fingerprint
    assert content == profile_format.to_bytes(profile_format.from_bytes(content))
    assert profile == profile_format.from_bytes(short, plan=plan)
    assert len(short) < len(content)


@few
@given(drawn=st.lists(st.tuples(words, words), max_size=60), split=st.integers(0, 60))
def test_unseen_values_are_exact_while_they_are_few(drawn: list[tuple[str, str]], split: int) -> None:
    """Up to 255 values that the reference lacks keep their own counts through any merge."""
    values = [one + other for one, other in drawn]
    plan = make_plan(pa.table({"c": pa.array([], pa.string())}))
    parts = [pa.table({"c": pa.array(part, pa.string())}) for part in (values[:split], values[split:])]
    column = categorical(merged([profiled(plan, part) for part in parts]), "c")

    assert {value: values.count(value) for value in values} == dict(column.rare)
    assert len(values) == int(column.others.sum())
