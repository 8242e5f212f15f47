"""What people are shown of a distribution: histograms, bars, lines of text, figures."""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
import pytest

from monitors.profiles import planning, tally
from monitors.profiles.plan import Kind
from monitors.profiles.profile import Column
from trimtab.check import figures
from trimtab.check.histogram import cumulative, histogram, quantiles
from trimtab.check.page.charts import small
from trimtab.check.page.ticks import ticks
from trimtab.check.shares import shares, unseen
from trimtab.check.sparkline import BLOCKS, LETTERS, sparklines


def _columns(reference: object, current: object) -> tuple[Column, Column]:
    tables = [pa.table({"x": values}) for values in (reference, current)]
    plan = planning.make_plan(tables[0])
    before, after = (tally.count(plan, table.schema, table.to_batches()).columns["x"] for table in tables)
    return before, after


def _normal(seed: int, shift: float = 0.0, n: int = 5000) -> np.ndarray:
    return np.random.default_rng(seed).normal(shift, 1, n)


def test_a_histogram_agrees_with_numpy_within_its_fine_bins() -> None:
    """The bars are NumPy's of the same edges, but for what one fine bin may shift."""
    values = _normal(0)
    before, after = _columns(values, _normal(1, 0.5))
    drawn = histogram(before, after, 24)
    expected = np.histogram(values, drawn.edges)[0] / len(values)
    assert np.allclose(expected, drawn.reference, atol=0.004)


def test_shares_inside_and_beyond_the_picture_are_all_rows() -> None:
    """Nothing is lost between the bars and the tails."""
    values = np.concatenate([_normal(0), [1e9, -1e6]])
    before, after = _columns(values, _normal(1, 3))
    drawn = histogram(before, after, 24)
    assert drawn.edges[0] > -10
    assert drawn.edges[-1] < 10
    for place, side in enumerate((drawn.reference, drawn.current)):
        assert 1 == pytest.approx(side.sum() + drawn.below[place] + drawn.above[place])


def test_whole_numbers_have_a_bar_each() -> None:
    """Counts of 0 to 9 are ten bars with the exact shares."""
    values = np.repeat(np.arange(10), np.arange(1, 11))
    drawn = histogram(*_columns(values, values), 48)
    assert (np.arange(1, 11) / 55).tolist() == pytest.approx(drawn.reference.tolist())


def test_a_value_of_great_mass_is_cut_off_instead_of_flattening_the_rest() -> None:
    """With nine tenths at zero the axis ends where the rest is seen."""
    values = np.concatenate([np.zeros(9000), np.random.default_rng(0).uniform(1, 100, 1000)])
    drawn = histogram(*_columns(values, values), 24)
    assert drawn.ceiling < 0.05 < drawn.reference.max()


def test_skewed_amounts_are_drawn_on_a_logarithmic_axis() -> None:
    """A log-normal column has even steps in logarithms; one with a zero has not."""
    values = np.exp(_normal(0))
    assert histogram(*_columns(values, values), 24).logarithmic
    with_zero = np.append(values, 0.0)
    assert not histogram(*_columns(with_zero, with_zero), 24).logarithmic


@pytest.mark.parametrize(
    "values", [[5.0], [5.0, 5.0, 5.0], [1e300, -1e300], [2**60, 2**60 + 1], [0.0, 1e-300]]
)
def test_odd_columns_are_drawn_in_finite_numbers(values: list[float]) -> None:
    """One row, constants and absurd ranges give a picture without NaN."""
    drawn = histogram(*_columns(values, values), 24)
    assert np.isfinite(drawn.edges).all()
    assert (np.diff(drawn.edges) > 0).all()
    assert np.isfinite(drawn.reference).all()


def test_nothing_to_draw_is_no_picture() -> None:
    """Columns without a finite value have neither histogram, quantiles nor line."""
    before, after = _columns(pa.nulls(3, pa.float64()), pa.nulls(2, pa.float64()))
    assert histogram(before, after, 24) is None
    assert [] == quantiles(before, [0.5])
    assert np.zeros(2).tolist() == cumulative(before, np.array([0.0, 1.0])).tolist()
    assert ("", "") == sparklines(before, after, 8)


def test_quantiles_agree_with_numpy() -> None:
    """Quantiles out of the bins are those of the values within 2 % of a deviation; whole numbers exactly."""
    values = _normal(3)
    before, _ = _columns(values, values)
    assert np.quantile(values, [0.05, 0.5, 0.95]).tolist() == pytest.approx(
        quantiles(before, [0.05, 0.5, 0.95]), abs=0.02
    )
    whole, _ = _columns(np.arange(101), np.arange(101))
    assert [50.0] == quantiles(whole, [0.5])


def test_unseen_values_are_named_with_their_shares() -> None:
    """A value that only the current side has is new, with its share; values of the reference are not."""
    before, after = _columns(["a"] * 3 + ["b"], ["a", "c", "c", "d"])
    found = unseen(before, after)
    assert (0.75, 2) == (found.share, found.distinct)
    assert [("c", 0.5), ("d", 0.25)] == [(each.value, each.current) for each in found.examples]
    assert unseen(before, before) is None


def test_the_rest_of_the_categories_is_one_bar() -> None:
    """Values beyond the limit are told as other, and all shares add up to 1."""
    before, after = _columns([f"v{place}" for place in range(20)] * 2, ["v0"] * 5)
    found = shares(before, after, 4)
    assert 4 == len(found.shown)
    assert found.rest is not None
    assert 1 == pytest.approx(sum(share.reference for share in found.shown) + found.rest.reference)
    assert "v0" in {share.value for share in found.shown}


@pytest.mark.parametrize("kind", ["boolean", "categorical"])
def test_a_category_of_great_mass_is_not_cut_off(kind: str) -> None:
    """Nine tenths are drawn nine times as high as one tenth: bars of shares are read against each other."""
    values = [True] * 9 + [False] if kind == "boolean" else ["often"] * 9 + ["rare"]
    before, after = _columns(values, values[::-1])
    line, _ = sparklines(before, after, 8)
    assert {BLOCKS[-1], BLOCKS[1]} == set(line)
    heights = sorted(float(tall) for tall in re.findall(r'height="([\d.]+)"', small(before, after)))
    assert [0.11, 0.11, 1, 1] == pytest.approx([tall / heights[-1] for tall in heights], abs=0.01)


@pytest.mark.parametrize("levels", [BLOCKS, LETTERS])
def test_a_sparkline_has_the_shape_of_the_counts(levels: str) -> None:
    """Both lines are on one axis; an empty place is a blank and a rare one is not."""
    lines = sparklines(*_columns([1] * 8 + [2] * 4 + [4], [1, 2, 4, 4]), 8, levels)
    assert 4 == len(lines[0]) == len(lines[1])
    assert levels[-1] == lines[0][0]
    assert " " == lines[0][2]
    assert levels[1] == lines[0][3]


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (0, "0"),
        (1234.6, "1,235"),
        (0.12345, "0.1235"),
        (1e9, "1.00e+09"),
        (1e-9, "1.00e-09"),
        (None, "–"),
        (12, "12"),
    ],
)
def test_numbers_have_four_digits(value: float | None, told: str) -> None:
    """A number is told in four significant digits, whatever its size."""
    assert told == figures.number(value)


def test_small_shares_and_probabilities_are_never_told_as_nothing() -> None:
    """What is not zero is not told as zero."""
    assert "<0.1 %" == figures.share(1e-6)
    assert "0 %" == figures.share(0)
    assert "<0.0001" == figures.probability(1e-300)


def test_instants_are_told_in_utc() -> None:
    """Midnight is a day, other times have minutes, and what no calendar has is a dash."""
    assert "1970-01-01" == figures.instant(0)
    assert "1970-01-01 00:01" == figures.instant(60e6)
    assert "–" == figures.instant(1e300)


@pytest.mark.parametrize(
    ("low", "high", "kind", "logarithmic"),
    [
        (0, 1, Kind.NUMERIC, False),
        (-3e6, 8e6, Kind.NUMERIC, False),
        (1e-3, 1e5, Kind.NUMERIC, True),
        (3, 400, Kind.NUMERIC, True),
        (0, 3e13, Kind.DATETIME, False),
        (1.7e15, 1.7e15 + 9e10, Kind.DATETIME, False),
    ],
)
def test_ticks_are_few_and_within_the_axis(low: float, high: float, kind: Kind, *, logarithmic: bool) -> None:
    """Labels differ, rise and lie between the ends."""
    found = ticks(low, high, kind, logarithmic=logarithmic)
    assert 1 <= len(found) <= 12
    assert all(low - 1e-9 <= value <= high * (1 + 1e-9) for value, _ in found)
    assert len(found) == len({label for _, label in found})


@pytest.mark.parametrize(("low", "high"), [(1, 1), (float("nan"), 1), (0, float("inf"))])
def test_an_axis_without_a_range_has_no_ticks(low: float, high: float) -> None:
    """Nothing is labelled where there is nothing to label."""
    assert [] == ticks(low, high, Kind.NUMERIC, logarithmic=False)
