"""Inferred constraints admit what is new and refuse what cannot be right."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from monitors.quality import Constraints, constraints
from monitors.quality.shares import surely_over
from spec import FeatureType

NUMERIC, CATEGORICAL, BOOLEAN = FeatureType


def of(values: object, kind: FeatureType = NUMERIC) -> Constraints:
    """What the values of one column suggest."""
    return constraints(pd.DataFrame({"x": values}), {"x": kind})["x"]


def test_a_range_is_widened_by_its_span() -> None:
    """Numbers from 100 to 200 may be 0 to 300: seasons fit in, another unit does not."""
    found = of(np.linspace(100, 200, 501))

    assert (found.min, found.max, found.seen) == (0, 300, "100 to 200")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.arange(0, 1000), (0, 2000)),
        (np.arange(50, 1000), (0, 1950)),
        (np.arange(400, 1000), (-200, 1600)),
        (-np.arange(0, 1000), (-2000, 0)),
        (np.linspace(0, 0.01, 200), (0, 0.02)),
    ],
    ids=["from 0", "near 0", "far from 0", "negative", "small"],
)
def test_what_was_never_negative_stays_so(values: object, expected: tuple[float, float]) -> None:
    """The bound stops at 0 where values came near it on one side only; whole numbers have whole bounds."""
    found = of(values)

    assert found.min == pytest.approx(expected[0], abs=0.1 * abs(expected[1]) / 100)
    assert found.max == pytest.approx(expected[1], rel=0.01)


def test_absurd_values_do_not_widen_the_range() -> None:
    """One 1e12 among a thousand ordinary values leaves the bounds within an order of them."""
    values = np.random.default_rng(1).normal(100, 10, 1000)

    found = of(np.r_[values, 1e12, -1e12, np.inf])

    assert found.max is not None
    assert found.min is not None
    assert -1000 < found.min < 50
    assert 150 < found.max < 1000


@pytest.mark.parametrize("law", ["normal", "lognormal", "exponential", "standard_t"])
def test_fresh_rows_keep_what_was_inferred(law: str) -> None:
    """Of 200 windows of the same law, heavy tails too, none is accused at the 1 % that may break it."""
    rng = np.random.default_rng(3)
    draw = {"standard_t": lambda n: rng.standard_t(2, n)}.get(law, lambda n: getattr(rng, law)(size=n))
    found = of(draw(2000))
    assert found.min is not None
    assert found.max is not None

    accused = 0
    for _ in range(200):
        window = draw(500)
        outside = int(np.count_nonzero((window < found.min) | (window > found.max)))
        accused += surely_over(outside, 500, 0.01)
    assert accused == 0


@pytest.mark.parametrize(
    "values", [np.arange(9).repeat(50), np.full(500, 7.0), np.arange(50.0), [np.nan] * 200]
)
def test_codes_constants_and_few_rows_have_no_range(values: object) -> None:
    """Months go on, a constant says nothing of others, and fifty rows are few."""
    found = of(values)

    assert (found.min, found.max) == (None, None)


def test_few_categories_are_listed() -> None:
    """Values are listed where there are at most thirty, and new ones are unlikely by Good's estimate."""
    assert of(["b", "a"] * 500, CATEGORICAL).values == ("a", "b")  # noqa: PD011 - of a record
    assert of(["a"] * 1000 + ["b", "c"], CATEGORICAL).values is None  # noqa: PD011
    assert of([str(at % 31) for at in range(3100)], CATEGORICAL).values is None  # noqa: PD011
    assert of(["a"] * 99, CATEGORICAL).values is None  # noqa: PD011


def test_what_the_sample_lacks_is_taken_from_the_reference() -> None:
    """A range and the categories of all rows stand for those that a sample of them shows."""
    rows = pd.DataFrame({"x": np.linspace(0, 100, 500), "c": ["a", "b"] * 250})
    types = {"x": NUMERIC, "c": CATEGORICAL, "absent": NUMERIC}

    found = constraints(rows, types, ranges={"x": (0, 150)}, categories={"c": frozenset("abz")})

    assert found["x"].seen == "0 to 150"
    assert found["x"].max == 300
    assert found["c"].values == ("a", "b", "z")  # noqa: PD011
    assert "absent" not in found


@pytest.mark.parametrize(("missing", "allowed"), [(0, 0.05), (100, 0.3), (400, None)])
def test_three_times_the_nulls_seen_are_allowed(missing: int, allowed: float | None) -> None:
    """At least 5 % may be null; where a third is missing already, any share may."""
    assert of(np.r_[np.arange(1000.0 - missing), np.full(missing, np.nan)]).nulls == allowed
    assert (
        of(pd.Series([True] * (1000 - missing) + [None] * missing, dtype="boolean"), BOOLEAN).nulls == allowed
    )


def test_identifiers_are_unique() -> None:
    """A category of which every row has another value is unique; one that repeats is not."""
    assert of([str(at) for at in range(100)], CATEGORICAL).unique
    assert not of([str(at % 99) for at in range(100)], CATEGORICAL).unique
    assert not of([str(at) for at in range(99)], CATEGORICAL).unique
