from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import mannwhitneyu, norm
from sklearn.metrics import roc_auc_score

from monitors.multivariate.auc import Area, area, interval, standard_score, upper_p

RANDOM = np.random.default_rng(7)
NEGATIVES = RANDOM.normal(size=40)
POSITIVES = RANDOM.normal(0.8, 1.5, size=60)


def test_the_area_is_scikit_learns() -> None:
    """The area equals scikit-learn's ROC AUC, with ties and without."""
    for negatives, positives in ((NEGATIVES, POSITIVES), (NEGATIVES.round(), POSITIVES.round())):
        truth = np.repeat([0, 1], [len(negatives), len(positives)])
        expected = roc_auc_score(truth, np.concatenate([negatives, positives]))

        assert pytest.approx(expected, abs=1e-12) == area(negatives, positives).value


@pytest.mark.parametrize("digits", [0, 1, 9])
def test_the_variance_is_delongs_by_direct_placements(digits: int) -> None:
    """DeLong's variance equals the one of all n × m comparisons, written out."""
    negatives, positives = NEGATIVES.round(digits), POSITIVES.round(digits)
    wins = (positives[:, None] > negatives) + 0.5 * (positives[:, None] == negatives)
    expected = wins.mean(axis=1).var(ddof=1) / 60 + wins.mean(axis=0).var(ddof=1) / 40

    assert pytest.approx(expected, rel=1e-12) == area(negatives, positives).variance


def test_the_variance_is_that_of_a_bootstrap() -> None:
    """Resampling both sides spreads the area as far as DeLong says."""
    random = np.random.default_rng(3)
    values = [
        area(random.choice(NEGATIVES, size=40), random.choice(POSITIVES, size=60)).value for _ in range(3000)
    ]

    assert pytest.approx(np.var(values), rel=0.1) == area(NEGATIVES, POSITIVES).variance


def test_one_extreme_score_moves_the_area_by_its_own_weight() -> None:
    """A score of 1e300 counts as one row."""
    before = area(NEGATIVES, POSITIVES).value
    after = area(NEGATIVES, np.append(POSITIVES, 1e300)).value

    assert pytest.approx((60 * before + 1) / 61) == after


@pytest.mark.parametrize("digits", [0, 1, 9])
def test_the_standard_score_is_wilcoxons(digits: int) -> None:
    """The z agrees with SciPy's Mann-Whitney test, ties corrected, no continuity correction."""
    negatives, positives = NEGATIVES.round(digits), POSITIVES.round(digits)
    expected = mannwhitneyu(
        positives, negatives, alternative="greater", method="asymptotic", use_continuity=False
    ).pvalue
    score = standard_score(negatives, positives)

    assert score is not None
    assert pytest.approx(expected, rel=1e-9) == norm.sf(score)


def test_scores_that_all_tie_are_no_evidence() -> None:
    """A constant score has no z, and folds without one give p = 1."""
    assert standard_score(np.zeros(5), np.zeros(6)) is None
    assert upper_p([None, None], [1.0, 2.0]) == 1.0


def test_standard_scores_add_up_by_weight() -> None:
    """The p-value of weighted z is that of a normal sum; a fold without z does not dilute the others."""
    expected = norm.sf((1.0 * 1 + 2.0 * 3) / np.sqrt(1 + 9))

    assert pytest.approx(expected) == upper_p([1.0, None, 2.0], [1.0, 5.0, 3.0])


def test_p_is_never_zero() -> None:
    """Scores beyond what a float can hold give the smallest p, not 0."""
    assert upper_p([100.0], [1.0]) == 1e-300


def test_folds_are_averaged_with_the_weight_of_their_pairs() -> None:
    """A fold of four times the pairs counts four times."""
    value, low, high = interval([Area(0.5, 0.01, 10, 10), Area(1.0, 0.0, 20, 20)])
    half = norm.ppf(0.975) * 0.2 * 0.1

    assert pytest.approx((0.9, 0.9 - half, 0.9 + half)) == (value, low, high)


def test_the_inflation_multiplies_the_variance() -> None:
    """With a factor of 2 the interval is √2 as wide."""
    areas = [area(NEGATIVES, POSITIVES)]
    _, low, high = interval(areas)
    _, lower, higher = interval(areas, 2.0)

    assert pytest.approx((high - low) * 2**0.5) == higher - lower


def test_full_separation_is_not_certainty() -> None:
    """Where DeLong's variance is 0 the interval reaches to the exact binomial bound."""
    value, low, high = interval([area(np.arange(10.0), np.arange(10.0, 40.0))])

    assert (value, high) == (1.0, 1.0)
    assert pytest.approx(0.025**0.1) == low


def test_full_separation_the_wrong_way_mirrors() -> None:
    """An area of 0 has the mirrored interval."""
    value, low, high = interval([area(np.arange(10.0, 40.0), np.arange(10.0))])

    assert (value, low) == (0.0, 0.0)
    assert pytest.approx(1 - 0.025**0.1) == high
