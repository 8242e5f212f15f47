from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy.stats import binom, t

from monitors.attribution import Explanation, Side, explain
from monitors.finding import NoData
from monitors.performance import Estimate
from spec.errors import DataError

DAY = 86_400 * 10**6
CELLS = 6  # of two columns: three cities, two doors
P = np.array([0.30, 0.20, 0.20, 0.15, 0.10, 0.05])
Q = np.array([0.10, 0.10, 0.15, 0.15, 0.20, 0.30])
OLD = np.array([0.2, 0.3, 0.5, 0.4, 0.9, 1.2])
NEW = np.array([0.2, 0.3, 0.5, 1.0, 0.9, 1.8])


def side(random: np.random.Generator, rows: int, chances: np.ndarray, losses: np.ndarray) -> Side:
    """Rows of a city and a door, drawn by cell, whose losses are exponential with the cell's mean."""
    cell = random.choice(CELLS, size=rows, p=chances)
    frame = pd.DataFrame({"city": np.array(["Rome", "Oslo", "Łódź"])[cell // 2], "door": cell % 2 * 1.0})
    return Side(frame, random.exponential(losses[cell]))


def explained(reference: Side, current: Side, **settings: int) -> Explanation:
    """Return an explanation, which must be one."""
    found = explain(reference, current, **settings)  # type: ignore[arg-type]
    assert isinstance(found, Explanation)
    return found


def truth(old: np.ndarray, new: np.ndarray) -> dict[str, float]:
    """Return the parts of the change by their definition, on the six cells."""
    shared = P * Q / (P + Q) / np.sum(P * Q / (P + Q))
    return {
        "total": Q @ new - P @ old,
        "inputs": shared @ old - P @ old,
        "relation": shared @ new - shared @ old,
        "new_inputs": Q @ new - shared @ new,
        "moved": shared @ old - P @ old + Q @ new - shared @ new,
    }


def holds(part: Estimate, value: float) -> bool:
    """Whether a value is in the interval."""
    return part.low <= value <= part.high


@pytest.mark.parametrize("new", [OLD, NEW], ids=["the relation is the same", "the relation changed"])
def test_the_parts_are_those_of_their_definition(new: np.ndarray) -> None:
    """On inputs of six kinds each part is within 3.5 standard errors of its closed form."""
    random = np.random.default_rng(1)
    found = explained(side(random, 4000, P, OLD), side(random, 4000, Q, new))

    for name, value in truth(OLD, new).items():
        part = getattr(found, name)
        assert part.value == pytest.approx(value, abs=3.5 / 1.96 * (part.high - part.low) / 2)
        assert part.high - part.low < 0.2
    assert found.overlap == pytest.approx(2 * np.sum(P * Q / (P + Q)), abs=0.03)


def test_the_parts_sum_to_the_total() -> None:
    """The three parts add up to the difference of the mean losses, and `moved` is the first and the last."""
    random = np.random.default_rng(2)
    reference, current = side(random, 700, P, OLD), side(random, 400, Q, NEW)
    found = explained(reference, current)
    total = current.losses.mean() - reference.losses.mean()

    assert found.inputs.value + found.relation.value + found.new_inputs.value == pytest.approx(
        total, abs=1e-12
    )
    assert found.moved.value == pytest.approx(found.inputs.value + found.new_inputs.value, abs=1e-12)
    assert found.total.value == pytest.approx(total, abs=1e-12)


def test_moved_inputs_are_not_taken_for_a_changed_relation() -> None:
    """Inputs that moved far, to where the loss is four times as high, leave the relation's interval on 0."""
    random = np.random.default_rng(3)

    def drawn(shift: float) -> Side:
        numbers = random.normal(shift, 1, size=1500)
        frame = pd.DataFrame({"x": numbers, "noise": random.normal(size=1500)})
        return Side(frame, random.exponential(0.2 + np.logaddexp(0, 2 * numbers)))

    found = explained(drawn(0), drawn(1))

    assert holds(found.relation, 0)
    assert found.moved.low > 0
    assert found.moved.value > 0.85 * found.total.value


def test_a_changed_relation_is_not_taken_for_moved_inputs() -> None:
    """With the same inputs and twice the loss, all of the change is the relation's."""
    random = np.random.default_rng(4)
    found = explained(side(random, 1500, P, OLD), side(random, 1500, P, 2 * OLD))

    assert holds(found.moved, 0)
    assert found.relation.low > 0
    assert found.relation.value == pytest.approx(found.total.value, rel=0.2)


def test_where_nothing_changed_the_intervals_hold_zero() -> None:
    """At 95 %: of eight samples each part's interval misses 0 no oftener than chance allows at 0.1 %."""
    missed = dict.fromkeys(("total", "inputs", "relation", "new_inputs", "moved"), 0)
    samples = 8
    for seed in range(samples):
        random = np.random.default_rng(seed)
        found = explained(side(random, 250, P, OLD), side(random, 250, P, OLD))
        for name in missed:
            missed[name] += not holds(getattr(found, name), 0)

    assert max(missed.values()) <= binom.ppf(0.999, samples, 0.05)


def test_labels_of_another_mix_show_as_both() -> None:
    """With the same inputs for each label and more of one, the inputs move and the relation changes."""
    random = np.random.default_rng(5)

    def drawn(late: float) -> Side:
        label = random.random(3000) < late
        numbers = random.normal(1.5 * label)
        score = 1 / (1 + np.exp(-1.5 * numbers + 1.125 - np.log(0.2 / 0.8)))
        frame = pd.DataFrame({"x": numbers})
        return Side(frame, -np.log(np.where(label, score, 1 - score)))

    found = explained(drawn(0.2), drawn(0.5))

    assert found.relation.low > 0
    assert found.moved.low > 0


def test_the_rows_of_a_day_count_as_one_piece_of_evidence() -> None:
    """The total's interval is that of ordinary least squares with errors clustered by day (statsmodels)."""
    random = np.random.default_rng(6)
    days = random.integers(0, 12, size=(2, 600))
    losses = random.normal(size=(2, 12))[[[0], [1]], days] + random.normal(size=(2, 600))
    sides = [
        Side(pd.DataFrame({"x": random.normal(size=600)}), loss, day * DAY)
        for loss, day in zip(losses, days, strict=True)
    ]
    found = explained(*sides)
    ordinary = sm.OLS(losses.ravel(), sm.add_constant(np.repeat([0, 1], 600)))
    groups = (days + np.array([[0], [12]])).ravel()
    fit = ordinary.fit(cov_type="cluster", cov_kwds={"groups": groups, "use_correction": False})
    variances = [_day_variance(*pair) for pair in zip(losses, days, strict=True)]
    freedom = sum(variances) ** 2 / sum(variance**2 / 11 for variance in variances)
    reach = t.ppf(0.975, freedom) * fit.bse[1] * (12 / 11) ** 0.5

    assert found.total.high - found.total.value == pytest.approx(reach, rel=1e-6)
    assert found.total.blocks == 24


def _day_variance(losses: np.ndarray, days: np.ndarray) -> float:
    sums = [np.sum(losses[days == day] - losses.mean()) for day in np.unique(days)]
    return float(np.sum(np.square(sums)))


def test_few_days_are_rows() -> None:
    """With four days the rows are the blocks, as without any times."""
    random = np.random.default_rng(7)
    reference, plain = side(random, 300, P, OLD), side(random, 300, Q, OLD)
    dated = Side(plain.frame, plain.losses, np.arange(300) % 4 * DAY)

    assert explained(reference, plain) == explained(reference, dated)


def test_the_order_of_rows_does_not_matter() -> None:
    """Shuffled rows give the identical explanation, and the same seed the same one again."""
    random = np.random.default_rng(8)
    reference, current = side(random, 400, P, OLD), side(random, 400, Q, NEW)
    order = random.permutation(400)
    shuffled = Side(current.frame.iloc[order], current.losses[order])  # type: ignore[union-attr]

    assert explained(reference, current) == explained(reference, shuffled)


def test_missing_values_and_booleans_are_inputs() -> None:
    """Gaps and nullable booleans are read, and a column that is all missing is left out."""
    random = np.random.default_rng(9)

    def drawn() -> Side:
        frame = pd.DataFrame({"x": random.normal(size=300), "empty": np.nan})
        frame.loc[::3, "x"] = np.nan
        frame["member"] = pd.array(random.random(300) < 0.5, dtype="boolean")
        frame.loc[::5, "member"] = pd.NA
        return Side(frame, random.exponential(size=300))

    assert np.isfinite(explained(drawn(), drawn()).relation.value)


def test_too_few_labels_are_no_data() -> None:
    """Below 200 labelled rows on a side nothing is said, but how many there are."""
    random = np.random.default_rng(0)
    found = explain(side(random, 300, P, OLD), side(random, 199, P, OLD))

    assert found == NoData("200 labelled rows a side are needed; reference has 300, current 199")


def test_inputs_without_overlap_are_no_data() -> None:
    """Sides that share no input cannot be compared, and the feature that parts them is named."""
    random = np.random.default_rng(0)
    reference, current = (side(random, 300, P, OLD) for _ in range(2))
    parted = current.frame.assign(door=current.frame["door"] + 5)  # type: ignore[union-attr]
    found = explain(reference, Side(parted, current.losses))

    assert isinstance(found, NoData)
    assert "door alone has 0.00" in found.reason


def test_nothing_to_compare_is_no_data() -> None:
    """Without a value in any shared column nothing is said."""
    empty = Side(pd.DataFrame({"x": np.full(200, np.nan)}), np.ones(200))

    assert explain(empty, empty) == NoData("no feature that both sides have holds a value")


def test_losses_that_never_differ_change_by_nothing() -> None:
    """A constant loss has changed by 0, for certain."""
    random = np.random.default_rng(0)
    sides = [side(random, 200, P, OLD) for _ in range(2)]
    found = explained(*(Side(each.frame, np.ones(200)) for each in sides))

    assert found.total == Estimate(0, 0, 0, 400, 400)
    assert found.relation.value == pytest.approx(0, abs=1e-9)


def test_every_problem_is_named_at_once() -> None:
    """Losses and times that do not fit and losses that are not finite are all reported."""
    frame = pd.DataFrame({"x": range(3)})
    hint = "Clip probabilities before taking their logarithm"
    with pytest.raises(DataError) as caught:
        explain(
            Side(frame, np.ones(2), np.zeros(1, dtype=np.int64)), Side(frame, np.array([1, np.nan, np.inf]))
        )

    assert [
        "reference: losses: must have one entry for each of the 3 rows; found shape (2,)",
        "reference: times: must have one entry for each of the 3 rows; found shape (1,)",
        f"current: losses: must be finite; found 2 that are not. {hint}",
    ] == str(caught.value).splitlines()
