from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from scipy import stats
from statsmodels.stats.multitest import multipletests

from monitors.slices.confirmation import WeakSlice, confirm
from monitors.slices.contrast import Sides, contrast, effective_blocks
from monitors.slices.cuts import Cut
from monitors.slices.enumeration import promising
from monitors.slices.holm import holm
from monitors.slices.losses import losses
from monitors.slices.sample import Sample
from monitors.slices.search import CANDIDATES, search
from spec import FeatureType, Task

FEATURES, VALUES = 6, 4
CUTS = tuple(
    Cut(f"f{index}", FeatureType.CATEGORICAL, tuple(f"f{index}={value}" for value in range(VALUES)))
    for index in range(FEATURES)
)
Mask = npt.NDArray[np.bool_]


def sample(
    seed: int, rows: int = 4000, days: int = 14, *, storm: float = 0.0, hard: float = 0.0, known: bool = False
) -> Sample:
    """Skewed losses; f1=2 is `hard`, and with `storm` each day treats the values of f0 in its own way."""
    random = np.random.default_rng([seed, known])
    codes = random.integers(0, VALUES, (rows, FEATURES))
    day = np.zeros(rows, dtype=np.int64) if known else random.integers(0, days, rows)
    weather = random.normal(0, storm, (days, VALUES))[day, codes[:, 0]] if storm and not known else 0
    loss = random.gamma(1, 0.2, rows) + weather + hard * (codes[:, 1] == 2)
    return Sample(codes, loss, np.unique(day, return_inverse=True)[1])


def worse(base: Sample, where: Mask, by: float) -> Sample:
    """The sample with a higher loss in some rows."""
    return Sample(base.codes, base.loss + by * where, base.block)


def found(now: Sample, before: Sample | None = None, *, min_rows: int = 50) -> tuple[WeakSlice, ...]:
    """The slices that are picked at 5 %."""
    return tuple(
        one for one in search(CUTS, now, before, min_rows=min_rows, level=0.05) if one.p_value <= 0.05
    )


def test_a_contrast_is_a_regression_with_clustered_errors() -> None:
    """Value and variance are statsmodels' for a slice's dummy with errors clustered by day (CR1)."""
    rows = sample(1, storm=0.5)
    inside = rows.codes[:, 0] == 1
    frame = pd.DataFrame({"loss": rows.loss, "inside": inside.astype(float)})
    fit = smf.ols("loss ~ inside", frame).fit(
        cov_type="cluster", cov_kwds={"groups": rows.block, "use_correction": False}
    )
    ours = contrast(Sides.of_codes(inside.astype(np.int64), 2, rows.block, rows.loss))

    assert ours.value[1] == pytest.approx(fit.params["inside"])
    assert ours.variance[1] == pytest.approx(fit.bse["inside"] ** 2 * 14 / 13)


def test_a_contrast_of_independent_rows_is_welchs() -> None:
    """With a single block the score is Welch's t."""
    rows = sample(1, known=True)
    inside = rows.codes[:, 0] == 1
    ours = contrast(Sides.of_codes(inside.astype(np.int64), 2, rows.block, rows.loss))

    welch = stats.ttest_ind(rows.loss[inside], rows.loss[~inside], equal_var=False)
    assert ours.score[1] == pytest.approx(welch.statistic)


def test_both_ways_to_sum_up_agree() -> None:
    """Slices by code and slices by members give the same contrast."""
    rows = sample(2)
    code = rows.codes[:, 0]
    members = np.array([code == value for value in range(VALUES)])
    one, other = (
        contrast(Sides.of_codes(code, VALUES, rows.block, rows.loss)),
        contrast(Sides.of_members(members, rows.block, rows.loss)),
    )

    np.testing.assert_allclose(one.value, other.value)
    np.testing.assert_allclose(one.variance, other.variance)


def test_an_empty_slice_has_no_contrast() -> None:
    """A slice without rows scores below every other, and warns of nothing."""
    ours = contrast(Sides.of_codes(np.zeros(10, dtype=np.int64), 2, np.arange(10) % 5, np.ones(10)))

    assert ours.score.tolist() == [-np.inf, -np.inf]


def test_uneven_days_are_worth_fewer() -> None:
    """Five equal days are five, and a slice with nearly all rows in one is nearly of one day."""
    assert effective_blocks(np.array([[2, 2, 2, 2, 2], [96, 1, 1, 1, 1]])) == pytest.approx(
        [5, 1.085], abs=1e-3
    )


def test_holm_is_statsmodels() -> None:
    """The adjusted p-values are statsmodels', also of equal ones and of none."""
    p_values = np.array([0.01, 0.04, 0.01, 0.9, 0.0])

    np.testing.assert_allclose(holm(p_values), multipletests(p_values, method="holm")[1])
    assert holm(np.empty(0)).tolist() == []


def test_losses_are_what_each_answer_cost() -> None:
    """Squared error of a probability, a wrong class, the distance of a value."""
    assert losses(Task.BINARY, np.array([[0.75]]), np.array([1.0])) == pytest.approx([0.0625])
    assert losses(Task.MULTICLASS, np.array([[0.5, 0.3, 0.2]] * 2), np.array([0.0, 2.0])).tolist() == [0, 1]
    assert losses(Task.REGRESSION, np.array([[2.0]]), np.array([5.0])).tolist() == [3]


def test_a_planted_slice_of_one_feature_is_found() -> None:
    """The slice is named, alone, with a rise about the planted one within its interval."""
    base = sample(3, storm=0.02)
    named = found(worse(base, base.codes[:, 2] == 3, 0.1), sample(4, 2500, known=True))

    assert [one.name for one in named] == ["f2=3"]
    assert named[0].low < 0.1 < named[0].high
    assert named[0].rise == pytest.approx(0.1, abs=0.04)
    assert named[0].before == pytest.approx(0.2, abs=0.02)
    assert named[0].now == pytest.approx(0.3, abs=0.03)


def test_a_planted_slice_of_two_features_is_found() -> None:
    """The pair is named, and neither of its halves, which are bad for its sake only."""
    base = sample(5, storm=0.02)
    planted = (base.codes[:, 2] == 3) & (base.codes[:, 4] == 0)

    assert [one.name for one in found(worse(base, planted, 0.2), sample(6, 2500, known=True))] == [
        "f2=3 and f4=0"
    ]


def test_two_planted_slices_are_both_found() -> None:
    """The second one stands out in the rows outside of the first."""
    base = sample(7)
    both = 0.15 * (base.codes[:, 2] == 3) + 0.1 * (base.codes[:, 5] == 1)

    named = found(Sample(base.codes, base.loss + both, base.block))

    assert {one.name for one in named} == {"f2=3", "f5=1"}


def test_a_slice_that_was_always_hard_is_no_news() -> None:
    """Hard now as in the reference: not named. The same without labels in the reference: named."""
    now = sample(8, hard=0.3)

    assert found(now, sample(9, 2500, hard=0.3, known=True)) == ()
    assert [one.name for one in found(now)] == ["f1=2"]


def test_a_slice_that_the_reference_does_not_know_is_held_against_the_other_rows() -> None:
    """A value that appears with a high loss is named, and says that there is no before."""
    base = worse(now := sample(10), now.codes[:, 2] == 3, 0.15)
    reference = sample(11, 2500, known=True)
    others = reference.only(reference.codes[:, 2] != 3)

    named = found(base, others)

    assert [(one.name, one.before) for one in named] == [("f2=3", None)]


def test_a_new_value_does_not_make_news_of_what_was_always_hard() -> None:
    """Where all rows have a value that the reference lacks, its pair with a hard slice is no finding."""
    now, before = sample(18, hard=0.3), sample(19, 2500, hard=0.3, known=True)
    before.codes[:, 5] = 0
    now.codes[:, 5] = 3
    now.codes[::20, 5] = 2

    assert found(now, before) == ()


def test_when_all_rows_become_worse_no_slice_did() -> None:
    """A rise everywhere is the performance monitor's, and no slice's."""
    now = sample(12)

    assert found(worse(now, np.ones(len(now), dtype=bool), 0.5), sample(13, 2500, known=True)) == ()


def quiet(seed: int) -> tuple[Sample, Sample]:
    """Rows and a reference in which nothing became worse: f1=2 was always hard, and the days differ."""
    return sample(seed, 2400, storm=0.1, hard=0.2), sample(seed, 2500, hard=0.2, known=True)


@cache
def without_a_planted_slice() -> list[tuple[WeakSlice, ...]]:
    """What 100 searches tell in which nothing became worse."""
    return [search(CUTS, *quiet(seed), min_rows=50, level=0.05) for seed in range(100)]


def test_false_discoveries_are_as_rare_as_stated() -> None:
    """At 5 %, at most 11 of 100 searches name a slice: the binomial law allows more once in 100."""
    named = sum(any(one.p_value <= 0.05 for one in result) for result in without_a_planted_slice())

    assert named <= stats.binom.ppf(0.99, 100, 0.05)


def test_the_effect_is_unbiased_after_the_search() -> None:
    """Where nothing rose, what is told is zero on average; the days of the search themselves show a rise."""
    told = [float(np.mean([one.rise for one in result])) for result in without_a_planted_slice() if result]
    searched = []
    for seed in range(25):
        (days, _), (known, _) = (rows.halves() for rows in quiet(seed))
        picked = promising(CUTS, days, known, 0.02)[:1]
        searched += [one.rise for one in confirm(CUTS, picked, days, known, share=0.02, level=0.05)]

    assert len(told) > 50
    assert abs(np.mean(told)) < 3 * np.std(told) / np.sqrt(len(told))
    assert np.mean(searched) > 5 * np.std(told) / np.sqrt(len(told))


def test_the_intervals_hold_the_truth() -> None:
    """Of the slices that are told, at most 8 % of the intervals miss the true rise, none (95 % is meant)."""
    every = [one for result in without_a_planted_slice() for one in result]

    assert np.mean([one.low <= 0 <= one.high for one in every]) > 0.92


@pytest.mark.parametrize(("min_rows", "named"), [(900, 1), (1100, 0)])
def test_the_minimum_size_is_kept(min_rows: int, named: int) -> None:
    """A slice of about 1,000 rows is found from 900 rows on, and is none where 1,100 are asked for."""
    base = sample(14)

    assert len(found(worse(base, base.codes[:, 2] == 3, 0.15), min_rows=min_rows)) == named


def test_few_slices_are_tested() -> None:
    """However many slices stand out, no more than five are told."""
    base = sample(15)
    bad = sum((base.codes[:, place] == 0) * 0.1 for place in range(FEATURES))

    result = search(CUTS, Sample(base.codes, base.loss + bad, base.block), None, min_rows=50, level=0.05)

    assert 0 < len(result) <= CANDIDATES


@pytest.mark.parametrize("rows", [0, 1, 60])
def test_too_few_rows_have_no_slices(rows: int) -> None:
    """Without rows for two slices in each half there is nothing to find, and no error."""
    assert search(CUTS, sample(16, 4000).only(np.arange(4000) < rows), None, min_rows=50, level=0.05) == ()


def test_the_same_rows_give_the_same_slices() -> None:
    """Nothing is drawn."""
    base = sample(17)
    now = worse(base, base.codes[:, 2] == 3, 0.05)

    assert found(now) == found(now)
