"""Bets, quantiles, worst cases and clustered requests: their promises by simulation and by brute force."""

import math
import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitors.metrics import shortfall
from rollout.betting import log_capital, lower_bound, upper_bound
from rollout.bounds import interval, log_excess
from rollout.crossings import crossings
from rollout.paired import Pairs
from rollout.quantiles import between
from rollout.worst import daily_worst
from spec import ModelSpec, loads

sys.path.insert(0, str(Path(__file__).parents[2]))  # `bench` is not installed

from bench.quality import rollout_gates as other_gates
from bench.quality import rollout_judges as judges
from bench.quality.rollout_runs import ALPHA, World, play

NOW = datetime(2026, 3, 3, tzinfo=UTC)
MOST = 36
"""Of 400 runs at 5 %: more has a probability of 0.04 % by the binomial law."""


@settings(deadline=None, max_examples=50)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=60), st.floats(0.001, 0.3))
def test_bounds_hold_the_mean_they_are_of(values: list[float], alpha: float) -> None:
    """Bounds lie in [0, 1] around one another, and a smaller alpha never narrows them."""
    seen = np.array(values)
    low, high = lower_bound(seen, alpha), upper_bound(seen, alpha)

    assert 0 <= low <= high <= 1
    assert lower_bound(seen, alpha / 10) <= low + 1e-6


@settings(deadline=None, max_examples=50)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=60), st.floats(0.05, 0.9))
def test_capital_falls_as_the_mean_bet_against_rises(values: list[float], null: float) -> None:
    """There is one mean at which the bets stop to be proof."""
    seen = np.array(values)

    assert log_capital(seen, null, 0.05) >= log_capital(seen, null + 0.05, 0.05) - 1e-9


def _spec(task: str, metric: str) -> ModelSpec:
    classes = ", classes: [a, b, c]" if task == "multiclass" else ""
    return loads(f"""
model: flights
task: {task}
data: {{inference_log: log, labels: labels, id: id, time: t, target: {{name: late{classes}}}}}
features: {{x: numeric}}
monitor: {{performance: {{metric: {metric}}}}}
""")


def _pairs(random: np.random.Generator, rows: int, classes: int) -> Pairs:
    """Scores of two versions on the rows of one day; 0 classes are values."""

    def scores() -> npt.NDArray[np.float64]:
        if classes == 0:
            return random.normal(size=(rows, 1))
        drawn = random.dirichlet([1.0] * classes, rows)
        return drawn[:, 1:] if classes == 2 else drawn

    ids, days = pa.array([str(row) for row in range(rows)]), pa.array(["2026-03-01"] * rows)
    return Pairs(ids=ids, days=days, challenger=scores(), champion=scores())


@pytest.mark.parametrize("low", [0.0, 0.9])
def test_bets_against_the_truth_rarely_win(low: float) -> None:
    """Looked at 150 times, bets that a mean is above what it is reach 1/alpha in at most alpha of runs."""
    random, alpha = np.random.default_rng(11), 0.05
    won = 0
    for _ in range(400):
        values = np.where(random.uniform(size=150) < low, 0.0, random.beta(1, 3, 150))
        mean = (1 - low) / 4
        won += any(log_capital(values[:n], mean, alpha) >= -math.log(alpha) for n in range(5, 151, 5))

    assert won <= MOST


def test_bets_find_a_shift() -> None:
    """A mean that lies a standard deviation above is shown within a hundred values, and bounded beyond."""
    values = np.random.default_rng(12).normal(0.6, 0.1, 100).clip(0, 1)

    assert 0.5 < lower_bound(values, 0.05) < 0.6 < upper_bound(values, 0.05) < 0.7


def test_the_bench_bets_as_the_gate_does() -> None:
    """The capital that the bench follows in arrays is the gate's, at every look."""
    values = np.random.default_rng(20).uniform(size=(1, 30))
    paths = other_gates.capital(values, 0.4)[0]

    assert [log_capital(values[0, :n], 0.4, ALPHA) for n in range(1, 31)] == pytest.approx(paths.tolist())


def test_no_value_shows_nothing() -> None:
    """Of nothing the bounds are all there is."""
    assert (lower_bound(np.array([]), 0.05), upper_bound(np.array([]), 0.05)) == (0.0, 1.0)


def test_quantile_lies_between_its_edges_at_all_looks() -> None:
    """The 99th percentile leaves its two edges at any of 40 looks in at most alpha of the runs."""
    random, edges = np.random.default_rng(13), [0.01 * 2**k for k in range(10)]
    truth, left = -math.log(0.01) * 0.05, 0
    for _ in range(400):
        times = np.sort(random.exponential(0.05, (40, 100)), axis=1)
        counts = np.cumsum([np.searchsorted(look, edges, "right") for look in times], axis=0)
        looks = (between(edges, row, 100 * (n + 1), 0.99, 0.05) for n, row in enumerate(counts.tolist()))
        left += any(not low <= truth <= high for low, high in looks)
    low, high = between(edges, counts[-1].tolist(), 4000, 0.99, 0.05)

    assert left <= MOST
    assert (low, high) == (0.16, 0.32)


def test_few_values_bound_no_percentile() -> None:
    """Twenty fast requests say nothing of the slowest hundredth."""
    assert between([0.1], [20], 20, 0.99, 0.05) == (0.0, math.inf)


@pytest.mark.parametrize(
    ("task", "metric"),
    [
        ("binary", "accuracy"),
        ("binary", "brier"),
        ("binary", "log_loss"),
        ("multiclass", "accuracy"),
        ("multiclass", "brier"),
        ("multiclass", "log_loss"),
    ],
)
def test_worst_is_the_worst_of_all_labels(task: str, metric: str) -> None:
    """On a few rows no labels make the metric worse than the bound, and of losses some come up to it."""
    random, classes = np.random.default_rng(14), 2 if task == "binary" else 3
    spec, pairs = _spec(task, metric), _pairs(random, 4, classes)
    (found,) = daily_worst(spec, pairs, NOW) or ()
    day = np.zeros(4, dtype=np.intp)
    labels = np.stack(np.meshgrid(*[np.arange(classes)] * 4), axis=-1).reshape(-1, 4).astype(float)
    wanted = spec.performance_metric
    worst = max(shortfall(wanted, pairs.challenger, pairs.champion, row, day)[0] for row in labels)

    assert worst <= found.difference + 1e-12
    assert metric == "accuracy" or worst == pytest.approx(found.difference)


@pytest.mark.parametrize("metric", ["mae", "rmse", "pinball"])
def test_worst_of_values(metric: str) -> None:
    """Whatever the true values are, a regression's metric is no worse than the bound."""
    random = np.random.default_rng(15)
    spec, pairs = _spec("regression", metric), _pairs(random, 50, 0)
    (found,) = daily_worst(spec, pairs, NOW) or ()
    day = np.zeros(50, dtype=np.intp)
    for scale in (0.1, 1, 10):
        truth = random.normal(0, scale, 50)
        worse = shortfall(spec.performance_metric, pairs.challenger, pairs.champion, truth, day)[0]
        assert worse <= found.difference + 1e-12


def test_metrics_of_ranks_have_no_worst() -> None:
    """ROC AUC has no bound by rows, so there is none."""
    pairs = _pairs(np.random.default_rng(16), 4, 2)

    assert daily_worst(_spec("binary", "roc_auc"), pairs, NOW) is None


def test_crossings_are_the_distance_of_the_distributions() -> None:
    """At each cut, only-ours minus only-theirs is the difference of the two distribution functions."""
    pairs = _pairs(np.random.default_rng(17), 2000, 2)
    found = crossings(_spec("binary", "accuracy"), pairs)

    assert found is not None
    assert len(found) == 9
    for cut in found:
        ours, theirs = (
            (scores[500:, 0] <= float(cut.at)).mean() for scores in (pairs.challenger, pairs.champion)
        )
        assert (cut.ours - cut.theirs) / cut.of == pytest.approx(ours - theirs, abs=2e-3)


@pytest.mark.parametrize(("users", "told", "broken"), [(1, 1, False), (20, 1, True), (20, 20, False)])
def test_false_rollbacks_of_users(users: int, told: int, *, broken: bool) -> None:
    """The level holds for independent requests; for users' only where it is known how many go together."""
    world = World(0.01, 0.01, 0.1, users, 0.3 if users > 1 else 0.0)
    runs = play(world, 400, np.random.default_rng(18))
    rolled_back = judges.trimtab(runs, world, told)[0].any(axis=1).sum()

    assert (rolled_back > MOST) == broken


def test_false_promotions_at_the_margin() -> None:
    """A version that is worse by the margin is promoted at any look in at most alpha of the runs."""
    world = World(0.02, 0.01, 0.5)
    runs = play(world, 400, np.random.default_rng(19))

    assert judges.trimtab(runs, world)[1].any(axis=1).sum() <= MOST


@settings(deadline=None, max_examples=100)
@given(st.integers(0, 300), st.integers(1, 3000), st.sampled_from([0.1, 0.5]))
def test_the_bench_measures_the_gate_itself(hits: int, misses: int, null: float) -> None:
    """What the bench computes for arrays is what the gates compute."""
    of = float(hits + misses)
    ends = [
        float(judges.bound(np.array([float(hits)]), np.array([of]), 0.025, 0.01, upper=upper)[0])
        for upper in (False, True)
    ]
    excess = float(judges.log_excess(np.array([float(hits)]), np.array([float(misses)]), null)[0])

    assert excess == pytest.approx(log_excess(hits, misses, null))
    assert ends == pytest.approx(interval(hits, of, 0.025, 0.01), abs=1e-6)
