from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from scipy.stats import norm, spearmanr
from statsmodels.stats.multitest import multipletests

from monitors.finding import NoData
from monitors.multivariate.correlation import (
    CorrelationVerdict,
    correlation,
    correlation_of_profiles,
    correlation_of_rows,
)
from monitors.multivariate.ranks import RankMoments, graded, moments
from monitors.multivariate.rows import pairs
from monitors.profiles.counting.cross import CrossMoments
from spec.errors import DataError, InputError

SEEDS = 400
EDGES = norm.ppf(np.arange(1, 512) / 512)


def matrix(*rho: float) -> np.ndarray:
    """Return the symmetric matrix of one or three correlations."""
    size = {1: 2, 3: 3}[len(rho)]
    full = np.eye(size)
    full[np.triu_indices(size, 1)] = rho
    return np.maximum(full, full.T) if min(rho) >= 0 else full + np.triu(full, 1).T


def certain(found: CorrelationVerdict | NoData) -> CorrelationVerdict:
    """Return a verdict, which must be one."""
    assert isinstance(found, CorrelationVerdict)
    return found


def normal(random: np.random.Generator, rows: int, rho: float) -> np.ndarray:
    """Two standard normal columns of a correlation."""
    first, second = random.normal(size=(2, rows))
    return np.column_stack([first, rho * first + (1 - rho**2) ** 0.5 * second])


def frame(values: np.ndarray) -> pd.DataFrame:
    """Name the columns a, b, …."""
    return pd.DataFrame(values, columns=list("abcdefgh")[: values.shape[1]])


def test_one_pair_by_hand() -> None:
    """Effect and p are the written formula's."""
    found = certain(correlation(["a", "b"], matrix(0.8), 103, matrix(0.5), 53))
    deviation = np.sqrt((1 + 0.32) / 100 + (1 + 0.125) / 50)

    assert pytest.approx(0.3) == found.effect
    assert pytest.approx(2 * norm.sf((np.arctanh(0.8) - np.arctanh(0.5)) / deviation)) == found.p_value
    assert pytest.approx(-0.3) == found.pairs[0].shift


def test_the_interval_of_a_certain_rho_is_fishers() -> None:
    """With a reference as good as known, Zou's interval is Fisher's of the current rho."""
    found = certain(correlation(["a", "b"], matrix(0.0), 10**12, matrix(0.5), 103))
    half = norm.ppf(0.975) * np.sqrt(1.125 / 100)

    assert (
        pytest.approx(tuple(np.tanh(np.arctanh(0.5) + np.array([-half, half]))), abs=1e-5) == found.interval
    )


def test_pairs_are_ranked_and_adjusted() -> None:
    """Pairs come the most changed first; q is statsmodels' Benjamini-Hochberg; p is Bonferroni's."""
    found = certain(correlation(["a", "b", "c"], matrix(0.1, 0.2, 0.3), 200, matrix(0.2, 0.6, 0.35), 150))
    p_values = [pair.p_value for pair in found.pairs]

    assert [("a", "c"), ("a", "b"), ("b", "c")] == [(pair.first, pair.second) for pair in found.pairs]
    assert pytest.approx(multipletests(p_values, method="fdr_bh")[1]) == [
        pair.q_value for pair in found.pairs
    ]
    assert pytest.approx(3 * min(p_values)) == found.p_value


def test_inflation_multiplies_the_variance() -> None:
    """A factor of 4 halves z."""
    plain, inflated = (
        certain(correlation(["a", "b"], matrix(0.2), 103, matrix(0.5), 103, inflation=factor))
        for factor in (1, 4)
    )

    assert pytest.approx(norm.isf(plain.p_value / 2) / 2) == norm.isf(inflated.p_value / 2)


def test_signs_and_certainty_stay_finite() -> None:
    """Correlations of ±1 give finite numbers, and the largest possible change is 2."""
    found = certain(correlation(["a", "b"], matrix(-1.0), 100, matrix(1.0), 100))

    assert found.effect == 2
    assert 1e-300 <= found.p_value < 1e-30
    assert np.isfinite(found.interval).all()


def test_what_cannot_be_compared_is_skipped_with_its_reason() -> None:
    """Pairs with a constant or with too few rows are named; without any other there is no data."""
    rho = matrix(0.1, np.nan, 0.2)
    n = np.array([[100, 100, 100], [100, 100, 19], [100, 19, 100]])
    found = certain(correlation(["a", "b", "c"], rho, n, matrix(0.1, 0.2, 0.2), 100))

    assert {"a × c": "constant on a side", "b × c": "fewer than 20 rows hold both"} == found.skipped
    assert isinstance(correlation(["a", "b"], matrix(0.1), 19, matrix(0.1), 100), NoData)


def test_matrices_that_do_not_fit_are_one_error() -> None:
    """A wrong shape and a value beyond 1 are named together."""
    with pytest.raises(InputError) as caught:
        correlation(["a", "b", "c"], matrix(0.1), 100, 2 * np.ones((3, 3)), 100)

    assert ["rho_reference", "rho_current"] == [problem.where for problem in caught.value.problems]


def rank_moments(reference: pd.DataFrame, current: pd.DataFrame) -> tuple[RankMoments, RankMoments]:
    """The moments of both sides' ranks, graded on the reference."""
    paired, _ = pairs(*(pa.Table.from_pandas(side, preserve_index=False) for side in (reference, current)))
    before, now = graded(paired)
    return moments(before), moments(now)


def test_rho_of_the_reference_is_scipys() -> None:
    """Skewed, tied and gappy columns have SciPy's rho, over the rows that hold both."""
    random = np.random.default_rng(0)
    values = np.column_stack([normal(random, 500, 0.6), random.exponential(size=500).round(1)])
    values[:, 1] = np.exp(3 * values[:, 1])
    reference = frame(values)
    mine = rank_moments(reference, reference)[0]

    assert pytest.approx(spearmanr(values).statistic, abs=1e-12) == mine.rho
    reference.loc[::3, "a"] = np.nan
    gappy = rank_moments(reference, reference)[0]
    assert [[333, 333, 333], [333, 500, 500], [333, 500, 500]] == gappy.n.tolist()
    kept = reference.dropna()
    assert pytest.approx(spearmanr(kept["a"], kept["b"]).statistic, abs=0.005) == gappy.rho[0, 1]


def test_inflation_is_about_one_for_normal_columns_and_more_where_rows_go_together() -> None:
    """Bonett and Wright's variance fits normal columns; not indicators of a common event."""
    random = np.random.default_rng(1)
    values = normal(random, 20_000, 0.8)
    smooth, binary = (
        rank_moments(frame(side), frame(side))[0] for side in (values, (values > 1).astype(float))
    )

    assert pytest.approx(1, abs=0.15) == smooth.inflation[0, 1]
    assert binary.inflation[0, 1] > 2


def test_inflation_is_the_variance_over_many_samples() -> None:
    """The variance of atanh(rho) over 600 samples is Bonett and Wright's times the inflation."""
    random = np.random.default_rng(2)
    population = frame((normal(random, 5_000, 0.8) > 0.5).astype(float))
    exact = rank_moments(population, population)[0]
    rhos = [
        rank_moments(population, frame((normal(random, 400, 0.8) > 0.5).astype(float)))[1].rho[0, 1]
        for _ in range(600)
    ]
    expected = exact.inflation[0, 1] * (1 + exact.rho[0, 1] ** 2 / 2) / 400

    assert pytest.approx(expected, rel=0.2) == np.arctanh(rhos).var()


SHAPES = {
    "normal": lambda values: values,
    "skewed": lambda values: np.exp(2 * values),
    "five levels": lambda values: np.digitize(values, [-1, -0.3, 0.3, 1]).astype(float),
    "many zeros": lambda values: np.maximum(values, 0.5),
    "two values": lambda values: (values > 0.5).astype(float),
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("rho", [0.0, 0.8])
def test_rows_hold_the_level_whatever_the_columns(shape: str, rho: float) -> None:
    """On two samples of one law at most 5 % are significant, within three binomial deviations."""
    rejected = []
    for seed in range(SEEDS):
        random = np.random.default_rng(seed)
        sides = (frame(SHAPES[shape](normal(random, rows, rho))) for rows in (150, 100))
        rejected.append(certain(correlation_of_rows(*sides)).p_value <= 0.05)

    assert np.mean(rejected) < 0.05 + 3 * (0.05 * 0.95 / SEEDS) ** 0.5


def test_a_lost_correlation_is_seen_and_a_moved_marginal_is_not() -> None:
    """Correlation 0.8 turned to 0 alarms on that pair; a monotone change of one column alone does not."""
    random = np.random.default_rng(3)
    values = np.column_stack([normal(random, 1000, 0.8), random.normal(size=1000)])
    turned = np.column_stack([normal(random, 300, 0.0), random.normal(size=300)])
    moved = np.column_stack([normal(random, 300, 0.8) + np.array([0.3, 0]), random.normal(size=300)])
    found = certain(correlation_of_rows(frame(values), frame(turned)))

    assert found.drifted
    assert (found.pairs[0].first, found.pairs[0].second) == ("a", "b")
    assert not certain(correlation_of_rows(frame(values), frame(moved))).drifted


def test_one_numeric_column_makes_no_pair() -> None:
    """Categories do not count; nothing shared is an error."""
    rows = pd.DataFrame({"a": np.arange(50.0), "city": ["Rome", "Oslo"] * 25})

    assert correlation_of_rows(rows, rows) == NoData("two numeric columns are needed; the samples share 1")
    with pytest.raises(DataError, match="share a column"):
        correlation_of_rows(rows, rows.add_prefix("new_"))


def cross(values: np.ndarray, names: tuple[str, ...] = ("a", "b")) -> CrossMoments:
    """Joint moments of standard normal columns as a profile holds them: ranks from -63 to 63 of 512 bins."""
    ranks = np.rint((np.digitize(values, EDGES) + 0.5) / 512 * 126 - 63).astype(np.int64)
    squares = np.broadcast_to((ranks**2).sum(axis=0)[:, None], (2, 2))
    sums = np.broadcast_to(ranks.sum(axis=0)[:, None], (2, 2))
    return CrossMoments(names, np.full((2, 2), len(values)), sums, squares, ranks.T @ ranks)


@pytest.mark.parametrize("rho", [0.0, 0.5, 0.95])
def test_binned_ranks_are_within_their_bound_of_scipys(rho: float) -> None:
    """The rho of a profile's cross moments is within 0.005 of SciPy's on all values."""
    values = normal(np.random.default_rng(4), 20_000, rho)

    assert pytest.approx(spearmanr(values).statistic, abs=0.005) == cross(values).spearman()[0, 1]


def test_profiles_are_compared_by_their_cross_moments() -> None:
    """Two profiles' moments give the verdict of their matrices."""
    random = np.random.default_rng(5)
    before, now = (cross(normal(random, rows, rho)) for rows, rho in ((5000, 0.8), (500, 0.2)))
    expected = certain(correlation(("a", "b"), before.spearman(), 5000, now.spearman(), 500))

    assert expected.to_dict() == certain(correlation_of_profiles(before, now)).to_dict()
    assert expected.drifted


def test_profiles_of_different_columns_are_refused() -> None:
    """Moments that do not belong together are an error that names both."""
    values = normal(np.random.default_rng(4), 100, 0)
    with pytest.raises(InputError, match="a, b and a, c"):
        correlation_of_profiles(cross(values), cross(values, ("a", "c")))
