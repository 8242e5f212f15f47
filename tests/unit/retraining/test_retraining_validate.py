from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from retraining.dataset import rows
from retraining.gates import calibration, fairness, robustness, season, signature, slices
from retraining.gates.exam import Exam
from retraining.graphs.export import to_onnx
from retraining.records import Validation
from retraining.validate import verdict as verdict_of
from spec import ModelSpec, loads
from spec.retrain import Learner

DAYS = 12


@pytest.fixture
def truth() -> np.ndarray:
    """Labels of 12 days, 100 a day."""
    return np.random.default_rng(0).integers(0, 2, DAYS * 100)


@pytest.fixture
def times() -> pd.Series:
    """Event times of those rows."""
    return pd.Series(pd.date_range("2024-03-01", periods=DAYS * 100, freq="864s", tz="UTC"))


def scores(truth: np.ndarray, good: float, noise: float = 0.1, seed: int = 1) -> np.ndarray:
    """Return probabilities that lean to the truth by `good`."""
    lean = 0.5 + good * (truth - 0.5) + np.random.default_rng(seed).normal(0, noise, len(truth))
    return np.clip(lean, 0.02, 0.98)


def exam_of(
    spec: ModelSpec,
    truth: np.ndarray,
    ours: np.ndarray,
    theirs: np.ndarray,
    times: pd.Series,
    against: str | None = "4",
    **features: object,
) -> Exam:
    """Return the exam of two sides that answer what is given here, whatever they are asked."""
    target = truth.astype(bool) if spec.task == "binary" else truth
    if spec.task == "multiclass":
        target = np.array(["none", "some", "all"])[truth]
    plain = {"amount": 1.0, "weight": 1.0, "country": "de", "member": True} | features
    frame = pd.DataFrame({"ordered_at": times.reset_index(drop=True), "returned": target, **plain})
    return Exam.of(spec, frame, lambda _: ours, lambda _: theirs, against)


def judge(
    spec: ModelSpec,
    truth: np.ndarray,
    ours: np.ndarray,
    theirs: np.ndarray,
    times: pd.Series,
    against: str | None,
) -> Validation:
    """Return the verdict on the newest rows alone."""
    return verdict_of(exam_of(spec, truth, ours, theirs, times, against), ())


def test_a_better_candidate_is_accepted(
    shop: Callable[..., ModelSpec], truth: np.ndarray, times: pd.Series
) -> None:
    """The bound lies below the limit, and the reason says so with its numbers."""
    verdict = judge(shop(), truth, scores(truth, 0.6), scores(truth, 0.3), times, "4")

    assert verdict.accepted
    assert verdict.difference < 0
    assert verdict.upper <= verdict.limit
    assert verdict.reasons[0].startswith("1200 labelled rows of 12 days; roc_auc by day 0.")
    assert "better than champion 4, at worst 0." in verdict.reasons[0]
    assert verdict.reasons[0].endswith("worse is tolerated: non-inferior")
    assert verdict.candidate["roc_auc"] > verdict.opponent["roc_auc"]


def test_a_worse_candidate_is_rejected(
    shop: Callable[..., ModelSpec], truth: np.ndarray, times: pd.Series
) -> None:
    """The reason says what was not shown."""
    verdict = judge(shop(), truth, scores(truth, 0.3), scores(truth, 0.6), times, "4")

    assert not verdict.accepted
    assert verdict.reasons[0].endswith("not shown to be non-inferior")
    assert "candidate rejected: 1200" in verdict.summary()


def test_an_equal_candidate_is_accepted(
    shop: Callable[..., ModelSpec], truth: np.ndarray, times: pd.Series
) -> None:
    """Non-inferior means no worse within the margin; identical scores are that."""
    same = scores(truth, 0.4)

    verdict = judge(shop(), truth, same, same, times, "4")

    assert verdict.accepted
    assert 0 == verdict.difference == verdict.upper


def test_the_margin_is_relative_to_the_champion(
    shop: Callable[..., ModelSpec], truth: np.ndarray, times: pd.Series
) -> None:
    """A loss just within 0.5 % of the champion's is accepted, one just beyond is not."""
    spec, p = shop(metric="log_loss"), np.full(len(truth), 0.5)

    def off(share: float) -> np.ndarray:
        """Return scores whose every row's loss is `share` above the champion's."""
        likelihood = np.exp(-np.log(2) * (1 + share))
        return np.where(truth == 1, likelihood, 1 - likelihood)

    assert judge(spec, truth, off(0.0049), p, times, "4").accepted
    assert not judge(spec, truth, off(0.0051), p, times, "4").accepted


def test_the_base_rate_of_a_day_cancels(
    shop: Callable[..., ModelSpec], truth: np.ndarray, times: pd.Series
) -> None:
    """A model that ranks well within each day is accepted although whole days are scored too high."""
    champion = scores(truth, 0.2)
    shifted = np.clip(scores(truth, 0.4) + np.repeat([0.0, 0.3], len(truth) // 2), 0.0, 1.0)

    assert judge(shop(), truth, shifted, champion, times, "4").accepted


def test_a_day_of_one_class_is_no_evidence(
    shop: Callable[..., ModelSpec], truth: np.ndarray, times: pd.Series
) -> None:
    """Days on which ROC AUC is not defined count neither as rows nor as days."""
    truth[:100] = 1

    verdict = judge(shop(), truth, scores(truth, 0.6), scores(truth, 0.3), times, "4")

    assert verdict.reasons[0].startswith("1100 labelled rows of 11 days; ")


def test_too_few_days_are_no_evidence(
    shop: Callable[..., ModelSpec], truth: np.ndarray, times: pd.Series
) -> None:
    """Four days are not enough for a bound, however good the candidate; five are."""
    four, five = (times < f"2024-03-0{day}" for day in (5, 6))
    good, bad = scores(truth, 0.9), scores(truth, 0.1)

    verdict = judge(shop(), truth[four], good[four], bad[four], times[four], "4")

    assert not verdict.accepted
    assert ("not enough evidence: 4 days with labels < 5 days (validate.min_days)",) == verdict.reasons
    assert verdict.upper is None
    assert judge(shop(), truth[five], good[five], bad[five], times[five], "4").accepted


def test_one_bad_day_widens_the_bound(
    shop: Callable[..., ModelSpec], truth: np.ndarray, times: pd.Series
) -> None:
    """A gain that rests on a single day is not shown."""
    ours = scores(truth, 0.4)
    theirs = scores(truth, 0.45)
    theirs[:100] = 1 - ours[:100]

    verdict = judge(shop(), truth, ours, theirs, times, "4")

    assert verdict.difference < 0
    assert verdict.upper > verdict.limit
    assert not verdict.accepted


def test_the_first_champion_must_beat_the_trivial_answer(
    shop: Callable[..., ModelSpec], truth: np.ndarray, times: pd.Series
) -> None:
    """Without a champion, being as good as the base rate is not enough."""
    base = np.full(len(truth), truth.mean())

    assert judge(shop(), truth, scores(truth, 0.5), base, times, None).accepted
    useless = judge(shop(), truth, base, base, times, None)
    assert not useless.accepted
    assert "than the trivial baseline" in useless.reasons[0]
    assert useless.reasons[0].endswith("not shown to be better")


@pytest.mark.parametrize("task", ["multiclass", "regression"])
def test_other_tasks_are_judged_by_their_metric(
    shop: Callable[..., ModelSpec], times: pd.Series, task: str
) -> None:
    """Three classes by log loss, values by the root mean squared error."""
    rng = np.random.default_rng(0)
    spec: ModelSpec = shop(task)
    if task == "multiclass":
        truth = rng.integers(0, 3, len(times))
        ours = np.full((len(times), 3), 0.2)
        ours[np.arange(len(times)), truth] = 0.6
        theirs = np.full((len(times), 3), 1 / 3)
        metric = "log_loss"
    else:
        truth = rng.normal(size=len(times))
        ours, theirs = truth + 0.1, np.zeros(len(times))
        metric = "rmse"

    verdict = judge(spec, truth, ours, theirs, times, "4")

    assert verdict.accepted
    assert not judge(spec, truth, theirs, ours, times, "4").accepted
    assert verdict.candidate[metric] < verdict.opponent[metric]


def test_a_better_candidate_that_is_unfair_is_rejected(
    shop: Callable[..., ModelSpec], truth: np.ndarray, times: pd.Series
) -> None:
    """It must be shown to treat the groups of a protected feature alike, or as the champion does."""
    spec = shop()
    country = spec.features["country"].model_copy(update={"protected": True})
    guarded = spec.model_copy(update={"features": spec.features | {"country": country}})
    theirs, better = scores(truth, 0.3), scores(truth, 0.6)
    groups = np.random.default_rng(3).choice(["NO", "SE"], len(truth))
    unfair = np.where(groups == "SE", np.clip(better + 0.4, 0, 0.98), better)

    def gate(model: ModelSpec, ours: np.ndarray) -> tuple[bool, str]:
        found = fairness.judge(exam_of(model, truth, ours, theirs, times, country=groups))
        return found.passed, found.reason

    assert gate(guarded, better)[0]
    assert not gate(guarded, unfair)[0]
    assert (True, "no feature is protected") == gate(spec, unfair)


def test_a_gate_that_fails_rejects_and_says_why(
    shop: Callable[..., ModelSpec], truth: np.ndarray, times: pd.Series
) -> None:
    """The newest rows come first, then each gate that failed, by name; all gates are kept."""
    exam = exam_of(shop(), truth, scores(truth, 0.6), scores(truth, 0.3), times)
    passed, failed = (
        season.judge(None),
        season.judge(None).model_copy(update={"passed": False, "reason": "no"}),
    )

    verdict = verdict_of(exam, (passed, failed))

    assert not verdict.accepted
    assert "season: no" == verdict.reasons[-1]
    assert 2 == len(verdict.reasons)
    assert ["recent", "season", "season"] == [gate.name for gate in verdict.gates]


def test_what_was_learnt_a_season_ago_must_not_be_forgotten(
    shop: Callable[..., ModelSpec], truth: np.ndarray, times: pd.Series
) -> None:
    """Worse on the rows of a season ago fails; as good, no rows yet, too few days, or no champion passes."""
    good, bad = scores(truth, 0.5), scores(truth, 0.1)
    few = (times < "2024-03-04").to_numpy()

    assert not season.judge(exam_of(shop(), truth, bad, good, times)).passed
    assert season.judge(exam_of(shop(), truth, good, good, times)).passed
    assert season.judge(None).passed
    one_class = exam_of(shop(), np.zeros(len(truth), int), bad, good, times)
    assert season.judge(one_class).passed
    assert season.judge(one_class).reason.startswith("a season ago does not tell: ")
    assert season.judge(exam_of(shop(), truth[few], bad[few], good[few], times[few])).passed
    assert season.judge(exam_of(shop(), truth, bad, good, times, None)).passed


def test_a_slice_that_is_shown_to_lose_fails(
    shop_yaml: Callable[..., str], truth: np.ndarray, times: pd.Series
) -> None:
    """What is better overall is not paid for by one country; noise in a slice is no loss."""
    spec = loads(shop_yaml() + "monitor: {slices: [country]}\n")
    rng = np.random.default_rng(5)
    country = rng.choice(["de", "fr", "it"], len(truth))
    theirs = scores(truth, 0.4)
    ours = np.where(country == "fr", scores(truth, 0.1), scores(truth, 0.7))

    lost = slices.judge(exam_of(spec, truth, ours, theirs, times, country=country))
    kept = slices.judge(exam_of(spec, truth, scores(truth, 0.4, seed=9), theirs, times, country=country))

    assert not lost.passed
    assert "in country=fr, +0." in lost.reason
    assert "country=de" not in lost.reason
    assert kept.passed


def test_a_slice_with_a_true_null_fails_as_often_as_is_stated(
    shop_yaml: Callable[..., str], times: pd.Series
) -> None:
    """Of 200 candidates at the very edge in every slice about 5 % fail; 22 happen 1 time in 1,000."""
    spec = loads(shop_yaml(validate="slice_margin: 0") + "monitor: {slices: [country]}\n")
    rng = np.random.default_rng(11)
    failed = 0
    for _ in range(200):
        labels = rng.integers(0, 2, len(times))
        country = rng.choice(["de", "fr", "it"], len(times))
        day = np.repeat(rng.normal(0, 0.1, DAYS), 100)
        ours = np.clip(0.5 + (labels - 0.5) * (0.4 + day) + rng.normal(0, 0.05, len(labels)), 0.02, 0.98)
        theirs = np.clip(0.5 + (labels - 0.5) * (0.4 - day) + rng.normal(0, 0.05, len(labels)), 0.02, 0.98)
        failed += not slices.judge(exam_of(spec, labels, ours, theirs, times, country=country)).passed

    assert failed <= 22


def test_probabilities_that_overstate_fail(
    shop: Callable[..., ModelSpec], truth: np.ndarray, times: pd.Series
) -> None:
    """The ranking is the same, the probabilities are not: calibration tells, the ROC curve does not."""
    rng = np.random.default_rng(2)
    honest = rng.uniform(0.1, 0.9, len(truth))
    drawn = (rng.random(len(truth)) < honest).astype(int)
    extreme = 1 / (1 + np.exp(-4 * np.log(honest / (1 - honest))))

    assert calibration.judge(exam_of(shop(), drawn, honest, honest, times)).passed
    assert not calibration.judge(exam_of(shop(), drawn, extreme, honest, times)).passed


def test_a_model_that_breaks_on_a_missing_column_fails(
    shop: Callable[..., ModelSpec], truth: np.ndarray, times: pd.Series
) -> None:
    """What a column's silence does to the loss is held against the champion under the same silence."""
    rng = np.random.default_rng(4)
    weight = truth + rng.normal(0, 0.8, len(truth))

    def fragile(inputs: pd.DataFrame) -> np.ndarray:
        known = inputs["weight"].to_numpy("float64")
        return np.where(np.isnan(known), 0.999, 1 / (1 + np.exp(-2 * (known - 0.5))))

    def sturdy(inputs: pd.DataFrame) -> np.ndarray:
        known = inputs["weight"].to_numpy("float64")
        return np.where(np.isnan(known), 0.5, 1 / (1 + np.exp(-2 * (known - 0.5))))

    exam = exam_of(shop(), truth, weight, weight, times, weight=weight)
    broken = robustness.judge(Exam.of(exam.spec, exam.frame, fragile, sturdy, "4"))
    whole = robustness.judge(Exam.of(exam.spec, exam.frame, sturdy, sturdy, "4"))

    assert not broken.passed
    assert broken.reason.startswith("weight missing: loss ")
    assert whole.passed


def test_small_steps_that_turn_decisions_are_found_when_asked_for(
    shop_yaml: Callable[..., str], truth: np.ndarray, times: pd.Series
) -> None:
    """A decision that depends on the parity of a number is as good on average, and turns at every step."""
    weight = np.random.default_rng(4).normal(0, 1, len(truth))

    def jagged(inputs: pd.DataFrame) -> np.ndarray:
        return np.where(np.floor(inputs["weight"].to_numpy("float64") * 37) % 2 == 0, 0.4, 0.6)

    def smooth(inputs: pd.DataFrame) -> np.ndarray:
        return np.where(inputs["weight"].to_numpy("float64") > 0, 0.6, 0.4)

    def passed(yaml: str) -> bool:
        exam = exam_of(loads(yaml), truth, weight, weight, times, weight=weight)
        return robustness.judge(Exam.of(exam.spec, exam.frame, jagged, smooth, "4")).passed

    assert passed(shop_yaml())
    assert not passed(shop_yaml(validate="adversarial: true"))


def test_a_graph_of_other_inputs_fails(
    shop: Callable[..., ModelSpec],
    orders: Callable[..., pd.DataFrame],
    small_pipeline: Callable[..., Any],
) -> None:
    """Every difference of names and types is told; the graph of the spec's own pipeline passes."""
    spec = shop()
    frame = orders(n=300)
    pipeline = small_pipeline(spec, Learner.LIGHTGBM).fit(rows.inputs(spec, frame), rows.target(spec, frame))
    graph = to_onnx(spec, pipeline)
    renamed = {("price" if name == "amount" else name): feature for name, feature in spec.features.items()}

    assert signature.judge(spec, graph).passed
    wrong = signature.judge(spec.model_copy(update={"features": renamed}), graph)
    assert not wrong.passed
    assert "input 'price' must be float32; found none; input 'amount' is not in the spec" == wrong.reason
