from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics

from monitors.finding import NoData
from monitors.performance import Estimate, Truth
from monitors.slices.cuts import Cut
from monitors.slices.declared import MAX_SLICES, Difference, SliceMetric, measure
from spec import FeatureType, PerformanceMetric

METRIC = PerformanceMetric
DAY = 86_400 * 10**6
CUT = Cut("origin", FeatureType.CATEGORICAL, ("origin=JFK", "origin=LGA", "origin=EWR", "origin=(null)"))


def flights(
    seed: int = 0, rows: int = 3000, days: int = 14, *, noise: float = 0.0, storm: float = 0.0
) -> Truth:
    """Calibrated scores; in the first slice (see `codes`) they are blurred by `noise`."""
    random = np.random.default_rng(seed)
    logit = random.normal(0, 1.5, rows)
    day = np.sort(random.integers(0, days, rows))
    lean = random.normal(0, storm, days)[day] if storm else 0
    labels = (random.random(rows) < 1 / (1 + np.exp(-(logit + lean)))).astype(float)
    blurred = np.where(codes(rows)[:, 0] == 0, noise * random.normal(size=rows), 0)
    return Truth(1 / (1 + np.exp(-(logit + blurred)))[:, None], labels, day * DAY)


def codes(rows: int = 3000) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
    """A quarter of the rows in JFK, a quarter in LGA, the others in EWR; none is null."""
    return np.minimum(np.arange(rows) % 4, 2)[:, None].astype(np.int64)


def told(
    rows: Truth, *wanted: PerformanceMetric, min_rows: int = 100
) -> dict[tuple[str, PerformanceMetric], SliceMetric]:
    """What is measured, by slice and metric."""
    found = measure([CUT], codes(len(rows)), rows, wanted, min_rows=min_rows)
    return {(one.name, one.metric): one for one in found}


@pytest.mark.parametrize(
    ("metric", "peer"),
    [(METRIC.ROC_AUC, metrics.roc_auc_score), (METRIC.BRIER, metrics.brier_score_loss)],
)
def test_a_metric_of_a_slice_is_scikit_learns(metric: PerformanceMetric, peer: object) -> None:
    """The value is the metric of the slice's rows, and the difference is to that of all others."""
    rows = flights()
    inside = codes()[:, 0] == 1
    one = told(rows, metric)["origin=LGA", metric]
    mine, others = (peer(rows.labels[part], rows.scores[part, 0]) for part in (inside, ~inside))  # type: ignore[operator]

    assert isinstance(one.measured, Estimate)
    assert one.measured.value == pytest.approx(mine)
    assert one.measured.n == inside.sum()
    assert isinstance(one.worse, Difference)
    assert one.worse.value == pytest.approx(others - mine if metric.higher_is_better else mine - others)


def test_a_worse_slice_is_told_as_worse() -> None:
    """Scores that are blurred in one slice make it significantly worse there, and nowhere else."""
    found = told(flights(noise=3), METRIC.ROC_AUC, METRIC.LOG_LOSS)
    jfk, lga = (found[name, METRIC.ROC_AUC].worse for name in ("origin=JFK", "origin=LGA"))

    assert isinstance(jfk, Difference)
    assert isinstance(lga, Difference)
    assert 0 < jfk.low < jfk.value < jfk.high
    assert jfk.p_value < 0.001 < lga.p_value


def test_only_the_first_metric_is_compared() -> None:
    """Further metrics are told with their interval and without a comparison."""
    found = told(flights(), METRIC.ROC_AUC, METRIC.LOG_LOSS)

    assert isinstance(found["origin=JFK", METRIC.LOG_LOSS].measured, Estimate)
    assert isinstance(found["origin=JFK", METRIC.LOG_LOSS].worse, NoData)


def test_the_interval_of_the_difference_covers_none() -> None:
    """Of 120 slices that are no worse than the rest, about 95 % of the intervals hold zero; 89 % at least."""
    found = [told(flights(seed, 1200, storm=0.5), METRIC.LOG_LOSS) for seed in range(120)]
    worse = [one["origin=LGA", METRIC.LOG_LOSS].worse for one in found]

    held = [isinstance(one, Difference) and one.low <= 0 <= one.high for one in worse]
    assert sum(held) >= stats.binom.ppf(0.001, 120, 0.95)


def test_false_discoveries_of_slices_are_rare() -> None:
    """At 5 %, at most 12 of 120 windows say that any slice differs (Benjamini–Yekutieli; 1 in 100)."""
    found = [told(flights(seed, 1200, storm=0.5), METRIC.LOG_LOSS) for seed in range(120)]
    some = [
        any(isinstance(o.worse, Difference) and o.worse.p_value < 0.05 for o in f.values()) for f in found
    ]

    assert sum(some) <= stats.binom.ppf(0.99, 120, 0.05)


@pytest.mark.parametrize(("min_rows", "slices"), [(750, 3), (751, 1)])
def test_slices_with_fewer_rows_are_left_out(min_rows: int, slices: int) -> None:
    """Of 750, 750 and 1,500 rows, 751 are in one slice only."""
    assert len(told(flights(), METRIC.ACCURACY, min_rows=min_rows)) == slices


def test_a_slice_of_one_day_has_no_interval() -> None:
    """Rows of a single day say nothing of the days' spread: `NoData`, never a narrow interval."""
    rows = flights(days=6)
    one_day = np.where(rows.times == 0, 0, 1)[:, None]
    found = measure([CUT], one_day, rows, [METRIC.ACCURACY], min_rows=10)

    assert found[0].measured == NoData("the rows of the slice are of too few days for an interval")


def test_a_slice_of_one_class_has_no_auc() -> None:
    """The reason names the metric."""
    rows = flights()
    labels = np.where(codes()[:, 0] == 0, 1.0, rows.labels)

    measured = told(replace(rows, labels=labels), METRIC.ROC_AUC)["origin=JFK", METRIC.ROC_AUC].measured

    assert measured == NoData("roc_auc is not defined in the slice: the labels are of a single class")


def test_a_slice_of_all_rows_is_compared_with_nothing() -> None:
    """There are no other rows."""
    found = measure([CUT], np.zeros((3000, 1), dtype=np.int64), flights(), [METRIC.ACCURACY], min_rows=10)

    assert found[0].worse == NoData("the slice holds every row")


def test_no_rows_have_no_slices() -> None:
    """An empty truth is measured as nothing."""
    nothing = Truth(np.empty((0, 1)), np.empty(0), np.empty(0, dtype=np.int64))

    assert measure([CUT], np.empty((0, 1), dtype=np.int64), nothing, [METRIC.ACCURACY], min_rows=10) == ()


def test_the_number_of_slices_is_bounded() -> None:
    """Of 100 declared slices the 60 with most rows, at most, are measured."""
    many = tuple(
        Cut(f"f{place}", FeatureType.CATEGORICAL, tuple(f"f{place}={value}" for value in range(20)))
        for place in range(5)
    )
    drawn = np.random.default_rng(0).integers(0, 20, (3000, 5))

    found = measure(many, drawn, flights(), [METRIC.ACCURACY], min_rows=10)

    assert 50 < len(found) <= MAX_SLICES
    assert min(one.measured.n for one in found if isinstance(one.measured, Estimate)) > 145
