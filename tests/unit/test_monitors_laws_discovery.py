from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import binomtest, chi2_contingency, false_discovery_control, fisher_exact

from monitors.finding import NoData
from monitors.laws.false_discovery import (
    Adjusted,
    benjamini_hochberg,
    benjamini_yekutieli,
    e_benjamini_hochberg,
)
from monitors.laws.two_proportions import p_value
from spec.errors import DataError


@pytest.mark.parametrize(("procedure", "method"), [(benjamini_hochberg, "bh"), (benjamini_yekutieli, "by")])
def test_adjusted_p_values_are_those_of_scipy(procedure: type[benjamini_hochberg], method: str) -> None:
    """For many sets of p-values, ties included, the adjusted ones are SciPy's and so are the rejections."""
    generator = np.random.default_rng(40)
    for size in (1, 2, 7, 50):
        p = np.round(generator.uniform(size=size) ** 3, 3)
        found = procedure({str(i): float(value) for i, value in enumerate(p)}, 0.1)
        expected = false_discovery_control(p, method=method)

        assert list(expected) == pytest.approx([one.p_value for one in found.values()])
        assert list(expected <= 0.1) == [one.rejected for one in found.values()]


def test_columns_without_data_do_not_count() -> None:
    """A hypothesis without data stays so, and makes the others no stricter; nothing at all is nothing."""
    none = NoData("all null")

    assert {"a": Adjusted(0.05, rejected=True), "b": none} == benjamini_hochberg({"a": 0.05, "b": none}, 0.05)
    assert {} == benjamini_hochberg({}, 0.05)


def test_the_false_discovery_rate_is_held() -> None:
    """Of 50 columns of which 10 moved, the mean share of false ones among the rejected is at most 10 %."""
    generator = np.random.default_rng(41)
    shares = []
    for _ in range(400):
        p = np.concatenate((generator.uniform(size=40), generator.uniform(size=10) ** 8))
        found = [
            one.rejected
            for one in benjamini_hochberg(dict(zip(map(str, range(50)), p, strict=True)), 0.1).values()
        ]
        shares.append(sum(found[:40]) / max(1, sum(found)))

    assert np.mean(shares) <= 0.1 * 40 / 50 + 3 * np.std(shares) / 20


def test_e_values_reject_by_rank() -> None:
    """The k largest e-values at least K/(rate·k) are rejected, infinity too; what is below 1 never is."""
    found = e_benjamini_hochberg({"a": 41.0, "b": 19.0, "c": math.inf, "d": 0.0, "e": NoData("empty")}, 0.1)

    assert {"a": True, "b": True, "c": True, "d": False} == {
        k: v.rejected for k, v in found.items() if k != "e"
    }
    assert NoData("empty") == found["e"]


def test_what_is_no_probability_is_told() -> None:
    """NaN, values outside [0, 1] and a rate outside (0, 1) are one error."""
    with pytest.raises(DataError) as raised:
        benjamini_hochberg({"a": math.nan, "b": 1.5, "c": 0.5}, 0.0)

    assert ["a", "b", "rate"] == [problem.where for problem in raised.value.problems]


@pytest.mark.parametrize(
    "table", [(0, 50, 3, 20), (5, 1_000, 9, 200), (1, 3, 2, 3), (400, 900, 350, 1_000), (0, 9, 9, 9)]
)
def test_two_proportions_are_fishers(table: tuple[int, int, int, int]) -> None:
    """The p-value is SciPy's exact one."""
    a, n, b, m = table

    assert p_value(*table) == pytest.approx(fisher_exact([[a, n - a], [b, m - b]]).pvalue, rel=1e-6)


def test_a_first_missing_value_is_no_alarm_and_three_are() -> None:
    """Against a million complete rows one missing of 100 has p = 1e-4, and three 1e-12."""
    assert p_value(0, 1_000_000, 1, 100) == pytest.approx(1e-4, rel=1e-3)
    assert p_value(0, 1_000_000, 3, 100) == pytest.approx(1e-12, rel=0.1)
    assert 1.0 == p_value(0, 10, 0, 3) == p_value(10, 10, 3, 3)


def test_large_counts_pass_over_to_the_chi_square_law() -> None:
    """Where the exact sum ends the laws agree; where few are expected it never ends."""
    for hits in (50_000, 100_000):
        more = hits + 1_000
        expected = chi2_contingency([[hits, hits], [more, 2 * hits - more]]).pvalue
        assert p_value(hits, 2 * hits, more, 2 * hits) == pytest.approx(expected, rel=0.05)
    assert p_value(10_000, 1e6, 0, 1e3) == pytest.approx(8.4309e-05, rel=1e-4)
    assert p_value(1_000_000, 1e9, 30, 1e3) == pytest.approx(binomtest(30, 1_000, 1e-3).pvalue, rel=0.01)


def test_impossible_counts_are_told_together() -> None:
    """An empty side and more hits than rows are one error."""
    with pytest.raises(DataError) as raised:
        p_value(0, 0, 5, 4)

    assert ["reference size", "current hits"] == [problem.where for problem in raised.value.problems]
