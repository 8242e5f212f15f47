from __future__ import annotations

import datetime as dt
import pickle
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from monitors.profiles.plan import Kind
from monitors.profiles.planning import make_plan
from monitors.profiles.profile import CategoricalColumn, Column, NumericColumn, empty, merged
from monitors.profiles.tally import count
from spec import DataError

UTF8_SIZES = pa.py_buffer(np.array([0, 1, 2], dtype=np.int32))


def profiled(reference: Any, current: Any = None, kind: Kind | None = None) -> Column:
    """Return the counts of a column by the plan of a reference, or of itself."""
    kinds = {"x": kind} if kind else None
    plan = make_plan(pa.table({"x": reference}), kinds=kinds)
    data = pa.table({"x": reference if current is None else current})
    return count(plan, data.schema, data.to_batches()).columns["x"]


ODD = {
    "all null": (pa.nulls(3, pa.float64()), 0, 3),
    "null type": (pa.nulls(3), 0, 3),
    "empty": (pa.array([], pa.float64()), 0, 0),
    "empty strings": (pa.array([], pa.string()), 0, 0),
    "one row": (pa.array([1.5]), 1, 0),
    "constant": (pa.array([2.0] * 50), 50, 0),
    "infinite only": (pa.array([np.inf, -np.inf]), 0, 0),
    "beyond 2^53": (pa.array([2**62 + n for n in range(50)] + [-(2**63), 2**63 - 1]), 52, 0),
    "unsigned": (pa.array([0, 2**64 - 1, 2**63, None], pa.uint64()), 3, 1),
    "half floats": (pa.array(np.array([65504, -65504, 1e-7, np.nan], np.float16)), 3, 1),
    "no span": (pa.array([1e308, -1e308, 1.7e308, 0.0]), 4, 0),
    "denormal": (pa.array(np.arange(1000) * 5e-324), 1000, 0),
    "decades": (pa.array([10.0**power for power in range(-300, 300)]), 600, 0),
    "decimals": (pa.array([Decimal("1.10"), None, Decimal("-9.99")], pa.decimal128(12, 2)), 2, 1),
    "wide decimals": (pa.array([Decimal(10) ** 70, None], pa.decimal256(76, 0)), 1, 1),
    "seconds": (pa.array([0, 2**62, -(2**62), None], pa.timestamp("s", "Europe/Vienna")), 3, 1),
    "milliseconds": (pa.array([0, 2**62, -(2**62)], pa.timestamp("ms")), 3, 0),
    "nanoseconds": (pa.array([0, 2**62, -(2**62)], pa.timestamp("ns")), 3, 0),
    "dates": (pa.array([0, 2**31 - 1, -(2**31), None], pa.int32()).view(pa.date32()), 3, 1),
    "long dates": (pa.array([dt.date(2024, 1, 1), None], pa.date64()), 1, 1),
    "times": (pa.array([1, None], pa.time32("s")), 1, 1),
    "fine times": (pa.array([1, 2], pa.time64("ns")), 2, 0),
    "durations": (pa.array([2**62, -1, None], pa.duration("s")), 2, 1),
    "flags": (pa.array([True, None, False]), 2, 1),
    "coded flags": (pa.DictionaryArray.from_arrays(pa.array([0, 1, None]), pa.array([True, False])), 2, 1),
    "coded numbers": (pa.array([1, 2, None, 1]).dictionary_encode(), 3, 1),
    "coded views": (pa.array(["a", "b" * 40, None]).dictionary_encode(), 2, 1),
    "runs": (pa.RunEndEncodedArray.from_arrays([2, 5], [1.0, None]), 2, 3),
    "runs of words": (pa.RunEndEncodedArray.from_arrays([2, 5], ["a", "b"]), 5, 0),
    "extension": (pa.ExtensionArray.from_storage(pa.json_(pa.string()), pa.array(["{}", None])), 1, 1),
    "not UTF-8": (pa.Array.from_buffers(pa.string(), 2, [None, UTF8_SIZES, pa.py_buffer(b"\xffa")]), 2, 0),
    "unicode": (pa.array(["ü", "\U0001f600", "", "\x00", None]), 4, 1),
}


@pytest.mark.parametrize("kind", [None, Kind.CATEGORICAL])
@pytest.mark.parametrize("case", ODD)
def test_odd_values_are_counted(case: str, kind: Kind | None) -> None:
    """Whatever the values, as numbers or as categories, rows add up and nothing is raised or warned of."""
    array, n, missing = ODD[case]
    column = profiled(array, kind=kind)

    assert len(array) == column.rows
    if kind is None or case != "infinite only":
        assert (n, missing) == (column.n, column.missing)
    if isinstance(column, NumericColumn):
        assert all(value is None or np.isfinite(value) for value in (column.mean, column.std))
        assert np.isfinite(column.plan.scale)


@pytest.mark.parametrize(
    "dtype",
    ["Int64", "UInt8", "uint8", "Float64", "float32", "double[pyarrow]", "int64[pyarrow]"],
)
def test_extension_dtypes_of_pandas_are_numbers(dtype: str) -> None:
    """Columns whose dtype other tools pass over in silence are monitored, their NA as missing."""
    series = pd.Series([1, 2, 3, 200], dtype=dtype)
    nullable = dtype not in ("uint8", "float32")
    with_gap = pd.concat([series, pd.Series([None], dtype=dtype)]) if nullable else series
    column = profiled(pa.Table.from_pandas(pd.DataFrame({"x": with_gap})).column("x").combine_chunks())

    assert isinstance(column, NumericColumn)
    assert (4, int(nullable), 200) == (column.n, column.missing, column.maximum)


@pytest.mark.parametrize("dtype", ["string[pyarrow]", "string", "str", "category", "object"])
def test_extension_dtypes_of_pandas_are_categories(dtype: str) -> None:
    """Strings in each of pandas' storages, and its categories, have the same counts."""
    frame = pd.DataFrame({"x": pd.Series(["a", "b", "a", None], dtype=dtype)})
    column = profiled(pa.Table.from_pandas(frame).column("x").combine_chunks())

    assert isinstance(column, CategoricalColumn)
    assert ([2, 1], 1) == (column.counts.tolist(), column.nulls)


def test_flags_and_instants_of_pandas_are_monitored() -> None:
    """`boolean` and zoned datetimes arrive as what they are."""
    times = pd.to_datetime(["2024-01-01", None], utc=True).tz_convert("Asia/Tokyo")
    data = pa.Table.from_pandas(
        pd.DataFrame({"flag": pd.array([True, None], dtype="boolean"), "time": times})
    )
    plan = make_plan(data)

    assert [Kind.BOOLEAN, Kind.DATETIME] == [column.kind for column in plan.columns.values()]
    profile = count(plan, data.schema, data.to_batches())
    assert [1, 1] == [column.missing for column in profile.columns.values()]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "UTC", "America/New_York"])
def test_units_and_zones_of_instants_do_not_show(unit: str, zone: str | None) -> None:
    """An instant is counted by its microseconds since the epoch, in whatever unit and zone it is stored."""
    seconds = [0, 1_700_000_000, -5]
    reference = pa.array([second * 10**6 for second in seconds], pa.timestamp("us"))
    current = pa.array(seconds, pa.timestamp("s")).cast(pa.timestamp(unit)).cast(pa.timestamp(unit, zone))
    if zone is not None:
        current = pa.array(seconds, pa.timestamp("s", zone)).cast(pa.timestamp(unit, zone))

    assert profiled(reference) == profiled(reference, current)


def test_dates_are_instants_at_midnight() -> None:
    """A column may change between dates and timestamps."""
    days = [dt.date(2024, 1, 1), dt.date(2024, 5, 5)]
    instants = pa.array(days).cast(pa.timestamp("ns"))

    assert profiled(pa.array(days)) == profiled(pa.array(days), instants)
    assert profiled(pa.array(days), None, Kind.CATEGORICAL) == profiled(
        pa.array(days), instants, Kind.CATEGORICAL
    )


def test_slices_and_empty_chunks_count_their_rows() -> None:
    """Offsets into buffers and chunks without rows do not show."""
    padded = pa.array([9.0, 1.0, None, 3.0, 9.0])
    sliced = pa.chunked_array([padded.slice(1, 2), padded.slice(2, 0), padded.slice(3, 1)])
    words = pa.array(["z", "a", None, "b", "z"])
    cut = pa.chunked_array([words.slice(1, 2), words.slice(2, 0), words.slice(3, 1)])

    assert profiled([1.0, None, 3.0]) == profiled([1.0, None, 3.0], sliced)
    assert profiled(["a", None, "b"]) == profiled(["a", None, "b"], cut)


def test_texts_are_counted_by_their_length_in_characters() -> None:
    """The length of a text is in characters, not bytes."""
    column = profiled(["one", "three", "four"], ["üüü", None, "sixsix"], Kind.TEXT)

    assert isinstance(column, NumericColumn)
    assert (3, 6, 1) == (column.minimum, column.maximum, column.nulls)


def test_a_million_distinct_strings_leave_a_small_profile() -> None:
    """High cardinality is estimated within a quarter and takes the room of 256 names."""
    names = pa.array(np.arange(1_000_000)).cast(pa.string())
    column = profiled(names.slice(0, 2**15), names, Kind.CATEGORICAL)

    assert isinstance(column, CategoricalColumn)
    assert 1_000_000 == column.n
    assert 256 == len(column.rare)
    assert column.distinct == pytest.approx(1_000_000, rel=0.25)


def test_changed_types_are_refused_all_at_once() -> None:
    """Every column that changed its family, or stands twice, is named in one error, with what it was."""
    plan = make_plan(pa.table({"number": [1], "word": ["a"], "twice": [1], "void": pa.nulls(1), "fine": [1]}))
    changed = pa.schema(
        [
            ("number", pa.string()),
            ("word", pa.bool_()),
            ("twice", pa.int8()),
            ("twice", pa.int8()),
            ("void", pa.list_(pa.int8())),
            ("fine", pa.float32()),
        ]
    )

    with pytest.raises(DataError) as refused:
        count(plan, changed, [])

    assert ["number", "word", "twice", "void"] == [problem.where for problem in refused.value.problems]
    assert "must be a number, as in the reference; found string" in str(refused.value.problems[0])


def test_columns_of_nulls_fit_any_type() -> None:
    """A column that had no value, or has none now, has not changed its type."""
    assert 2 == profiled(pa.nulls(2), ["a", "b"]).n
    assert 2 == profiled(pa.nulls(2), [1.5, 2.5]).n
    assert 2 == profiled(["a", "b"], pa.nulls(2)).missing
    assert 2 == profiled([1.0, 2.0], pa.nulls(2)).missing
    assert 2 == profiled(["a b c"], pa.nulls(2), Kind.TEXT).missing


def test_absent_and_extra_columns_are_no_error() -> None:
    """A table without some columns has a profile of the others, which does not add to one with them."""
    plan = make_plan(pa.table({"a": [1.0], "b": [2.0]}))
    part = count(plan, pa.schema({"b": pa.float64(), "new": pa.string()}), [])

    assert ("a",) == part.absent
    with pytest.raises(DataError, match="a: must be in both profiles; found in one only"):
        _ = part + empty(plan)


def test_profiles_of_different_plans_do_not_add_up() -> None:
    """The error names both plans and says what to do."""
    one, two = (empty(make_plan(pa.table({"x": [value, 2.0]}))) for value in (0.0, 1.0))

    with pytest.raises(DataError, match="must be counted by the same plan") as refused:
        merged([one, two])
    assert "profile(data, plan=reference.plan)" in str(refused.value)


def test_profiles_pickle() -> None:
    """A profile may cross the border of a process."""
    data = pa.table({"x": [1.0, None], "c": ["a", "z"]})
    plan = make_plan(data, pairs=True)
    profile = count(plan, data.schema, data.to_batches())

    assert profile == pickle.loads(pickle.dumps(profile))  # noqa: S301 - our own bytes


def test_mean_and_deviation_are_those_of_numpy() -> None:
    """Over a million values the moments agree with NumPy's to a hundred-thousandth of the deviation."""
    values = np.random.default_rng(0).lognormal(3, 1, 1_000_000)
    column = profiled(values[:20_000], values)

    assert isinstance(column, NumericColumn)
    assert column.mean == pytest.approx(values.mean(), rel=1e-6)
    assert column.std == pytest.approx(values.std(), rel=1e-5)
