from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import binom

from retraining.passes import PASSES
from retraining.passes.order import chains, following
from retraining.records import Variant
from retraining.variants.choice import decide
from retraining.variants.pareto import front
from spec import ModelSpec
from spec.retrain import Learner

DAYS = np.repeat(np.arange(14), 50)


def variant(**told: Any) -> Variant:
    """Return a measured variant, pruned unless told otherwise."""
    measured = {
        "learner": Learner.LIGHTGBM,
        "candidate": "lightgbm/0/model.onnx",
        "passes": ("prune_trees",),
        "trees": None,
        "onnx": "variant.onnx",
        "proxy": "proxy.onnx",
        "loss": 0.5,
        "size": 1000,
        "latency_p50": 1e-5,
        "latency_p99": 2e-5,
    }
    return Variant(**(measured | told))


def losses(*means: float, noise: float = 0.0) -> np.ndarray:
    """Return losses of rows that share what happened on their day, and differ by a noise of their own."""
    rng = np.random.default_rng(0)
    shared = rng.normal(0, 0.1, 14)[DAYS] + rng.normal(0, 0.3, len(DAYS))
    shared -= shared.mean()
    own = [rng.normal(0, noise, 14)[DAYS] if noise else 0 for _ in means]
    return np.stack([mean + shared + each for mean, each in zip(means, own, strict=True)])


def limited(shop: Callable[..., ModelSpec], **limits: Any) -> ModelSpec:
    """Return the shop with limits for its model."""
    spec = shop()
    within = spec.optimize.within.model_copy(update={"latency_p99": None, "size": None} | limits)
    return spec.model_copy(update={"optimize": spec.optimize.model_copy(update={"within": within})})


def test_what_cannot_be_told_from_the_best_counts_as_good_and_the_cheapest_is_chosen(
    shop: Callable[..., ModelSpec],
) -> None:
    """A loss that is higher by less than the days vary is no reason to pay for the best."""
    variants = [variant(passes=(), loss=0.500, size=1000), variant(loss=0.5005, size=800)]

    verdict = decide(limited(shop), variants, losses(0.500, 0.5005, noise=0.001), DAYS)

    assert 1 == verdict.chosen
    assert verdict.variants[1].chosen
    assert "not told from it by the validation days, at 80% of its latency × size" in verdict.why
    assert "is as good, and this costs 1.2 times its latency × size" in verdict.variants[0].reasons[0]


def test_a_gain_within_noise_is_not_paid_for(shop: Callable[..., ModelSpec]) -> None:
    """A variant that costs more and looks better, by less than the days vary, gives way to the candidate."""
    spec = limited(shop, quality_drop=0.2)  # so wide that the other is not rejected for what it may lose
    variants = [variant(passes=(), loss=0.503), variant(loss=0.490, size=3000)]

    verdict = decide(spec, variants, losses(0.503, 0.490, noise=0.04), DAYS)

    assert 0 == verdict.chosen
    assert not verdict.variants[1].rejected
    assert "is as good, and this costs 3.0 times its latency × size" in verdict.variants[1].reasons[0]


def test_a_loss_that_may_be_more_than_the_drop_is_rejected(shop: Callable[..., ModelSpec]) -> None:
    """However cheap and good a variant looks, what it may lose at worst counts; both numbers are told."""
    variants = [variant(passes=(), loss=0.500, size=1000), variant(loss=0.4995, size=1)]

    verdict = decide(limited(shop), variants, losses(0.500, 0.4995, noise=0.05), DAYS)

    assert 0 == verdict.chosen
    (reason,) = verdict.variants[1].reasons
    assert verdict.variants[1].rejected
    told = r"loss 0\.49950 is [+-]\d\.\d\d% beside the best candidate's, at worst \+\d+\.\d\d% by 14 days; "
    assert re.fullmatch(told + r"quality_drop is 1\.00%", reason)


def test_a_difference_that_every_day_shows_is_paid_for(shop: Callable[..., ModelSpec]) -> None:
    """A variant that is worse on all days is no match, unless it saves what that is worth."""
    variants = [variant(passes=(), loss=0.500, size=1000), variant(loss=0.502, size=800)]

    verdict = decide(limited(shop), variants, losses(0.500, 0.502), DAYS)

    assert 0 == verdict.chosen
    assert () == verdict.variants[0].reasons
    (reason,) = verdict.variants[1].reasons
    assert reason.startswith("its loss is +0.40%, at least +0.")
    assert reason.endswith("at 95% beside lightgbm/0 (as trained), at 80% of its cost, which is worth +0.32%")
    assert not verdict.variants[1].rejected


def test_the_drop_is_spent_on_half_the_cost(shop: Callable[..., ModelSpec]) -> None:
    """Within quality_drop a known loss of quality is taken for at most half the cost."""
    variants = [variant(passes=(), loss=0.500, size=1000), variant(loss=0.502, size=500)]

    verdict = decide(limited(shop), variants, losses(0.500, 0.502), DAYS)

    assert 1 == verdict.chosen
    assert "beside the lowest (lightgbm/0 (as trained)), within quality_drop, at 50%" in verdict.why


def test_a_little_loss_is_taken_for_a_little_saving(shop: Callable[..., ModelSpec]) -> None:
    """A tenth of the drop is worth less than half the cost: at 80 % a loss of 0.1 % is taken."""
    variants = [variant(passes=(), loss=0.500, size=1000), variant(loss=0.5005, size=800)]

    assert 1 == decide(limited(shop), variants, losses(0.500, 0.5005), DAYS).chosen


def test_a_variant_better_than_its_candidate_leads(shop: Callable[..., ModelSpec]) -> None:
    """The best is sought among all, not among the candidates; the budget still counts from these."""
    variants = [variant(passes=(), loss=0.500), variant(loss=0.480, size=5000), variant(loss=0.506, size=1)]

    verdict = decide(limited(shop), variants, losses(0.500, 0.480, 0.506), DAYS)

    assert 1 == verdict.chosen
    (shown,), (broken,) = verdict.variants[0].reasons, verdict.variants[2].reasons
    assert shown.startswith("its loss is +4.17%, at least +3.")
    assert shown.endswith("beside lightgbm/0 (prune_trees); quality_drop is 1.00%")
    assert broken.startswith("loss 0.50600 is +1.20% beside the best candidate's, at worst +1.")


def test_one_day_shows_nothing(shop: Callable[..., ModelSpec]) -> None:
    """Without days to compare, only the candidate itself and what answers as it does may be chosen."""
    variants = [variant(passes=(), loss=0.5), variant(loss=0.4, size=800), variant(loss=0.5, size=900)]

    verdict = decide(limited(shop), variants, losses(0.5, 0.4, 0.5), np.zeros_like(DAYS))

    assert 2 == verdict.chosen
    assert "at worst any change by 1 day; quality_drop is 1.00%" in verdict.variants[1].reasons[0]


def test_every_broken_limit_is_a_reason(shop: Callable[..., ModelSpec]) -> None:
    """All of them are told, each with both numbers; nothing is chosen where all variants break one."""
    spec = limited(
        shop,
        latency_p99=timedelta(microseconds=10),
        size=900,
        memory=100,
        cpu_per_million=timedelta(seconds=1),
    )
    broken = [
        variant(passes=(), loss=0.5, memory=200, cpu_per_million=2.5),
        variant(loss=0.6, memory=200, cpu_per_million=2.5),
    ]

    verdict = decide(spec, broken, losses(0.5, 0.6), DAYS)

    limits = (
        "p99 of one row 0.020 ms > 0.01 ms",
        "size 1,000 B > 900 B",
        "memory 200 B > 100 B",
        "a million predictions take 2.5 CPU-seconds > 1",
    )
    assert verdict.chosen is None
    assert all(item.rejected for item in verdict.variants)
    assert limits == verdict.variants[0].reasons
    lost, *others = verdict.variants[1].reasons
    assert "loss 0.60000 is +20.00% beside the best candidate's" in lost
    assert list(limits) == others


@pytest.mark.parametrize("shape", ["normal", "heavy"])
def test_luck_seldom_lets_through_what_loses_more_than_the_drop(
    shop: Callable[..., ModelSpec], shape: str
) -> None:
    """Of 23 cheap variants that truly lose just the drop, one is chosen in at most 5 % of small worlds.

    All passes are on, so that the spec's bound of 24 variants is what the risk is shared by.

    Taken at their word, the best of them would be within the drop nearly always.
    """
    spec, rng, worlds = limited(shop), np.random.default_rng(1), 200
    spec = spec.model_copy(update={"optimize": spec.optimize.model_copy(update={"passes": tuple(PASSES)})})
    days = np.repeat(np.arange(12), 30)
    fell, looked = 0, 0
    for _ in range(worlds):
        own, common = (noise(rng, shape, (size, len(days))) for size in (23, 1))
        shift = rng.normal(0, 0.02, (23, 12))[:, days]
        table = 0.5 + np.vstack([0.2 * common, 0.2 * common + 0.2 * own + shift + 0.005])
        means = table.mean(axis=1)
        variants = [
            variant(passes=() if index == 0 else ("prune_trees",), loss=mean, size=1000 if index == 0 else 10)
            for index, mean in enumerate(means)
        ]
        fell += decide(spec, variants, table, days).chosen != 0
        looked += bool(means[1:].min() <= means[0] * 1.01)

    assert looked > 0.9 * worlds
    assert fell <= binom.ppf(0.999, worlds, 0.05)


def noise(rng: np.random.Generator, shape: str, size: tuple[int, int]) -> np.ndarray:
    """Return noise of mean 0 and deviation 1; heavy: one row of ten errs by far, as log losses do."""
    if shape == "normal":
        return rng.normal(0, 1, size)
    return (rng.exponential(1, size) * (rng.random(size) < 0.1) - 0.1) / 0.436


def test_a_variant_that_is_as_good_is_found_where_days_suffice(shop: Callable[..., ModelSpec]) -> None:
    """The rule is of use: what truly loses nothing is chosen in nearly all worlds of 14 calm days."""
    spec, rng, worlds = limited(shop), np.random.default_rng(2), 50
    found = 0
    for _ in range(worlds):
        table = 0.5 + 0.3 * rng.normal(size=(1, 2800)) + 0.02 * rng.normal(size=(2, 2800))
        variants = [
            variant(passes=(), loss=table[0].mean(), size=1000),
            variant(loss=table[1].mean(), size=10),
        ]
        found += decide(spec, variants, table, np.repeat(np.arange(14), 200)).chosen == 1

    assert found >= 0.9 * worlds


def test_a_variant_that_was_given_up_stays_out(shop: Callable[..., ModelSpec]) -> None:
    """What could not be carried out is not chosen, however good it looked."""
    failed = variant(loss=0.4, size=1, reasons=("it cannot be carried out",))

    verdict = decide(limited(shop), [variant(passes=()), failed], losses(0.5, 0.4), DAYS)

    assert 0 == verdict.chosen
    assert ("it cannot be carried out",) == verdict.variants[1].reasons


@pytest.mark.parametrize("order", [[0, 1, 2, 3], [3, 1, 0, 2]])
def test_the_front_is_what_nothing_beats(order: list[int]) -> None:
    """The second is beaten by the first; the others are each best in something; order does not matter."""
    points = np.array([[1.0, 5.0], [1.0, 6.0], [2.0, 2.0], [3.0, 1.0]])
    expected = np.array([True, False, True, True])

    assert expected[order].tolist() == front(points[order]).tolist()


@given(arrays("float64", st.tuples(st.integers(1, 12), st.just(3)), elements=st.sampled_from([0.0, 1, 2, 3])))
def test_every_point_off_the_front_is_beaten_by_one_on_it(points: np.ndarray) -> None:
    """Nobody on the front beats another, and nobody off it is unbeaten; equal points stay together."""

    def beats(a: np.ndarray, b: np.ndarray) -> bool:
        return bool((a <= b).all() and (a < b).any())

    on = front(points)

    for point, is_on in zip(points, on, strict=True):
        assert is_on != any(beats(other, point) for other in points[on])


def test_passes_follow_one_another_in_one_order() -> None:
    """What fits again comes before what it would undo, the structure before the precision, nothing twice."""
    every = tuple(PASSES)

    assert every == following((), every)
    assert ("prune_trees", "low_rank", "quantize") == following(
        ("distil",), ("quantize", "low_rank", "prune_trees")
    )
    assert () == following(("half",), every)
    assert () == following(("quantize",), every)
    assert "distil" not in following(("prune_cost_complexity",), every)
    assert ("half", "quantize") == following(("low_rank",), every)


def test_the_chains_that_may_be_are_counted() -> None:
    """One pass makes one chain; two that may follow one another three; two that exclude each other two."""
    assert 0 == chains(())
    assert 1 == chains(("quantize",))
    assert 3 == chains(("prune_trees", "quantize"))
    assert 2 == chains(("half", "quantize"))
    assert 7 == chains(("distil", "prune_trees", "quantize"))
