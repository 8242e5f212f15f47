from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pytest

from monitors.profiles.counting import grid
from monitors.profiles.counting.lookup import CHUNK, MIDDLE, Lookup, Workspace, lookup, to_codes
from monitors.profiles.counting.moments import EXACT_CELL, cell_sums, code_sums
from monitors.profiles.plan import NumericPlan
from monitors.profiles.planning import make_plan


def planned(values: np.ndarray) -> NumericPlan:
    """Return the plan of a column."""
    column = make_plan(pa.table({"x": values})).columns["x"]
    assert isinstance(column, NumericPlan)
    return column


def tallied(plan: NumericPlan, values: np.ndarray) -> grid.GridTally:
    """Return what is counted of one array."""
    tally = grid.GridTally(plan)
    tally.add([values], 0)
    return tally


@pytest.mark.parametrize("sigma", [1, 3])
def test_the_table_agrees_with_bisection(sigma: float) -> None:
    """A look-up gives each place the bin of a binary search, on even grids (sigma 1) and over decades (3)."""
    rng = np.random.default_rng(0)
    plan = planned(rng.lognormal(0, sigma, CHUNK))
    values = np.concatenate(
        [rng.lognormal(0, sigma, CHUNK - 4000), 10.0 ** rng.uniform(-20, 20, 2000), -rng.random(2000)]
    )
    places = grid.offsets(values, plan.center) if plan.exact else grid.cells(values, plan.center, plan.step)
    expected = np.searchsorted(plan.cuts, places, side="right")

    assert (sigma == 3) is plan.exact
    assert expected.tolist() == Lookup(plan).bins(places, Workspace(), math.inf).tolist()
    assert np.bincount(expected, minlength=plan.bins).tolist() == tallied(plan, values).counts.tolist()
    found = np.concatenate([bins.copy() for _, bins in grid.bins(plan, values, Workspace())])
    assert expected.tolist() == found.tolist()


def test_the_exact_table_leaves_little_to_bisect() -> None:
    """For values over decades less than a tenth of the places need a binary search."""
    values = np.random.default_rng(1).lognormal(0, 3, CHUNK)
    plan = planned(values)
    table = Lookup(plan)
    found = table._looked_up(grid.offsets(values, plan.center), Workspace(), math.inf)

    assert plan.exact
    assert np.mean(found == plan.bins) < 0.1


def test_a_plan_has_one_table() -> None:
    """Tallies of one plan share its table."""
    plan = planned(np.arange(10.0))

    assert lookup(plan) is lookup(plan)


@pytest.mark.parametrize(
    "dtype", [np.int8, np.uint8, np.int16, np.int32, np.uint32, np.int64, np.uint64, np.float32]
)
def test_the_dtype_does_not_show(dtype: type) -> None:
    """The same small numbers are counted alike whatever dtype brings them."""
    plan = planned(np.arange(100))
    values = np.array([0, 3, 3, 99, 120])
    plain, other = tallied(plan, values), tallied(plan, values.astype(dtype))

    assert plain.counts.tolist() == other.counts.tolist()
    assert (plain.sum, plain.squares, plain.minimum, plain.maximum) == (
        other.sum,
        other.squares,
        other.minimum,
        other.maximum,
    )


@pytest.mark.parametrize("center", [0, -(2**63), 2**63 - 1, 2**64 - 1, 2**53 + 1])
def test_offsets_of_integers_are_rounded_once(center: int) -> None:
    """Offsets of 64-bit integers are the floats next to the true ones where these are below 2^53."""
    near = [center + step for step in (-5, -1, 0, 1, 2, 2**40) if -(2**63) <= center + step < 2**63]
    values = np.array([*near, -(2**63), 2**63 - 1, 0], dtype=np.int64)
    wide = np.array([center - 3 if center > 3 else 3, 2**64 - 1, 0], dtype=np.uint64)

    for numbers in (values, wide):
        expected = [float(int(value) - center) for value in numbers]
        found = grid.offsets(numbers, center).tolist()
        assert expected == pytest.approx(found, rel=1e-15)
        assert [e for e in expected if abs(e) < 2**53] == [f for f in found if abs(f) < 2**53]


def test_an_integer_has_one_offset_whatever_is_beside_it() -> None:
    """Neither extreme neighbours nor the way they make the kernel take change a value's cell."""
    values = np.array([5, 2**40, 2**53 - 1, -(2**52)])
    alone = [grid.offsets(values[place : place + 1], 7)[0] for place in range(4)]
    beside = grid.offsets(np.append(values, [2**63 - 1, -(2**63)]), 7)[:4]

    assert alone == beside.tolist()


def test_sums_are_exact_near_and_to_18_bits_beyond() -> None:
    """Near cells are summed as they are; far ones by their leading 18 bits, in whatever company."""
    rng = np.random.default_rng(2)
    near = np.rint(rng.normal(size=1000) * 1e4)
    far = np.array([EXACT_CELL, -(2.0**60), 3 * 2.0**999, 2.0**18 + 1])
    buffer = np.empty(2000)
    expected = sum(map(int, near)), sum(int(cell) ** 2 for cell in near)

    assert expected == cell_sums(near.copy(), EXACT_CELL - 1, buffer[:1000])
    assert expected == cell_sums(near.copy(), math.inf, buffer[:1000])
    total, squares = cell_sums(np.concatenate([near, far]), math.inf, buffer[:1004])
    leading = [EXACT_CELL, -(2**60), 3 * 2**999, 2**18]
    assert expected[0] + sum(leading) == total
    assert expected[1] + sum(cell**2 for cell in leading) == squares


def test_codes_are_summed_as_the_cells_they_stand_for() -> None:
    """The quick way through codes rounds, counts and sums as the slow one does, up to the last near cell."""
    rng = np.random.default_rng(3)
    cells = np.concatenate([rng.normal(size=1000) * 1e4, [0.5, 1.5, -0.5, EXACT_CELL - 1, 1 - EXACT_CELL]])
    expected = cell_sums(np.rint(cells), EXACT_CELL - 1, np.empty(len(cells)))
    codes = to_codes(cells, np.empty(len(cells)))

    assert (np.rint(cells) + MIDDLE).tolist() == codes.tolist()
    assert expected == code_sums(codes, MIDDLE, np.empty_like(codes))


def test_pieces_are_counted_as_the_array_they_make() -> None:
    """Arrays that are given together, short, empty, longer than a chunk, NaN in some, are one array."""
    rng = np.random.default_rng(4)
    values = rng.lognormal(0, 2, CHUNK + 5000)
    values[[0, 1, 700, CHUNK + 1]] = [np.nan, np.inf, np.nan, 1e300]
    pieces = np.split(values, [2, 2, 600, 900, CHUNK + 1000])
    plan = planned(values[2000:9000])
    together, whole = grid.GridTally(plan), tallied(plan, values)
    together.add(pieces, 3)

    assert whole.counts.tolist() == together.counts.tolist()
    assert (whole.sum, whole.squares, whole.minimum, whole.maximum) == (
        together.sum,
        together.squares,
        together.minimum,
        together.maximum,
    )
    assert (2, 1, 3) == (together.nans, together.pos_inf, together.nulls)


def test_what_is_not_finite_is_counted_apart() -> None:
    """NaN and infinities are in no bin and in no extreme; -0.0 is 0.0."""
    tally = tallied(planned(np.arange(9.0)), np.array([np.nan, np.inf, -np.inf, np.inf, -0.0]))

    assert (1, 2, 1) == (tally.nans, tally.pos_inf, tally.neg_inf)
    assert 1 == tally.counts.sum()
    assert ("0.0", "0.0") == (str(tally.minimum), str(tally.maximum))


def test_a_range_beyond_floats_is_counted() -> None:
    """Values whose distance is no float are each in a bin at their end."""
    tally = tallied(planned(np.linspace(0, 1, 1000)), np.array([-1.7e308, 1.7e308, 0.5]))

    assert [1, 1] == [tally.counts[0], tally.counts[-1]]
    assert 3 == tally.counts.sum()
