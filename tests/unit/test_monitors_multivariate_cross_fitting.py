from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from monitors.multivariate.auc import Array, area, interval
from monitors.multivariate.cross_fitting import FOLDS, CrossFit, Index, Score, cross_fit
from monitors.multivariate.linear import discriminant

SEEDS = 300
SHIFT = np.array([0.7, 0, 0, 0, 0])


def told(reference: Array, current: Array, seed: int = 0) -> CrossFit:
    """Cross-fit the linear score."""
    return cross_fit(reference, current, partial(discriminant, penalty=1.0), stack=np.concatenate, seed=seed)


@pytest.fixture(scope="module")
def under_no_drift() -> list[tuple[CrossFit, float]]:
    """Cross-fits of two samples of one distribution, and the z that takes folds for independent."""
    found = []
    for seed in range(SEEDS):
        random = np.random.default_rng(seed)
        reference, current = random.normal(size=(100, 5)), random.normal(size=(80, 5))
        fit = told(reference, current)
        areas = [
            area(fold.score(reference[fold.reference]), fold.score(current[fold.current]))
            for fold in fit.folds
        ]
        auc, low, _ = interval(areas)
        found.append((fit, (auc - 0.5) / (auc - low) * 1.96))
    return found


def test_the_p_value_holds_its_level(under_no_drift: list[tuple[CrossFit, float]]) -> None:
    """Under no drift 5 % of p-values are at most 0.05, within three binomial deviations."""
    share = np.mean([fit.p_value <= 0.05 for fit, _ in under_no_drift])

    assert abs(share - 0.05) < 3 * (0.05 * 0.95 / SEEDS) ** 0.5


def test_p_values_are_uniform_under_no_drift(under_no_drift: list[tuple[CrossFit, float]]) -> None:
    """The largest distance of their distribution function from the diagonal is that of uniform numbers."""
    p_values = np.sort([fit.p_value for fit, _ in under_no_drift])
    distance = np.abs(p_values - (np.arange(SEEDS) + 0.5) / SEEDS).max()

    assert distance < 1.63 / SEEDS**0.5


def test_folds_taken_for_independent_do_not_hold_it(under_no_drift: list[tuple[CrossFit, float]]) -> None:
    """The usual z of the cross-fitted area has about twice the variance it claims: why ours is another."""
    scores = [z for _, z in under_no_drift]

    assert pytest.approx(2, abs=0.5) == np.var(scores)
    assert np.mean([z >= 1.645 for z in scores]) > 0.08


def test_the_interval_covers_a_half_under_no_drift(under_no_drift: list[tuple[CrossFit, float]]) -> None:
    """The 95 % interval holds ½ at least 95 % of the time, less three binomial deviations."""
    share = np.mean([fit.low <= 0.5 <= fit.high for fit, _ in under_no_drift])

    assert share > 0.95 - 3 * (0.05 * 0.95 / SEEDS) ** 0.5


def test_the_interval_covers_the_models_true_area_under_drift() -> None:
    """The interval holds the area that the folds' models have on 4,000 fresh rows."""
    random = np.random.default_rng(5)
    fresh = random.normal(size=(4000, 5)), random.normal(size=(4000, 5)) + SHIFT
    covered = []
    for _ in range(100):
        fit = told(random.normal(size=(100, 5)), random.normal(size=(80, 5)) + SHIFT)
        truth = np.mean([area(fold.score(fresh[0]), fold.score(fresh[1])).value for fold in fit.folds])
        covered.append(fit.low <= truth <= fit.high)

    assert np.mean(covered) > 0.92


def test_every_row_is_scored_once_by_models_that_have_not_seen_it() -> None:
    """Folds part the rows of each side, and no model is trained on its own fold."""
    trained: list[set[float]] = []

    def remember(rows: Array, _: Index) -> Score:
        trained.append(set(rows[:, 0]))
        return lambda some: np.asarray(some[:, 0])

    reference, current = np.arange(60.0)[:, None], np.arange(100.0, 170.0)[:, None]
    fit = cross_fit(reference, current, remember, stack=np.concatenate, seed=1)

    assert list(range(60)) == sorted(np.concatenate([fold.reference for fold in fit.folds]))
    assert list(range(70)) == sorted(np.concatenate([fold.current for fold in fit.folds]))
    for fold, seen in zip(fit.folds, trained, strict=False):
        tested = {*reference[fold.reference, 0], *current[fold.current, 0]}
        assert not tested & seen


def test_forward_models_have_seen_earlier_folds_only() -> None:
    """The models behind the p-value are trained on growing parts that exclude the fold they score."""
    sizes: list[int] = []

    def remember(rows: Array, _: Index) -> Score:
        sizes.append(len(rows))
        return lambda some: np.asarray(some[:, 0])

    cross_fit(np.zeros((50, 1)), np.zeros((50, 1)), remember, stack=np.concatenate, seed=1)

    assert [80] * FOLDS + [20, 40, 60] == sizes


def test_a_shift_is_told_as_well_as_it_can_be() -> None:
    """Two normals one deviation apart have the area Φ(1/√2) = 0.760."""
    random = np.random.default_rng(2)
    fit = told(random.normal(size=(3000, 2)), random.normal(size=(3000, 2)) + np.array([1, 0]))

    assert fit.low < 0.7602 < fit.high
    assert pytest.approx(0.7602, abs=0.015) == fit.auc
    assert fit.p_value < 1e-50


def test_seeds_deal_and_repeat() -> None:
    """The same seed gives the same numbers, another seed others."""
    random = np.random.default_rng(2)
    reference, current = random.normal(size=(60, 3)), random.normal(size=(60, 3))
    numbers = [(fit.auc, fit.p_value) for fit in (told(reference, current, seed) for seed in (1, 1, 2))]

    assert numbers[0] == numbers[1]
    assert numbers[0] != numbers[2]
