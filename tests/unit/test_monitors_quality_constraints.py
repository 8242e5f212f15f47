"""What the file states of a feature wins over its reference, and is a fault where it does not hold."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest

from monitors.finding import Finding
from monitors.profiles.plan import Plan
from monitors.profiles.profile import empty
from monitors.quality import FAULTS, Check, Violation, check, faults, judge
from monitors.quality.shares import ERROR, surely_over
from monitors.reference_profile import ReferenceProfile
from monitors.references import Reference
from spec import ModelSpec, loads

HEAD = """
model: shop
task: binary
data: {inference_log: log, labels: labels, id: id, time: t, target: {name: y}}
"""
START = datetime(2024, 1, 1, tzinfo=UTC)


def stated(amount: str = "numeric", country: str = "categorical", quality: str = "{}") -> ModelSpec:
    """A model whose file states something of its features."""
    return loads(
        f"{HEAD}features: {{amount: {amount}, country: {country}}}\nmonitor: {{quality: {quality}}}\n"
    )


def reference() -> Reference:
    """Amounts of 0 to 10 and two countries."""
    return Reference(
        model="shop",
        version="1",
        created_at=START,
        window=(START, START),
        population=1000,
        frame=pd.DataFrame({"amount": np.linspace(0, 10, 1000), "country": ["de", "fr"] * 500}),
        counts=ReferenceProfile(empty(Plan({}))),
        importances={},
        performance={},
        ranges={"amount": (0.0, 10.0)},
        categories={"country": frozenset({"de", "fr"})},
        null_rates={"amount": 0.0, "country": 0.0},
    )


def found(
    spec: ModelSpec,
    *,
    amount: object = None,
    country: object = None,
    known: bool = True,
    ids: list[str] | None = None,
) -> list[tuple[str, str | None, int]]:
    """The violations of 200 rows of which some values were replaced: check, feature, rows."""
    rows = pd.DataFrame({"amount": np.linspace(0, 10, 200), "country": ["de", "fr"] * 100})
    rows = rows.assign(**{k: v for k, v in {"amount": amount, "country": country}.items() if v is not None})
    named = pd.Series(ids or [str(at) for at in range(len(rows))])
    violations = check(rows, named, reference() if known else None, spec, rows=len(rows))
    return [(v.check.value, v.feature, v.rows) for v in violations]


@pytest.mark.parametrize("known", [True, False])
def test_a_stated_range_is_checked_without_a_reference_too(known: bool) -> None:
    """`min` and `max` of the file hold for every version, with a reference or without."""
    spec = stated("{type: numeric, min: 0, max: 9}")

    assert found(spec, known=known) == [("constraint", "amount", 20)]


def test_each_stated_side_wins_over_the_reference() -> None:
    """With `max: 100` amounts of 50 are right, and those below the reference's least are still strange."""
    spec = stated("{type: numeric, max: 100}")

    assert found(spec, amount=50.0) == []
    assert found(spec, amount=101.0) == [("constraint", "amount", 200)]
    assert found(spec, amount=-1.0) == [("out_of_range", "amount", 200)]


def test_stated_values_win_over_the_reference() -> None:
    """A listed category is right though the reference lacks it; one not listed is wrong though it has it."""
    spec = stated(country="{type: categorical, values: [de, it]}")

    assert found(spec, country="it") == []
    assert found(spec) == [("constraint", "country", 100)]


def test_stated_nulls_win_over_the_null_rate() -> None:
    """`nulls: 0` allows no null where the reference and `null_rate` would allow 10 %; 100 % allows all."""
    one = np.r_[np.nan, np.ones(199)]

    assert found(stated("{type: numeric, nulls: 0}"), amount=one) == [("null_rate", "amount", 1)]
    assert found(stated(), amount=one) == []
    assert found(stated("{type: numeric, nulls: 100%}"), amount=np.nan) == []


def test_a_unique_feature_repeats_nothing() -> None:
    """Rows that repeat a value are counted, nulls are not; `duplicates` allows a share."""
    values = np.r_[np.arange(190.0), np.zeros(5), np.full(5, np.nan)]
    unique = "{type: numeric, unique: true, nulls: 10%, max: 1000}"

    assert found(stated(unique), amount=values) == [("uniqueness", "amount", 5)]
    assert found(stated(unique, quality="{duplicates: 5%}"), amount=values) == []


def test_some_duplicate_ids_may_be_allowed() -> None:
    """`duplicates` holds for ids: 10 of 200 pass 5 %, and one is too many by default."""
    ids = [str(at) for at in range(190)] + ["0"] * 10

    assert found(stated(quality="{duplicates: 5%}"), ids=ids) == []
    assert found(stated(), ids=ids) == [("duplicate_ids", None, 10)]


def test_one_wrong_row_of_many_is_within_broken() -> None:
    """A single absurd value in 200 rows is no fault at the default of 1 %, and one at `broken: 0`."""
    values = np.r_[1e12, np.ones(199)]
    spec = "{type: numeric, max: 100}"

    assert found(stated(spec), amount=values) == []
    assert found(stated(spec, quality="{broken: 0}"), amount=values) == [("constraint", "amount", 1)]


def test_a_violation_says_what_must_hold_and_shows_an_example() -> None:
    """The sentence names the share, the range and what was found."""
    spec = stated("{type: numeric, min: 0, max: 8}", "{type: categorical, values: [de]}")
    rows = pd.DataFrame({"amount": [9.0, 12.0] * 50, "country": ["fr"] * 100})

    violations = check(rows, pd.Series(map(str, range(100))), None, spec, rows=100)

    assert [v.detail for v in violations] == [
        "100.0% of the rows are not in [0, 8], such as 9 to 12",
        "1 categories that the file does not allow, such as 'fr'",
    ]
    assert [v.limit for v in violations] == [0.01, 0.01]


def test_faults_are_told_apart_from_what_a_retrain_may_cure() -> None:
    """A stored finding says what forbids a retrain: wrong data do, new values and few rows do not."""
    wrong = tuple(Violation(name, 3, "…", "a") for name in Check)

    finding: Finding = judge(wrong, 100)

    assert {number.method for number in faults(finding.measurements)} == {name.value for name in FAULTS}
    assert {v.check for v in wrong if not v.is_fault} == {
        Check.UNSEEN_CATEGORIES,
        Check.OUT_OF_RANGE,
        Check.VOLUME,
        Check.FRESHNESS,
    }
    assert faults(judge((), 100).measurements) == ()


@pytest.mark.parametrize("limit", [0.01, 0.05, 0.3])
@pytest.mark.parametrize("rows", [10, 200, 20_000])
def test_the_share_test_is_the_exact_binomial_one(limit: float, rows: int) -> None:
    """A share is surely too large exactly where SciPy's exact one-sided test says so."""
    counts = np.unique(np.linspace(1, min(rows, 3 * rows * limit + 10), 12).astype(int))
    for count in counts:
        expected = binomtest(int(count), rows, limit, "greater").pvalue <= ERROR and count / rows > limit
        assert surely_over(int(count), rows, limit) == expected


def test_a_share_at_its_limit_alarms_as_rarely_as_promised() -> None:
    """Of windows whose rows break a check with just the allowed probability at most 0.1 % are accused."""
    counts = np.random.default_rng(1).binomial(300, 0.05, 20_000)

    accused = sum(surely_over(int(count), 300, 0.05) for count in counts)

    assert accused <= 20_000 * ERROR + 4 * (20_000 * ERROR) ** 0.5


def test_small_windows_do_not_alarm_by_one_row() -> None:
    """One null of ten rows is no proof of more than 5 %; where none is allowed, it is."""
    assert not surely_over(1, 10, 0.05)
    assert surely_over(1, 10, 0.0)
    assert not surely_over(10, 10, 1.0)
    assert not surely_over(0, 10, 0.0)
