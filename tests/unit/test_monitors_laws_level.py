from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy.stats import binom, chi2, chi2_contingency, fisher_exact, lognorm, norm

from monitors.distances import of_name
from monitors.distances.jensenshannon import jensenshannon_of_many
from monitors.laws import METHODS, p_value
from monitors.laws.chi_square import likelihood_ratio, merge_rare
from monitors.laws.tables import Table
from spec.errors import DataError

Shares = npt.NDArray[np.float64]
EDGES = np.concatenate(([-np.inf], np.linspace(-3, 3, 101), [10, 100, 1_000, np.inf]))
NORMAL = np.diff(norm.cdf(EDGES))
HEAVY_EDGES = np.concatenate(([0.0], np.geomspace(0.01, 1e4, 60), [np.inf]))
HEAVY = np.diff(lognorm(2).cdf(HEAVY_EDGES))


def rejections(
    method: str, shares: Shares, sizes: tuple[int, int], level: float, reps: int, **law: Any
) -> int:
    """Count p ≤ level over pairs of samples of one law; the seed is fixed."""
    generator = np.random.default_rng(20)
    law_of = partial(p_value, method, **law)
    return sum(
        law_of(generator.multinomial(sizes[0], shares), generator.multinomial(sizes[1], shares)) <= level
        for _ in range(reps)
    )


def most(reps: int, level: float) -> int:
    """What a test of this level exceeds once in a thousand."""
    return int(binom.ppf(0.999, reps, level))


def least(reps: int, level: float) -> int:
    """What a test of this level reaches but once in a thousand."""
    return int(binom.ppf(0.001, reps, level))


@pytest.mark.parametrize("sizes", [(1_000, 500), (1_001, 200)])
@pytest.mark.parametrize("k", [2, 3, 10, 20, 50])
def test_chi_square_holds_its_level_for_two_samples(k: int, sizes: tuple[int, int]) -> None:
    """Where taking the reference for the truth rejects 12 to 75 %, 5 % are rejected, alike or long-tailed."""
    for shares in (np.full(k, 1 / k), (long := 1 / np.arange(1, k + 1) ** 1.5) / long.sum()):
        found = rejections("chi_square", shares, sizes, 0.05, 600)

        assert least(600, 0.03) <= found <= most(600, 0.05)


@pytest.mark.parametrize("sizes", [(1_001, 100), (100_000, 200), (300, 300)])
def test_wasserstein_holds_its_level(sizes: tuple[int, int]) -> None:
    """Normal values keep the nominal level for sizes where Evidently's default alarms on 39 to 74 %."""
    found = rejections("wasserstein", NORMAL, sizes, 0.05, 1_500, edges=EDGES)

    assert least(1_500, 0.05) <= found <= most(1_500, 0.05)


def test_wasserstein_is_not_fooled_by_heavy_tails() -> None:
    """A log-normal of which a few rows make the distance is not above the nominal level."""
    for level in (0.05, 0.01):
        found = rejections("wasserstein", HEAVY, (100_000, 200), level, 1_500, edges=HEAVY_EDGES)

        assert found <= most(1_500, level)


def test_ks_is_conservative_with_bins() -> None:
    """With 5 cells the distance has fewer values than the law, and false alarms are rarer than nominal."""
    found = rejections("ks", np.full(5, 0.2), (1_000, 500), 0.05, 1_000)

    assert 0 < found < most(1_000, 0.05)
    assert found < 30


@pytest.mark.parametrize(
    "method", ["psi", "jensenshannon", "hellinger", "kl_div", "total_variation", "l_infinity"]
)
@pytest.mark.parametrize(("cells", "sizes"), [(20, (20_000, 4_000)), (20, (5_000, 100)), (3, (200, 60))])
def test_divergences_hold_their_level(method: str, cells: int, sizes: tuple[int, int]) -> None:
    """Dense and sparse, the distances between shares reject about 5 % of identical pairs, never many more."""
    found = rejections(method, np.full(cells, 1 / cells), sizes, 0.05, 300)

    assert least(300, 0.02) <= found <= most(300, 0.06)


@pytest.mark.parametrize("method", ["psi", "jensenshannon", "hellinger", "kl_div", "total_variation"])
def test_divergences_hold_their_level_in_a_sparse_table(method: str) -> None:
    """Two rows a value on each side: drawn without the margins, 9 to 18 % of equal pairs are rejected."""
    weights = np.arange(1, 51) ** -0.7

    found = rejections(method, weights / weights.sum(), (100, 100), 0.05, 300)

    assert least(300, 0.02) <= found <= most(300, 0.05)


def test_the_far_tail_of_the_chi_square_law_is_right() -> None:
    """At 1e-4 with few expected in each cell, where Pearson rejects more than it says, this law does not."""
    shares, generator = np.full(20, 0.05), np.random.default_rng(21)
    reference = generator.multinomial(100_000, shares, 60_000).astype(float)
    current = generator.multinomial(100, shares, 60_000).astype(float)
    pooled = (reference + current) / 100_100
    pearson = ((current - 100 * pooled) ** 2 / (100 * pooled)).sum(1)
    suspects = np.flatnonzero(pearson > chi2.isf(2e-3, 19))
    found = sum(p_value("chi_square", reference[i], current[i]) <= 1e-4 for i in suspects)

    assert found <= most(60_000, 1e-4)


@pytest.mark.parametrize(("expected", "p"), [(5.0, 20), (8.0, 30)])
def test_a_poisson_tail_is_not_taken_for_a_normal_one(expected: float, p: int) -> None:
    """One cell far above its expectation has at least its exact probability; Pearson's law says less."""
    n, m = 10_000_000, 1_000
    reference = np.array([n * expected / m, n * (1 - expected / m)])
    current = np.array([p, m - p])
    exact = float(binom.sf(p - 1, m, expected / m))

    assert chi2_contingency([reference, current], correction=False).pvalue < exact / 10
    assert exact <= p_value("chi_square", reference, current) <= 30 * exact


def test_one_extreme_row_has_the_probability_of_one_row() -> None:
    """A row far outside, one in 1,000 against a million, is an event of one in a thousand; two are rarer."""
    reference, current = 1e6 * NORMAL, 1e3 * NORMAL
    current[-1] += 1
    one = p_value("wasserstein", reference, current, edges=EDGES)
    current[-1] += 1
    two = p_value("wasserstein", reference, current, edges=EDGES)

    assert one == pytest.approx(1e-3, rel=0.2)
    assert two == pytest.approx(2e-6, rel=0.1)


@pytest.mark.parametrize("method", sorted(METHODS))
def test_p_falls_as_the_shift_grows(method: str) -> None:
    """Within (0, 1], 1 for equal shares, never more for a larger shift, and tiny for a large one: not 0."""
    edges = np.concatenate(([-np.inf], norm.ppf(np.arange(1, 20) / 20), [np.inf]))
    law = {"edges": edges} if method == "wasserstein" else {}
    shares = [np.diff(norm.cdf(edges - shift)) for shift in (0, 0.02, 0.05, 0.1, 0.2, 0.5, 3)]
    found = [p_value(method, 5e6 * shares[0], 2e4 * other, **law) for other in shares]

    assert 1.0 == found[0]
    assert found == sorted(found, reverse=True)
    assert 0 < found[-1] < 1e-100


@pytest.mark.parametrize("method", sorted(METHODS))
def test_effective_sizes_weaken_the_evidence(method: str) -> None:
    """Rows that carry the evidence of a tenth of them give the p-value of a tenth of them."""
    edges = np.concatenate(([-np.inf], norm.ppf(np.arange(1, 10) / 10), [np.inf]))
    law = {"edges": edges} if method == "wasserstein" else {}
    reference, current = np.full(10, 100_000.0), 100 * np.arange(95.5, 105.5)
    tenth = p_value(method, reference, current, n_effective=1e5, m_effective=current.sum() / 10, **law)

    assert p_value(method, reference / 10, current / 10, **law) == pytest.approx(tenth)
    assert tenth > p_value(method, reference, current, **law)


def test_groups_are_added_up_first() -> None:
    """Fine bins with groups give what the coarse counts give."""
    reference, current = np.arange(100, 112), np.arange(112, 100, -1)
    coarse = [row.reshape(4, 3).sum(1) for row in (reference, current)]

    assert p_value("psi", *coarse) == p_value("psi", reference, current, groups=np.arange(12) // 3)


def test_rare_cells_are_merged_until_they_suffice() -> None:
    """No merged cell expects less than 5 in the smaller sample, all rows are kept, dense cells stay apart."""
    generator = np.random.default_rng(22)
    for _ in range(200):
        weights = generator.pareto(0.7, generator.integers(2, 40))
        sizes = generator.integers(10, 400, 2)
        table = Table(
            *(generator.multinomial(n, weights / weights.sum()).astype(float) for n in sizes)
        ).occupied()
        merged = merge_rare(table)
        dense = int((table.smallest_expected >= 5).sum())

        assert (table.n, table.m) == (merged.n, merged.m)
        assert len(merged.reference) == 1 or merged.smallest_expected.min() >= 5 - 1e-9
        assert len(merged.reference) >= dense


@pytest.mark.parametrize("method", ["chi_square", "jensenshannon", "psi"])
def test_a_value_that_the_reference_never_had_is_seen(method: str) -> None:
    """Thirty such rows of 1,000 against a million are told with 1e-17 and less, one such row is not."""
    reference, current = np.array([600_000, 300_000, 100_000, 0]), np.array([585, 290, 95, 30])

    assert p_value(method, reference, current) < 1e-17
    assert 5e-4 < p_value(method, reference, [600, 300, 99, 1]) <= 0.7
    assert p_value(method, 1_000 * reference, [120_000, 60_000, 20_000, 25_000]) < 1e-200


def test_too_sparse_a_table_is_drawn_exactly() -> None:
    """Four rows of values never seen have the smallest p-value of draws; four of seen ones a large one."""
    reference = np.concatenate((np.full(50, 20.0), [0.0]))
    unseen, seen = np.zeros(51), np.zeros(51)
    unseen[50], seen[[3, 9, 12, 40]] = 4, 1

    assert p_value("chi_square", reference, unseen) == pytest.approx(1 / 2001)
    assert p_value("chi_square", reference, seen) > 0.5


@pytest.mark.parametrize("method", sorted(METHODS))
@pytest.mark.parametrize(
    ("reference", "current"), [([5, 0, 0], [7, 0, 0]), ([1, 0, 0], [0, 0, 1]), ([3, 2, 4], [1, 0, 0])]
)
def test_tiny_and_constant_columns_have_a_p_value(
    method: str, reference: list[int], current: list[int]
) -> None:
    """A constant has p = 1, and one row against one or a few never has a small p-value."""
    law = {"edges": np.array([0.0, 1, 2, 3])} if method == "wasserstein" else {}
    found = p_value(method, reference, current, **law)

    assert 0.05 < found <= 1
    assert found == 1.0 or reference[1:] != [0, 0] or current[2]


def test_agrees_with_scipy_on_the_table() -> None:
    """X², and G by its power divergence, are those of SciPy on a dense table."""
    reference, current = [130, 95, 61, 14], [66, 40, 42, 9]
    table = Table(np.array(reference, dtype=float), np.array(current, dtype=float))
    scipy = partial(chi2_contingency, [reference, current], correction=False)

    assert p_value("chi_square", reference, current) == pytest.approx(scipy().pvalue, rel=1e-12)
    assert likelihood_ratio(table) == pytest.approx(scipy(lambda_="log-likelihood").statistic)


@pytest.mark.parametrize(("method", "scale"), [("psi", 1.0), ("jensenshannon", 1 / 8), ("hellinger", 1 / 8)])
def test_divergences_have_the_chi_square_law_of_the_papers(method: str, scale: float) -> None:
    """With many rows, PSI, 8 JS² and 8 H² are (1/n + 1/m) times a χ² with one less than the cells."""
    reference, current = np.full(10, 50_000), 5_000 + 100 * np.arange(-5, 5)
    value = of_name(method).function(reference, current)
    power = 1 if method == "psi" else 2
    expected = chi2.sf(value**power / scale / (1 / reference.sum() + 1 / current.sum()), 9)

    assert p_value(method, reference, current) == pytest.approx(expected, rel=0.05)


def test_bad_counts_are_told_all_at_once() -> None:
    """Negative, empty and unequal sides come as one error, and an unknown method with the closest name."""
    with pytest.raises(DataError) as raised:
        p_value("psi", [1, -1], [0, 0, 0], m_effective=0)
    assert [
        "reference counts",
        "current counts",
        "effective size of the current",
        "reference and current counts",
    ] == [problem.where for problem in raised.value.problems]

    with pytest.raises(DataError, match="Did you mean 'wasserstein'"):
        p_value("waserstein", [1], [1])
    with pytest.raises(DataError, match="edges: must be given"):
        p_value("wasserstein", [1], [1])
    with pytest.raises(DataError, match="groups: must be a whole number"):
        p_value("psi", [1, 2], [1, 2], groups=[0.5, 1.0])
    with pytest.raises(DataError, match="edges: must not decrease"):
        p_value("wasserstein", [1, 2], [1, 2], edges=[0, 2, 1])


@pytest.mark.parametrize("method", sorted(METHODS - {"wasserstein", "ks", "chi_square"}))
def test_two_cells_have_the_exact_law_given_the_margins(method: str) -> None:
    """Of a boolean: three of thirty against none of 100,000 are what Fisher's test says, and not a third."""
    assert p_value(method, [99_000, 1_000], [28, 2]) == pytest.approx(
        fisher_exact([[99_000, 1_000], [28, 2]]).pvalue, rel=1e-3
    )
    assert p_value(method, [1, 0], [0, 1]) == pytest.approx(1.0)
    assert p_value(method, [3, 0], [0, 3]) == pytest.approx(0.1)


def test_the_largest_of_a_thousand_sparse_cells_is_no_evidence() -> None:
    """Thirty rows over a thousand values have one that is there twice."""
    generator = np.random.default_rng(77)
    reference = generator.multinomial(100_000, np.full(1_000, 0.001))
    found = [
        p_value("l_infinity", reference, generator.multinomial(30, np.full(1_000, 0.001))) for _ in range(40)
    ]

    assert np.mean(np.array(found) <= 0.1) < 0.3


def test_a_few_rows_have_no_smaller_p_value_than_their_orders() -> None:
    """Three rows a side that are apart are one of 20 orders to Wasserstein too."""
    assert p_value("wasserstein", [3, 0], [0, 3], edges=[0, 1, 2]) >= 0.05


@pytest.mark.parametrize(("cells", "sizes"), [(10, (10_000, 100)), (10, (300, 100)), (20, (5_000, 100))])
def test_sparse_tables_have_the_law_given_their_margins(cells: int, sizes: tuple[int, int]) -> None:
    """Between 5 % and 0.2 % the p-value of Jensen-Shannon is the share of 15,000 permutations as far."""
    generator = np.random.default_rng(25)
    shares = (weights := np.arange(1, cells + 1) ** -0.7) / weights.sum()
    apart = []
    for _ in range(200):
        pair = [generator.multinomial(size, shares) for size in sizes]
        if (found := p_value("jensenshannon", *pair)) > 0.05:
            continue
        both, distance = pair[0] + pair[1], of_name("jensenshannon").function(*pair)
        drawn = generator.multivariate_hypergeometric(both, sizes[1], 15_000, method="marginals")
        distances = np.asarray(jensenshannon_of_many((both - drawn).astype(float), drawn.astype(float)))
        if (expected := float((distances >= distance * (1 - 1e-9)).mean())) > 0.002:
            apart.append(np.log(found / expected))

    assert len(apart) >= 3
    assert abs(np.mean(apart)) < 0.2
    assert np.max(np.abs(apart)) < 0.7
