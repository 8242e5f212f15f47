from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from retraining.records import Validation
from retraining.validate import fair, judge
from spec import ModelSpec

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


def test_a_better_candidate_is_accepted(
    shop: Callable[..., ModelSpec], truth: np.ndarray, times: pd.Series
) -> None:
    """The bound lies below the limit, and the reason says so with its numbers."""
    verdict = judge(shop(), truth, scores(truth, 0.6), scores(truth, 0.3), times, "4")

    assert verdict.accepted
    assert verdict.difference < 0
    assert verdict.upper <= verdict.limit
    assert "1200 labelled rows of 12 days" == verdict.reasons[0]
    assert "better than champion 4, at worst 0." in verdict.reasons[1]
    assert verdict.reasons[1].endswith("worse is tolerated: non-inferior")
    assert verdict.candidate["roc_auc"] > verdict.opponent["roc_auc"]


def test_a_worse_candidate_is_rejected(
    shop: Callable[..., ModelSpec], truth: np.ndarray, times: pd.Series
) -> None:
    """The reason says what was not shown."""
    verdict = judge(shop(), truth, scores(truth, 0.3), scores(truth, 0.6), times, "4")

    assert not verdict.accepted
    assert verdict.reasons[1].endswith("not shown to be non-inferior")
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

    assert "1100 labelled rows of 11 days" == verdict.reasons[0]


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
    assert "than the trivial baseline" in useless.reasons[1]
    assert useless.reasons[1].endswith("not shown to be better")


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
    holdout = pd.DataFrame({"ordered_at": times, "returned": truth == 1, "country": groups})

    def validated(model: ModelSpec, ours: np.ndarray) -> Validation:
        return fair(model, judge(model, truth, ours, theirs, times, "4"), holdout, ours, theirs)

    assert validated(guarded, better).accepted
    rejected = validated(guarded, unfair)
    assert not rejected.accepted
    assert rejected.reasons[-1].startswith("fairness: ")
    assert validated(spec, unfair) == judge(spec, truth, unfair, theirs, times, "4")
