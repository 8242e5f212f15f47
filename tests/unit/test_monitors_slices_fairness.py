from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from monitors.finding import Finding, NoData
from monitors.metrics import Rows
from monitors.performance import Truth
from monitors.slices.disparity import Disparity, Rate, difference, disparity
from monitors.slices.fairness import gate, judge, measure
from monitors.slices.treatment import Groups, rates
from spec import DataError, ModelSpec, Task, loads
from spec.fairness import FairnessMetric

DAY = 86_400 * 10**6
PARITY, ODDS = FairnessMetric.DEMOGRAPHIC_PARITY, FairnessMetric.EQUALIZED_ODDS


def spec(
    task: str = "binary", metric: str = "equalized_odds", features: str = "", **limits: float
) -> ModelSpec:
    """A model with the protected feature `sex`."""
    classes = ", classes: [a, b, c]" if task == "multiclass" else ""
    wanted = {"max": 0.1, "min_rows": 50, **limits}
    return loads(f"""
model: credit
task: {task}
data: {{inference_log: log, labels: labels, id: id, time: t, target: {{name: y{classes}}}}}
features: {{sex: {{type: categorical, protected: true}}, income: numeric{features}}}
monitor: {{fairness: {{metric: {metric}, {", ".join(f"{key}: {value}" for key, value in wanted.items())}}}}}
""")


def people(
    rows: int = 4000, seed: int = 0, *, bias: float = 0.0, groups: int = 2, days: int = 14, storm: float = 0.0
) -> tuple[pd.DataFrame, Truth]:
    """Applicants whose scores lie `bias` (in logits) lower in group g0; days differ by `storm`."""
    random = np.random.default_rng(seed)
    group = random.integers(0, groups, rows)
    day = np.sort(random.integers(0, days, rows))
    logit = random.normal(0, 1.5, rows) + random.normal(0, storm, days)[day]
    labels = (random.random(rows) < 1 / (1 + np.exp(-logit))).astype(float)
    scores = 1 / (1 + np.exp(-(logit - bias * (group == 0))))
    frame = pd.DataFrame({"sex": np.char.add("g", group.astype(str)), "income": random.normal(size=rows)})
    return frame, Truth(scores[:, None], labels, day * DAY)


def by_hand(scores: list[float], labels: list[float], groups: list[int]) -> tuple[Rows, Groups]:
    """Rows written out, repeated ten times so that each class has enough."""
    rows = Rows(
        np.repeat(np.array(scores), 10)[:, None],
        np.repeat(np.array(labels), 10),
        np.tile(np.arange(10), len(labels)),
    )
    return rows, Groups(("f", "m"), np.repeat(np.array(groups, dtype=np.int64), 10))


def test_demographic_parity_is_the_difference_of_shares() -> None:
    """Of f one in four is decided positive, of m three in four: 0.5, and fairlearn says the same."""
    rows, groups = by_hand(
        [0.9, 0.1, 0.1, 0.1, 0.9, 0.9, 0.9, 0.1], [1, 0, 1, 0, 1, 0, 1, 0], [0] * 4 + [1] * 4
    )

    found, value = rates(Task.BINARY, PARITY, rows, groups, 10)

    assert value == pytest.approx(0.5)
    assert found[0].by_group.tolist() == [0.25, 0.75]


def test_equalized_odds_are_the_larger_difference() -> None:
    """True positives 1/2 and 1, false positives 0 and 1/2 for f and m by hand: the difference is 0.5."""
    rows, groups = by_hand(
        [0.9, 0.1, 0.1, 0.1, 0.9, 0.9, 0.9, 0.1], [1, 0, 1, 0, 1, 0, 1, 0], [0] * 4 + [1] * 4
    )

    found, value = rates(Task.BINARY, ODDS, rows, groups, 10)

    assert value == pytest.approx(0.5)
    assert {rate.name: rate.by_group.tolist() for rate in found} == {
        "true_positive_rate": [0.5, 1.0],
        "false_positive_rate": [0.0, 0.5],
    }


def test_of_several_classes_the_most_different_counts() -> None:
    """Decided a, b, c: 1/2, 1/4, 1/4 of f and 1/4, 1/4, 1/2 of m by hand: one quarter."""
    decided = np.repeat([0, 0, 1, 2, 0, 1, 2, 2], 10)
    rows = Rows(np.eye(3)[decided], decided.astype(float), np.tile(np.arange(10), 8))
    groups = Groups(("f", "m"), np.repeat([0, 1], 40).astype(np.int64))

    found, value = rates(Task.MULTICLASS, PARITY, rows, groups, 10)

    assert value == pytest.approx(0.25)
    assert [rate.name for rate in found] == [f"selection_rate of class {index}" for index in range(3)]


def test_parity_of_values_is_in_deviations() -> None:
    """Means of 1 and 3 with a deviation of 1 over all rows are 2 apart."""
    rows, groups = by_hand([1, 1, 3, 3], [1, 3, 3, 3], [0, 0, 1, 1])

    found, value = rates(Task.REGRESSION, PARITY, rows, groups, 10)

    assert value == pytest.approx(2)
    assert np.ptp(found[0].by_group) == pytest.approx(2)


def test_odds_of_values_are_errors_in_deviations_of_the_labels() -> None:
    """Mean absolute errors of 1 and 0 with labels of deviation √3/2 are 2/√3 apart."""
    rows, groups = by_hand([2, 2, 3, 3], [1, 3, 3, 3], [0, 0, 1, 1])

    _, value = rates(Task.REGRESSION, ODDS, rows, groups, 10)

    assert value == pytest.approx(2 / np.sqrt(3))


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
@pytest.mark.parametrize("metric", list(FairnessMetric))
def test_fairlearns_value_is_the_one_that_is_resampled(task: str, metric: FairnessMetric) -> None:
    """What is told (fairlearn's) and what the bounds are around are the same number."""
    random = np.random.default_rng(0)
    labels = random.integers(0, 2 if task == "binary" else 3, 2000).astype(float)
    scores = random.dirichlet([1, 1, 1], 2000) if task == "multiclass" else random.random((2000, 1))
    rows = Rows(scores, labels, np.arange(2000) % 10)
    groups = Groups(("a", "b", "c"), random.integers(0, 3, 2000))

    told, value = rates(Task(task), metric, rows, groups, 10)
    found = disparity(told, 0.975)

    assert isinstance(found, Disparity)
    assert found.value == pytest.approx(value)
    assert found.low <= value <= found.high


def test_groups_that_are_treated_differently_alarm() -> None:
    """Scores that lie lower for one group raise the alarm, with the two groups in the text."""
    finding = judge(spec(), *people(bias=1.5))

    number = finding.measurements[0]
    assert finding.status == "alarm"
    assert (number.name, number.feature, number.method, number.limit) == (
        "fairness",
        "sex",
        "equalized_odds",
        0.1,
    )
    assert number.low is not None
    assert number.low > 0.1
    assert number.text is not None
    assert "(sex=g0)" in number.text
    assert {(m.method, m.feature) for m in finding.measurements[1:]} == {
        (f"{kind}_positive_rate", f"sex=g{group}") for kind in ("true", "false") for group in (0, 1)
    }


def test_many_groups_that_are_treated_alike_do_not_alarm() -> None:
    """Twenty groups of 100 rows differ by 0.2 and more by luck; the lower bound knows it."""
    findings = [judge(spec(), *people(2400, seed, groups=20)) for seed in range(3)]

    assert min(finding.measurements[0].value for finding in findings) > 0.1
    assert {finding.status for finding in findings} == {"ok"}


def drawn(seed: int, shares: list[float], *, storm: float = 0.05, days: int = 10, each: int = 20) -> Rate:
    """Hits of groups with true shares; on each day, each group's share is off by its own weather."""
    random = np.random.default_rng(seed)
    today = np.clip(np.array(shares)[:, None] + random.normal(0, storm, (len(shares), days)), 0, 1)
    hits = random.binomial(each, today).astype(float)
    return Rate.of_hits("selection_rate", tuple(map(str, shares)), hits, np.full(hits.shape, float(each)))


def bounds(rate: Rate, confidence: float) -> Disparity:
    """The disparity, which must exist."""
    found = disparity([rate], confidence)
    assert isinstance(found, Disparity)
    return found


@pytest.mark.parametrize("groups", [2, 8, 20])
def test_the_lower_bound_holds_for_many_groups(groups: int) -> None:
    """Where all are alike, the lower bound at 95 % is above zero in 5 % of 300 windows, however many groups.

    The binomial law allows 24 once in 100.
    """
    above = sum(bounds(drawn(seed, [0.4] * groups), 0.95).low > 0 for seed in range(300))

    assert above <= stats.binom.ppf(0.99, 300, 0.05)


@pytest.mark.parametrize("shares", [[0.3, 0.45], [0.3, 0.4, 0.45, 0.45]])
def test_the_upper_bound_holds(shares: list[float]) -> None:
    """The true difference lies above the upper bound at 95 % in at most 24 of 300 windows."""
    below = sum(bounds(drawn(seed, shares), 0.95).high < 0.15 for seed in range(300))

    assert below <= stats.binom.ppf(0.99, 300, 0.05)


def test_the_bounds_are_no_wider_than_they_must_be() -> None:
    """Of two groups the lower bound misses in some of 300 windows: it is a bound at 95 %, not at 100 %."""
    assert sum(bounds(drawn(seed, [0.4, 0.4]), 0.95).low > 0 for seed in range(300)) >= 3


def test_small_groups_are_not_compared() -> None:
    """A group below `min_rows` is left out; with one group left there is no number."""
    frame, truth = people(200)
    frame.loc[:150, "sex"] = "g1"

    assert measure(spec(), frame, truth)[0].disparity == NoData(
        "sex has no two groups of 50 labelled rows to compare"
    )
    assert judge(spec(), frame, truth).status == "no_data"


def test_a_group_without_positives_has_no_odds() -> None:
    """Fairlearn would call the share of found positives of such a group 0; here it is not compared."""
    frame, truth = people(600)
    labels = np.where(frame["sex"] == "g0", 0.0, truth.labels)

    (one,) = measure(spec(), frame, Truth(truth.scores, labels, truth.times))

    assert isinstance(one.disparity, NoData)


def test_nulls_are_a_group() -> None:
    """Who does not say is served as a group of its own."""
    frame, truth = people(2000, groups=3)
    frame.loc[frame["sex"] == "g2", "sex"] = None

    (one,) = measure(spec(), frame, truth)

    assert "sex=(null)" in one.rates[0].groups


def test_without_protected_features_there_is_no_verdict() -> None:
    """Nothing is judged, and a gate has nothing to hold."""
    plain = loads(
        spec().model_dump_json(by_alias=True, include={"model", "task"})[:-1]
        + ', "features": {"sex": "categorical"}, "data": {"inference_log": "log", "labels": "l", "id": "id", '
        '"time": "t", "target": {"name": "y"}}}'
    )
    frame, truth = people(200)

    assert judge(plain, frame, truth).status == "no_data"
    assert gate(plain, frame, truth, None, confidence=0.95) == Finding("ok", (), 200)


def test_rows_must_be_those_of_the_truth() -> None:
    """All that is wrong with the rows is told at once."""
    frame, truth = people(200)

    with pytest.raises(DataError) as raised:
        judge(spec(), frame[["income"]].head(10), truth)

    assert [problem.where for problem in raised.value.problems] == ["rows: sex", "rows"]


def test_scores_that_are_not_finite_are_no_data() -> None:
    """A broken score gives a reason and no number."""
    frame, truth = people(200)
    truth.scores[0] = np.nan

    assert measure(spec(), frame, truth)[0].disparity == NoData("a score or label is not finite")


def test_a_fair_challenger_passes_the_gate() -> None:
    """With enough rows the upper bound of a fair version lies below the limit, without a champion too."""
    frame, truth = people(8_000)

    finding = gate(spec(), frame, truth, None, confidence=0.95)

    assert finding.status == "ok"
    assert finding.measurements[0].name == "fairness_gate"
    assert finding.measurements[0].high is not None
    assert finding.measurements[0].high <= 0.1


def test_an_unfair_challenger_is_held() -> None:
    """A version that treats the groups differently does not pass, with a fair champion or with none."""
    frame, biased = people(8_000, bias=1.5)
    _, fair = people(8_000)

    assert gate(spec(), frame, biased, None, confidence=0.95).status == "alarm"
    assert gate(spec(), frame, biased, fair, confidence=0.95).status == "alarm"


def test_a_gate_says_whether_harm_is_shown_or_rows_are_too_few() -> None:
    """Too few rows are told as that, with how many may do; harm that is shown is told as harm."""
    frame, few = people(400)
    _, unfair = people(8_000, bias=1.5)

    unsure = gate(spec(), frame, few, None, confidence=0.95).measurements[0].text or ""
    shown = gate(spec(), people(8_000)[0], unfair, None, confidence=0.95).measurements[0].text or ""

    found = re.search(r"400 rows do not tell: some ([\d,]+) would show it", unsure)
    assert found is not None
    needed = int(found[1].replace(",", ""))
    assert 400 < needed < 4_000
    assert "ok" == gate(spec(), *people(2 * needed), None, confidence=0.95).status
    assert "shown to be too much" in shown
    assert "do not tell" not in shown


def test_a_gate_does_not_blame_rows_that_would_show_groups_that_are_alike() -> None:
    """Between shown harm and shown fairness the version is told of, where the rows are enough."""
    (frame, worse), (_, fair) = people(8_000, bias=0.3), people(8_000)

    finding = gate(spec(), frame, worse, fair, confidence=0.95)

    told = "8,000 rows would show it of groups that are served alike, and do not here"
    assert ("alarm", True) == (finding.status, told in (finding.measurements[0].text or ""))


def test_a_challenger_as_unfair_as_the_champion_passes() -> None:
    """Holding back who is no worse than what serves now would keep the worse one."""
    frame, biased = people(8_000, bias=1.5)
    _, less = people(8_000, bias=1.2)

    assert gate(spec(), frame, biased, biased, confidence=0.95).status == "ok"
    assert gate(spec(), frame, less, biased, confidence=0.95).status == "ok"
    assert gate(spec(), frame, biased, less, confidence=0.95).status == "alarm"


def test_a_gate_without_groups_to_compare_has_no_evidence() -> None:
    """No data is its own outcome, never a pass."""
    frame, truth = people(60)

    assert gate(spec(), frame, truth, truth, confidence=0.95).status == "no_data"


def test_a_single_group_has_no_disparity() -> None:
    """One group differs from nobody."""
    one = Rate.of_hits("selection_rate", ("a",), np.ones((1, 5)), np.full((1, 5), 2.0))

    assert isinstance(disparity([one], 0.95), NoData)
    assert isinstance(difference([one], [one], 0.95), NoData)


def test_equal_means_without_spread_have_no_difference() -> None:
    """Constant predictions differ by nothing, and nothing is divided by zero."""
    n = np.full((2, 5), 10.0)
    alike = Rate("mean_prediction", ("a", "b"), n * 3, n, np.zeros(2))

    assert disparity([alike], 0.95) == Disparity(0.0, 0.0, pytest.approx(0.0))
