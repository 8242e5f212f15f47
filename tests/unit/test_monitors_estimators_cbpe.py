"""CBPE against published numbers, closed forms and simulated truth; calibration against scikit-learn."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from scipy.stats import binom
from sklearn import metrics
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from monitors.estimators import calibration, cbpe
from monitors.estimators.bands import Expected
from monitors.estimators.calibration import Sample
from monitors.estimators.expectation import METRICS, Expectation, Window, expectation
from monitors.finding import NoData
from monitors.metrics import statistic
from spec import PerformanceMetric

Array = npt.NDArray[np.float64]
M = PerformanceMetric
PUBLISHED = Path(__file__).with_name("nannyml_work_from_home.json")


def rows_of_counts(counts: list[int]) -> Array:
    """Return scores in hundredths, each as often as counted, as P(negative) and P(positive)."""
    positive = np.repeat(np.arange(101) / 100, counts)
    return np.column_stack([1 - positive, positive])


def drawn(rows: int, seed: int, slope: float = 1.0) -> tuple[Array, Array]:
    """Return scores of shape (rows, 1) and labels; the scores are calibrated where `slope` is 1."""
    random = np.random.default_rng(seed)
    logit = random.normal(0, 1.5, rows)
    labels = (random.random(rows) < 1 / (1 + np.exp(-logit))).astype(float)
    return (1 / (1 + np.exp(-slope * logit)))[:, None], labels


def value(metric: PerformanceMetric, probabilities: Array, window: Window) -> float:
    """Return an expectation that exists."""
    found = expectation(metric, probabilities, window)
    assert isinstance(found, Expectation)
    return found.value


@pytest.mark.parametrize("number", [0, 1])
def test_published_values_of_nannyml_come_out(number: int) -> None:
    """Its test suite's numbers for chunks of 20,000 rows, from its own data (counted by score)."""
    published = json.loads(PUBLISHED.read_text(encoding="utf-8"))
    before = published["reference"]
    scores = np.concatenate([rows_of_counts(before["negative"]), rows_of_counts(before["positive"])])
    labels = np.repeat([0.0, 1.0], [sum(before["negative"]), sum(before["positive"])])
    window_scores = rows_of_counts(published["windows"][number])
    decided = np.eye(2)[(window_scores[:, 1] > 0.475).astype(int)]  # the model's own threshold
    window = Window.deciding(window_scores, decided)
    assert calibration.helps(scores, labels, np.random.default_rng(0).permutation(len(labels)))

    probabilities = Sample.of(scores, labels).fit()(window_scores)

    for metric in (M.F1, M.PRECISION, M.RECALL, M.ACCURACY):
        assert value(metric, probabilities, window) == pytest.approx(published[metric][number], rel=1e-10)
    # NannyML lets a row make half a pair with itself and rounds: a millionth or so at 20,000 rows
    assert value(M.ROC_AUC, probabilities, window) == pytest.approx(published["roc_auc"][number], abs=5e-6)


@pytest.mark.parametrize("outputs", [1, 4])
@pytest.mark.parametrize("metric", list(METRICS))
def test_certain_labels_give_the_realised_metric(metric: PerformanceMetric, outputs: int) -> None:
    """With indicators in place of probabilities the expectation is what `monitors.metrics` measures."""
    random = np.random.default_rng(3)
    scores = random.dirichlet(np.ones(max(outputs, 2)), 300).round(2)
    scores = scores[:, 1:] if outputs == 1 else scores / scores.sum(axis=1, keepdims=True)
    labels = random.integers(max(outputs, 2), size=300).astype(float)
    indicators = np.eye(max(outputs, 2))[labels.astype(int)]
    block = np.zeros(300, dtype=np.int64)

    realised = statistic(metric, scores, labels, block)(np.ones((1, 1)))[0]

    assert value(metric, indicators, Window.of(scores)) == pytest.approx(realised, abs=1e-12)


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("metric", list(METRICS))
def test_gains_are_the_derivative(metric: PerformanceMetric, classes: int) -> None:
    """Moving a little probability between classes moves the metric as the gains say."""
    random = np.random.default_rng(4)
    scores, probabilities = (random.dirichlet(np.ones(classes), 50) for _ in range(2))
    window = Window.deciding(scores.round(1), np.eye(classes)[scores.argmax(axis=1)])
    found = expectation(metric, probabilities, window)
    assert isinstance(found, Expectation)
    step = np.zeros_like(probabilities)
    step[7, 1], step[7, 0] = 1e-6, -1e-6

    moved = value(metric, probabilities + step, window) - value(metric, probabilities - step, window)

    assert moved / 2e-6 * 50 == pytest.approx(found.gains[7, 1] - found.gains[7, 0], rel=1e-5, abs=1e-7)


@pytest.mark.parametrize("metric", list(METRICS))
def test_calibrated_scores_are_estimated_without_bias(metric: PerformanceMetric) -> None:
    """Over 200 draws of labels from the probabilities, the mean realised metric is the expected one."""
    scores, _ = drawn(400, 5)
    window, random = Window.of(scores), np.random.default_rng(6)
    labels = (random.random((200, 400)) < scores[:, 0]).astype(int)

    realised = [value(metric, np.eye(2)[each], window) for each in labels]

    found = expectation(metric, window.scores, window)
    assert isinstance(found, Expectation)
    spread = float(np.std(realised, ddof=1))
    assert abs(np.mean(realised) - found.value) < 4 * spread / 200**0.5 + 1e-3
    stated = float(found.row_variances(window.scores).sum()) ** 0.5 / 400
    assert stated == pytest.approx(spread, rel=0.25)


def test_isotonic_is_scikit_learns() -> None:
    """Weighted fits with tied scores agree with IsotonicRegression, beyond the ends as well."""
    random = np.random.default_rng(7)
    scores, labels = drawn(800, 8)
    both = Window.of(scores.round(2)).scores
    weights = random.random(800)
    theirs = IsotonicRegression(out_of_bounds="clip", y_min=0, y_max=1)
    theirs.fit(both[:, 1], labels, sample_weight=weights)
    asked = np.linspace(0, 1, 57)

    ours = Sample.of(both, labels).fit(weights)(np.column_stack([1 - asked, asked]))[:, 1]

    assert ours == pytest.approx(theirs.predict(asked), abs=1e-12)


def test_few_rows_get_a_logistic_curve() -> None:
    """With under fifty positives the curve is scikit-learn's unpenalized fit to Platt's targets."""
    scores, labels = drawn(80, 9, slope=2.0)
    assert labels.sum() < calibration.FEW
    positives, negatives = labels.sum(), (1 - labels).sum()
    target = np.where(labels == 1, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    logit = np.log(scores / (1 - scores))
    theirs = LogisticRegression(C=1e9, tol=1e-10, max_iter=1000).fit(
        np.vstack([logit, logit]), np.repeat([1, 0], 80), sample_weight=np.concatenate([target, 1 - target])
    )

    ours = Sample.of(Window.of(scores).scores, labels).fit()(Window.of(scores).scores)[:, 1]

    assert ours == pytest.approx(theirs.predict_proba(logit)[:, 1], abs=1e-4)


def test_separated_labels_leave_the_curve_finite() -> None:
    """Scores that tell the classes apart entirely do not drive a curve to certainty."""
    scores = np.linspace(0.01, 0.99, 40)
    both, labels = np.column_stack([1 - scores, scores]), (scores > 0.5).astype(float)

    found = Sample.of(both, labels).fit()(both)[:, 1]

    assert np.all(np.isfinite(found))
    assert found.min() > 0
    assert found.max() < 1
    assert np.all(np.diff(found) > 0)


def test_calibrates_only_where_it_helps() -> None:
    """Overconfident scores are calibrated; calibrated ones of few rows are left alone."""
    overconfident, labels = drawn(3_000, 10, slope=3.0)
    honest = np.array([[0.2, 0.8], [0.8, 0.2]] * 250)
    true = np.array([1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 0.0, 1.0] * 50)

    assert calibration.helps(Window.of(overconfident).scores, labels, np.arange(3_000))
    assert not calibration.helps(honest, true, np.arange(500))


def test_probabilities_of_classes_sum_to_one() -> None:
    """Each class against the rest, then normalized; classes keep the marginal frequencies that they have."""
    random = np.random.default_rng(11)
    true = random.dirichlet([1, 2, 3], 4_000)
    labels = (random.random((4_000, 1)) > np.cumsum(true, axis=1)).sum(axis=1).astype(float)
    scores = true**2 / (true**2).sum(axis=1, keepdims=True)

    found = Sample.of(scores, labels).fit()(scores)

    assert found.sum(axis=1) == pytest.approx(np.ones(4_000))
    assert np.abs(found - true).mean() < np.abs(scores - true).mean() / 2
    assert metrics.log_loss(labels, found) < metrics.log_loss(labels, scores)


def test_bands_cover_the_realised_metric() -> None:
    """Of 40 references and windows without shift, 95 % bands cover about 38, by the binomial law."""
    asked = [M.ROC_AUC, M.ACCURACY, M.F1, M.LOG_LOSS, M.BRIER]
    covered = dict.fromkeys(asked, 0)
    for seed in range(40):
        known, labels = drawn(400, 100 + seed, slope=2.0)
        scores, true = drawn(300, 500 + seed, slope=2.0)
        for metric, found in cbpe.fit(known, labels, seed=seed).expect(asked, scores).items():
            assert isinstance(found, Expected)
            realised = statistic(metric, scores, true, np.zeros(300, dtype=np.int64))(np.ones((1, 1)))[0]
            covered[metric] += found.low <= realised <= found.high
    assert min(covered.values()) >= binom.ppf(0.001, 40, 0.95)


def test_calibration_error_widens_the_band() -> None:
    """The same window has a wider band from a small reference than from a large one."""
    scores, _ = drawn(20_000, 12, slope=2.0)
    small, large = (
        cbpe.fit(*drawn(rows, 13, slope=2.0)).expect([M.ACCURACY], scores) for rows in (300, 20_000)
    )
    few, many = small[M.ACCURACY], large[M.ACCURACY]
    assert isinstance(few, Expected)
    assert isinstance(many, Expected)

    assert few.high - few.low > 2 * (many.high - many.low)


def test_what_is_not_defined_says_why() -> None:
    """No decision for the positive class leaves precision without a value, and accuracy with one."""
    known, labels = drawn(400, 14)
    found = cbpe.fit(known, labels).expect([M.PRECISION, M.ACCURACY], np.full((100, 1), 0.1))

    assert found[M.PRECISION] == NoData("the model decides for no row of the class")
    assert isinstance(found[M.ACCURACY], Expected)


def test_same_input_same_estimate() -> None:
    """Fits of one seed agree to the last bit."""
    known, labels = drawn(500, 15)
    scores, _ = drawn(200, 16)

    assert cbpe.fit(known, labels).expect([M.F1], scores) == cbpe.fit(known, labels).expect([M.F1], scores)


def test_distance_of_two_calibrators_varies_as_their_draws_do() -> None:
    """For accuracy, which is linear in the probabilities, it is the variance of the answers' differences."""
    scores, labels = drawn(800, 31)
    weights = np.random.default_rng(32).exponential(1, 800)
    known, block, window = Window.of(scores), np.arange(800) // 20, Window.of(drawn(400, 33)[0])
    plain, weighted = (
        calibration.ensemble(Sample.of(known.scores, labels), block, weights=each, draws=count, seed=0)
        for each, count in ((None, 12), (weights, 8))
    )

    found = cbpe.distance_variances([M.ACCURACY], window.scores[:, 1:], weighted, plain)

    apart = [
        value(M.ACCURACY, one(window.scores), window) - value(M.ACCURACY, other(window.scores), window)
        for one, other in zip(weighted.draws, plain.draws[:8], strict=True)
    ]
    assert found[M.ACCURACY] == pytest.approx(np.var(apart, ddof=1), rel=1e-9)
