from __future__ import annotations

import pickle
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pytest

from monitors.profiles.counting import grid
from monitors.profiles.counting.bins import numeric_plan
from monitors.profiles.plan import GRID, CategoricalPlan, Family, Kind, NumericPlan, Plan
from monitors.profiles.planning import SAMPLE, make_plan
from monitors.profiles.profile import NumericColumn
from monitors.profiles.tally import count
from spec import DataError

Law = Callable[[np.random.Generator, int], np.ndarray]
LAWS: dict[str, Law] = {
    "normal": lambda rng, n: rng.normal(size=n),
    "lognormal": lambda rng, n: rng.lognormal(0, 1, n),
    "wide lognormal": lambda rng, n: rng.lognormal(0, 3, n),
    "signed wide": lambda rng, n: rng.lognormal(0, 3, n) * rng.choice([-1, 1], n),
    "Cauchy": lambda rng, n: rng.standard_cauchy(n),
    "exponential": lambda rng, n: rng.exponential(size=n),
    "two peaks": lambda rng, n: rng.choice([-100, 100], n) + 0.1 * rng.normal(size=n),
    "zeros": lambda rng, n: np.where(rng.random(n) < 0.5, 0, rng.lognormal(0, 1, n)),
    "zeros and wide": lambda rng, n: np.where(rng.random(n) < 0.5, 0, rng.lognormal(0, 3, n)),
    "rounded": lambda rng, n: np.round(rng.normal(size=n), 1),
    "integers": lambda rng, n: rng.integers(0, 10**6, n),
    "dates": lambda rng, n: rng.integers(1_700_000_000_000_000, 1_702_000_000_000_000, n),
    "far from zero": lambda rng, n: 1e9 + rng.normal(size=n),
}


def planned(values: object, kind: Kind | None = None) -> NumericPlan:
    """Return the plan of a column."""
    kinds = {"x": kind} if kind else None
    column = make_plan(pa.table({"x": values}), kinds=kinds).columns["x"]
    assert isinstance(column, NumericPlan)
    return column


def counted(plan: NumericPlan, values: object) -> NumericColumn:
    """Return the counts of a column."""
    data = pa.table({"x": values})
    column = count(Plan({"x": plan}), data.schema, data.to_batches()).columns["x"]
    assert isinstance(column, NumericColumn)
    return column


@pytest.mark.parametrize("law", LAWS)
def test_bins_resolve_body_and_tails(law: str) -> None:
    """No bin holds more than 1 % of the reference, but for what a single value holds."""
    values = LAWS[law](np.random.default_rng(1), 200_000)
    plan = planned(values[:SAMPLE])
    found, times = np.unique(values, return_counts=True)
    atoms = found[times >= len(values) / 512]
    column = counted(plan, values[~np.isin(values, atoms)])

    assert column.counts.max() / len(values) <= 0.01


@pytest.mark.parametrize("law", LAWS)
def test_groups_are_few_and_even(law: str) -> None:
    """At most 24 groups of about a twentieth, but for single values; the first and the last nearly empty."""
    values = LAWS[law](np.random.default_rng(2), 200_000)
    plan = planned(values[:SAMPLE])
    column = counted(plan, values)
    groups = np.bincount(plan.groups, weights=column.counts) / column.n
    largest = np.unique(values, return_counts=True)[1].max() / len(values)

    assert plan.groups[0] == 0
    assert set(np.diff(plan.groups)) <= {0, 1}
    assert len(groups) <= 24
    assert groups.max() <= 0.06 + largest
    assert max(groups[0], groups[-1]) <= 0.001


@pytest.mark.parametrize("law", LAWS)
def test_edges_say_where_the_bins_are(law: str) -> None:
    """Edges run from -inf to inf and increase, one more than bins; ranks run from -63 to 63."""
    plan = planned(LAWS[law](np.random.default_rng(3), SAMPLE))

    assert plan.bins + 1 == len(plan.edges)
    assert [-np.inf, np.inf] == [plan.edges[0], plan.edges[-1]]
    assert (np.diff(plan.edges[1:-1]) >= 0).all()
    assert (np.diff(plan.cuts) > 0).all()
    assert [-63, 63] == [plan.ranks.min(), plan.ranks.max()]
    assert (np.diff(plan.ranks) >= 0).all()


@pytest.mark.parametrize(
    "values",
    [
        [0.1, 0.25, 7.5, 1e6],
        [1e-9, 2e-9, 1.0],
        [5e-324, 1.0, 1e308],
        [2**62, 2**62 + 1, 2**62 + 10**9],
        np.array([2**64 - 1, 2**64 - 2, 2**64 - 10**9], dtype=np.uint64),
        list(range(-200, 200)),
        [-1e308, 1e308],
        [10.0**power for power in range(-200, 200)],
    ],
)
def test_each_of_few_values_has_a_bin(values: list[float] | np.ndarray) -> None:
    """Where the sample has at most 512 different values, each has a bin, up to 2^-53 of their span."""
    column = counted(planned(values), values)

    assert len(values) == (column.counts == 1).sum()
    assert 0 == column.counts[0] == column.counts[-1]


def test_near_values_among_many_share_a_cell() -> None:
    """Beyond 512 values the resolution is a cell: 1/32,767 of the span of the central 99 %."""
    values = np.random.default_rng(4).random(SAMPLE)
    plan = planned(values)
    near = 0.5 + np.array([0.0, 1e-9])

    assert plan.step == pytest.approx(0.99 / GRID, rel=0.01)
    assert 2 == counted(plan, near).counts.max()


def test_scale_is_the_deviation_and_robust() -> None:
    """For normal data `scale` is within 1 % of the deviation, and one absurd row does not move it by 1 %."""
    values = np.random.default_rng(5).normal(10, 3, SAMPLE)
    plain = planned(values).scale
    disturbed = planned(np.append(values[1:], 1e12)).scale

    assert plain == pytest.approx(3, rel=0.01)
    assert disturbed == pytest.approx(plain, rel=0.01)
    assert planned([7.0] * 9).scale == 0
    assert planned([-1.7e308, 0.0, 1.7e308] * 9).scale == pytest.approx(np.std([-1.0, 0, 1]) * 1.7e308)


@pytest.mark.parametrize(
    "law", ["normal", "lognormal", "wide lognormal", "exponential", "two peaks", "far from zero"]
)
def test_a_change_of_unit_hardly_changes_the_counts(law: str) -> None:
    """Feet for metres, with an offset where there is one: counts by group agree within 0.1 % of the rows."""
    rng = np.random.default_rng(6)
    reference, current = LAWS[law](rng, SAMPLE), LAWS[law](rng, 50_000)
    offset = 0 if law == "wide lognormal" else 12.5
    here, there = planned(reference), planned(reference * 3.28 + offset)
    groups = np.bincount(here.groups, counted(here, current).counts)
    moved = np.bincount(there.groups, counted(there, current * 3.28 + offset).counts)

    assert len(groups) == len(moved)
    assert np.abs(groups - moved).max() <= 50
    assert there.scale == pytest.approx(here.scale * 3.28)


@pytest.mark.parametrize("values", [[], [None], [np.nan, np.inf, -np.inf]])
def test_no_finite_value_makes_one_bin(values: list[float]) -> None:
    """A column without a finite value has one bin, which counts whatever comes later."""
    plan = planned(pa.array(values, pa.float64()))

    assert 1 == plan.bins
    assert 3 == counted(plan, [1.0, -1e300, 5.0]).n


def test_types_say_what_columns_are() -> None:
    """Kinds come from types, texts from words; nested, binary and doubled columns are skipped, said so."""
    data = pa.table(
        {
            "number": [1, 2],
            "when": pa.array([1, 2], pa.timestamp("s")),
            "flag": [True, False],
            "word": ["a", "b"],
            "void": pa.nulls(2),
            "list": [[1], [2]],
            "bytes": [b"1", b"2"],
        }
    )
    plan = make_plan(data.append_column("number", pa.array([3, 4])))
    texts = make_plan(pa.table({"t": [f"these are words {n}" for n in range(200)]})).columns["t"]

    assert ["datetime", "boolean", "categorical", "categorical"] == [
        c.kind.value for c in plan.columns.values()
    ]
    assert {"number", "list", "bytes"} == plan.skipped.keys()
    assert plan.skipped["number"] == "more than one column has this name"
    assert plan.skipped["list"] == "columns of type list<item: int64> are not profiled"
    assert texts.kind is Kind.TEXT


def test_kinds_that_cannot_be_are_refused_all_at_once() -> None:
    """Every wrong kind is named in one error: columns that do not exist, types that do not fit."""
    data = pa.table({"number": [1], "list": [[1]]})

    with pytest.raises(DataError) as refused:
        make_plan(data, kinds={"nmber": Kind.NUMERIC, "list": Kind.CATEGORICAL, "number": Kind.DATETIME})

    assert ["nmber", "list", "number"] == [problem.where for problem in refused.value.problems]
    assert "Did you mean 'number'?" in refused.value.problems[0].hint


def test_numbers_may_be_categories() -> None:
    """A number that stands for a category has the same name whatever type stores it; NaN is missing."""
    kinds = {"x": Kind.CATEGORICAL}
    plans = [
        make_plan(pa.table({"x": pa.array(values, kind)}), kinds=kinds).columns["x"]
        for values, kind in [
            ([1, 1, 20], pa.int8()),
            ([1.0, 1.0, 20.0], pa.float64()),
            ([1.0, 1.0, np.nan, 20.0], pa.float32()),
            ([1, 1, 20], pa.decimal128(5, 2)),
            ([1, 1, 20], pa.float16()),
        ]
    ]

    assert [CategoricalPlan("x", Kind.CATEGORICAL, Family.NUMBER, ("1", "20"))] * 5 == plans


def test_tracked_values_are_the_most_frequent() -> None:
    """At most 1,000 values are tracked, the most frequent first and by name among equals."""
    values = [f"v{n:04}" for n in range(1500)] + ["z", "z", "y", "y", "x", "x", "x"]
    plan = make_plan(pa.table({"c": values})).columns["c"]

    assert isinstance(plan, CategoricalPlan)
    assert ("x", "y", "z", "v0000") == plan.values[:4]
    assert 1000 == len(plan.values)


def test_fingerprints_tell_plans_apart() -> None:
    """Plans that count alike are equal and have one fingerprint, also after a pickle; others differ."""
    plan = make_plan(pa.table({"x": [1.0, 2.0, 3.0], "c": ["a", "b", "a"]}))
    again = make_plan(pa.table({"x": [1.0, 2.0, 3.0], "c": ["a", "b", "a"]}))
    other = make_plan(pa.table({"x": [1.0, 2.0, 3.5], "c": ["a", "b", "a"]}))

    assert plan == again == pickle.loads(pickle.dumps(plan))  # noqa: S301 - our own bytes
    assert plan.fingerprint == again.fingerprint
    assert plan != other
    assert 1 == len({plan, again})


@pytest.mark.parametrize(("constant", "other"), [(0.37, 0.5), (0.0, 0.3), (1e300, 1.01e300), (3.0, 3.25)])
def test_a_value_beside_a_constant_has_another_bin(constant: float, other: float) -> None:
    """A float column that was constant and no longer is shows it, however near the new value lies."""
    plan = numeric_plan("x", Kind.NUMERIC, Family.NUMBER, np.full(100, constant))

    bins = np.searchsorted(
        plan.cuts, grid.cells(np.array([constant, other]), plan.center, plan.step), side="right"
    )

    assert bins[0] != bins[1]


def test_fractions_between_whole_floats_have_bins_of_their_own() -> None:
    """0.2 is told from 0.0 and 1.0, although the reference holds whole numbers only."""
    plan = numeric_plan("x", Kind.NUMERIC, Family.NUMBER, np.tile([0.0, 1.0], 50))

    bins = np.searchsorted(
        plan.cuts, grid.cells(np.array([0.0, 0.2, 1.0]), plan.center, plan.step), side="right"
    )

    assert plan.whole
    assert 3 == len(set(bins.tolist()))


@pytest.mark.parametrize("values", [[0.1, 0.2, 0.3], [0.1], [1e-9, 0.7, 3e8], [17.99, 4.5, 120.01]])
@pytest.mark.parametrize("single_first", [True, False])
def test_single_and_double_precision_of_the_same_values_are_the_same(
    values: list[float], *, single_first: bool
) -> None:
    """A model trained on float32 and served with float64 has not drifted."""
    double = np.tile(values, 50)
    sides = [pa.table({"x": double.astype(np.float32)}), pa.table({"x": double})]
    first, second = sides if single_first else sides[::-1]
    plan = make_plan(first)

    counts = [count(plan, side.schema, side.to_batches()).columns["x"].counts for side in (first, second)]

    assert counts[0].tolist() == counts[1].tolist()
