"""Two tables in, a ranked and tested comparison out."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from scipy.stats import ks_2samp, wasserstein_distance

from monitors.comparing.column_pair import Effect, all_statistics
from monitors.comparing.compare import compare
from monitors.comparing.comparison import Comparison, MissingShift
from monitors.comparing.methods import Methods, Rule
from monitors.distances import METHODS
from monitors.finding import NoData
from monitors.profiles.plan import Plan
from monitors.profiles.planning import make_plan
from monitors.profiles.profile import Profile
from monitors.profiles.tally import count
from spec import DataError, InputError

ROWS = 4000


def table(seed: int, rows: int = ROWS, shift: float = 0.0, **more: Any) -> pa.Table:
    """An amount that may shift, two columns that never do, and more columns by name."""
    random = np.random.default_rng(seed)
    return pa.table(
        {
            "amount": random.normal(50 + 10 * shift, 10, rows),
            "steady": random.exponential(3, rows),
            "country": random.choice(["de", "fr", "it"], rows, p=[0.5, 0.3, 0.2]),
            **more,
        }
    )


def profiled(data: pa.Table, plan: Plan | None = None) -> Profile:
    """The profile of a table, by its own plan if none is given."""
    return count(plan or make_plan(data), data.schema, data.to_batches())


def compared(reference: pa.Table, current: pa.Table, **options: Any) -> Comparison:
    """The comparison of two tables by the plan of the first."""
    ours = profiled(reference)
    return compare(ours, profiled(current, ours.plan), **options)


def single(reference: Any, current: Any, **options: Any) -> Any:
    """The comparison of one column of values."""
    return compared(pa.table({"x": reference}), pa.table({"x": current}), **options)["x"]


def test_a_shift_is_found_and_the_rest_is_left_alone() -> None:
    """Of three columns the one that moved by half a deviation is named, first, with its share of the cost."""
    comparison = compared(table(1), table(2, shift=0.5))

    assert [column.name for column in comparison.drifted] == ["amount"]
    assert comparison.columns[0].name == "amount"
    assert comparison.share == pytest.approx(1 / 3)
    assert comparison.attribution == {"amount": 1.0}


def test_identical_profiles_do_not_drift() -> None:
    """Every effect is 0."""
    comparison = compared(table(1), table(1))

    assert [column.effect for column in comparison.columns] == [
        Effect(0.0, column.effect.within)
        for column in comparison.columns  # type: ignore[union-attr]
    ]
    assert comparison.share == 0


def test_the_numeric_default_is_scipys_distance_over_the_plans_scale() -> None:
    """The effect is the normed Wasserstein distance, within its stated bound."""
    reference, current = table(1), table(2, shift=0.3)
    ours = profiled(reference)
    scale = ours.plan.columns["amount"].scale  # type: ignore[union-attr]

    effect = compare(ours, profiled(current, ours.plan))["amount"].effect

    exact = wasserstein_distance(reference["amount"].to_numpy(), current["amount"].to_numpy()) / scale
    assert isinstance(effect, Effect)
    assert abs(effect.value - exact) <= effect.within < 0.05


def test_an_effect_that_chance_explains_is_no_drift() -> None:
    """Thirty rows may well lie 0.2 deviations off: effect and p-value are large, nothing drifted."""
    found = single(np.random.default_rng(1).normal(size=5000), np.random.default_rng(4).normal(size=30))

    assert found.effect.value >= found.threshold
    assert found.p_value > 0.05
    assert not found.drifted


def test_a_significant_trifle_is_no_drift() -> None:
    """A shift of 0.05 deviations is beyond doubt with 50,000 rows, and below the threshold."""
    random = np.random.default_rng(1)
    found = single(random.normal(size=50_000), random.normal(0.05, 1, 50_000), every_p=True)

    assert found.p_value < 1e-6
    assert not found.drifted


@pytest.mark.parametrize("side", [0, 1])
def test_one_row_far_off_hides_no_shift(side: int) -> None:
    """A deviation's shift of 2,000 rows is seen beside a row at 1e12 on either side; the row is no drift."""
    random = np.random.default_rng(11)
    sides = [random.normal(size=5000), random.normal(size=2000)]
    sides[side][0] = 1e12
    alone = single(*sides)
    moved = single(sides[0], np.where(sides[1] < 1e11, sides[1] + 1, sides[1]))

    assert (True, False) == (alone.effect.value > 1e6, alone.drifted)
    assert moved.drifted
    assert moved.p_value < 1e-100


def test_a_row_far_off_makes_no_trifle_matter() -> None:
    """A sure shift of a fiftieth of a deviation beside a row at 1e12 is no drift."""
    random = np.random.default_rng(12)
    now = random.normal(0.02, 1, 400_000)
    now[0] = 1e12

    assert not single(random.normal(size=400_000), now).drifted


def test_small_effects_are_tested_on_demand_only() -> None:
    """Their p-value cannot matter, so it is not computed, and said so."""
    assert "not tested" in single([1.0, 2.0, 3.0] * 50, [1.0, 2.0, 3.0] * 40).p_value.reason
    assert single([1.0, 2.0, 3.0] * 50, [1.0, 2.0, 3.0] * 40, every_p=True).p_value == 1.0


def test_false_alarms_over_columns_stay_within_alpha() -> None:
    """Of 60 pairs of 20 columns of noise, 150 rows against 2,000, next to none have a drifted column."""
    alarms = 0
    for seed in range(60):
        random = np.random.default_rng(seed)
        sides = [pa.table({f"x{i}": random.normal(size=n) for i in range(20)}) for n in (2000, 150)]
        alarms += bool(compared(*sides).drifted)

    assert alarms <= 8


@pytest.mark.parametrize("method", [name for name, method in METHODS.items()])
def test_every_statistic_finds_a_shift_of_a_number(method: str) -> None:
    """One deviation is found whatever the statistic, and is significant."""
    random = np.random.default_rng(0)
    found = single(random.normal(size=2000), random.normal(1, 1, 800), methods=Methods(numeric=method))

    assert found.method == method
    assert found.drifted
    assert found.p_value < 1e-6


@pytest.mark.parametrize("method", [name for name, method in METHODS.items() if not method.ordered])
def test_every_unordered_statistic_finds_a_change_of_categories(method: str) -> None:
    """Shares of 50, 30, 20 against 20, 30, 50 are found whatever the statistic."""
    sides = ["a"] * 500 + ["b"] * 300 + ["c"] * 200, ["a"] * 200 + ["b"] * 300 + ["c"] * 500

    assert single(*sides, methods=Methods(categorical=method)).drifted


def test_categories_are_exact_with_unseen_ones_too() -> None:
    """A value that the reference never had counts in full."""
    found = single(
        ["a"] * 50 + ["b"] * 50, ["a"] * 50 + ["new"] * 50, methods=Methods(categorical="hellinger")
    )

    assert found.effect.value == pytest.approx(math.sqrt(0.5), rel=1e-12)
    assert found.effect.within == 0


def test_a_column_may_have_its_own_statistic_and_threshold() -> None:
    """The rule of the column beats that of its kind."""
    own = Methods(columns={"amount": Rule("ks", 0.4)})
    column = compared(table(1), table(2, shift=0.5), methods=own)["amount"]

    assert (column.method, column.threshold) == ("ks", 0.4)
    assert not column.drifted


def test_numbers_beyond_floats_are_compared_exactly() -> None:
    """A shift of 300 at 2^60, where floats are 128 apart, is what it is."""
    reference = 2**60 + np.arange(1000)

    found = single(reference, reference + 300, methods=Methods(numeric="ks"))

    assert found.effect.value == pytest.approx(0.3, abs=found.effect.within + 1e-12)
    assert found.effect.within < 0.01


def test_importances_rank_what_drifted() -> None:
    """The smaller drift of the column that matters comes first, with the larger share of the cost."""
    more = [np.random.default_rng(seed).normal(shift, 1, ROWS) for seed, shift in ((5, 0), (6, 1.5))]
    reference, current = table(1, extra=more[0]), table(2, shift=0.5, extra=more[1])

    plain = compared(reference, current)
    weighed = compared(reference, current, importances={"amount": 0.9, "extra": 0.1})

    assert [column.name for column in plain.drifted] == ["extra", "amount"]
    assert [column.name for column in weighed.drifted] == ["amount", "extra"]
    assert sum(weighed.attribution.values()) == pytest.approx(1)
    assert weighed.attribution["amount"] > 0.7
    assert weighed["steady"].importance == 0


def test_effective_sizes_weaken_the_evidence() -> None:
    """Rows that are worth a hundredth of their number are no proof any more."""
    reference, current = table(1), table(2, shift=0.25)

    assert compared(reference, current)["amount"].drifted
    assert not compared(reference, current, effective_sizes={"amount": (40.0, 40.0)})["amount"].drifted


def test_values_that_go_missing_are_a_drift() -> None:
    """From none to a tenth without a value is an alarm although those that are left did not move."""
    values = np.random.default_rng(0).normal(size=1000)
    holes = pa.array(values, mask=np.arange(1000) % 10 == 0)

    found = single(values, holes)

    assert found.drifted
    assert not found.significant
    assert isinstance(found.missing, MissingShift)
    assert (found.missing.reference, found.missing.current) == (0, 0.1)
    assert found.missing.p_value < 1e-20  # type: ignore[operator]
    assert found.cost > 1


def test_infinities_and_nan_count_as_missing() -> None:
    """What is no finite number has no place in a distance, and is not passed over."""
    values = np.random.default_rng(0).normal(size=1000)
    current = values.copy()
    current[:60], current[60:100], current[100:120] = np.inf, np.nan, -np.inf

    found = single(values, current)

    assert found.missing.current == pytest.approx(0.12)
    assert found.n_current == 880
    assert found.drifted


def test_missing_values_as_ever_are_no_drift() -> None:
    """A share that was always missing is normal."""
    values = pa.array(np.arange(1000.0), mask=np.arange(1000) % 10 == 0)

    assert not single(values, values).drifted


def test_an_all_missing_side_has_a_reason_and_drifts_by_what_went_missing() -> None:
    """There is no distance, and an alarm all the same."""
    found = single([1.0, 2.0] * 50, pa.array([None] * 100, pa.float64()))

    assert found.effect == NoData("the current side has no values, only 100 missing ones")
    assert found.p_value == found.effect
    assert found.drifted


def test_an_empty_side_has_a_reason_and_no_verdict() -> None:
    """Without rows there is neither a distance nor a share of missing values, nor a share of drift."""
    comparison = compared(table(1), table(2).slice(0, 0))

    assert {column.effect for column in comparison.columns} == {NoData("the current side is empty")}
    assert {column.missing for column in comparison.columns} == {NoData("the current side is empty")}
    assert comparison.share == NoData("no column could be compared")
    assert comparison.attribution == {}


def test_a_constant_that_varies_is_a_drift_by_its_share() -> None:
    """Without a deviation to measure in, it is the share of rows elsewhere that counts, and it is said so."""
    found = single([7] * 500, [7] * 300 + [9] * 200)

    assert found.method == "total_variation"
    assert found.effect == Effect(pytest.approx(0.4), 0.0)
    assert found.drifted
    assert "the reference is constant" in found.note


def test_a_constant_that_stays_is_no_drift() -> None:
    """Nor does it make the numbers fail."""
    found = single([7] * 500, [7] * 20, every_p=True)

    assert (found.effect, found.p_value, found.drifted) == (Effect(0.0), 1.0, False)


def test_a_column_that_became_constant_is_a_drift() -> None:
    """The distance from a varying reference is measured as ever."""
    values = np.random.default_rng(0).normal(size=1000)

    assert single(values, np.zeros(500)).drifted


def test_absent_and_skipped_columns_are_reported() -> None:
    """Neither a column that is gone nor one that cannot be monitored is passed over."""
    reference = table(1, nested=[[1]] * ROWS)
    current = table(2).drop_columns(["steady"])

    comparison = compared(reference, current)

    assert comparison.absent == ("steady",)
    assert list(comparison.skipped) == ["nested"]
    assert len(comparison.columns) == 2


def test_other_plans_are_refused_with_the_columns_that_differ() -> None:
    """Counts of other bins cannot be compared."""
    first = table(1)
    other = first.set_column(0, "amount", pa.array(np.arange(float(ROWS))))

    with pytest.raises(DataError, match="must be counted by the same plan; found different ones for amount"):
        compare(profiled(first), profiled(other))


def test_bad_parameters_are_refused_all_at_once() -> None:
    """Six mistakes, six lines."""
    with pytest.raises(InputError) as raised:
        compared(
            table(1),
            table(2),
            threshold=0,
            alpha=2,
            importances={"amount": -1, "amout": 1},
            effective_sizes={"stead": (1, 1)},
            methods=Methods(columns={"country": Rule("ks")}),
        )

    assert len(raised.value.problems) == 6
    assert "Did you mean 'amount'" in str(raised.value)


def test_bad_methods_are_refused_all_at_once() -> None:
    """An unknown statistic, an ordered one for categories, and a threshold of nothing."""
    with pytest.raises(InputError) as raised:
        Methods(numeric="wassertein", categorical="ks", columns={"x": Rule("psi", -1)})

    assert [problem.where for problem in raised.value.problems] == [
        "methods.numeric",
        "methods.categorical",
        "methods.columns: x: threshold",
    ]


def test_the_record_is_json_and_says_what_does_not_exist() -> None:
    """No NaN, no infinity, and a reason where there is no number."""
    record = compared(table(1, gone=[1.0] * ROWS), table(2, shift=0.5, gone=pa.nulls(ROWS))).to_dict()

    again = json.loads(json.dumps(record, allow_nan=False))

    assert again["columns"][0]["drifted"]
    gone = next(column for column in again["columns"] if column["name"] == "gone")
    assert gone["effect"] == {"no_data": f"the current side has no values, only {ROWS} missing ones"}


def test_all_statistics_of_a_column() -> None:
    """Each by its name, with its bound; those that need an order have a reason for categories."""
    reference, current = profiled(table(1)), None
    current = profiled(table(2, shift=0.5), reference.plan)

    found = {
        name: all_statistics(reference.columns[name], current.columns[name]) for name in ("amount", "country")
    }

    assert list(found["amount"]) == list(METHODS)
    assert all(isinstance(effect, Effect) for effect in found["amount"].values())
    without = [name for name, effect in found["country"].items() if isinstance(effect, NoData)]
    assert without == ["wasserstein", "ks"]


def test_ks_is_scipys_within_its_bound() -> None:
    """Through plan and profile the statistic is that of the values."""
    reference, current = table(1), table(2, shift=0.2)
    exact = ks_2samp(reference["amount"].to_numpy(), current["amount"].to_numpy()).statistic

    effect = compared(reference, current, methods=Methods(numeric="ks"))["amount"].effect

    assert isinstance(effect, Effect)
    assert effect.value <= exact + 1e-12
    assert exact <= effect.value + effect.within + 1e-12
    assert effect.within < 0.02


def test_data_are_profiled_by_the_plan_of_the_reference() -> None:
    """Tables are taken as they are, or a profile with a table."""
    reference, current = table(1), table(2, shift=0.5)

    of_tables = compare(reference, current)

    assert [column.name for column in of_tables.drifted] == ["amount"]
    with pytest.raises(DataError, match="must be a profile if the current side is one"):
        compare(reference, profiled(current))
