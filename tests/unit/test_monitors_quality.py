from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

from monitors.profiles.plan import Plan
from monitors.profiles.profile import empty
from monitors.quality import Check, check, judge
from monitors.reference_profile import ReferenceProfile
from monitors.references import Reference
from spec import ModelSpec, loads

SPEC = """
model: shop
task: binary
data: {inference_log: log, labels: labels, id: id, time: t, target: {name: y}}
features: {amount: numeric, country: categorical, member: boolean}
monitor: {quality: {null_rate: 0.1, unseen_categories: 0.05, out_of_range: 0.05, min_rows: 50}}
"""


@pytest.fixture
def spec() -> ModelSpec:
    """The model under watch."""
    return loads(SPEC)


@pytest.fixture
def reference() -> Reference:
    """What version 1 was trained on."""
    start = datetime(2024, 1, 1, tzinfo=UTC)
    return Reference(
        model="shop",
        version="1",
        created_at=start,
        window=(start, start),
        population=1000,
        frame=pd.DataFrame(),
        counts=ReferenceProfile(empty(Plan({}))),
        importances={},
        performance={},
        ranges={"amount": (0.0, 10.0)},
        categories={"country": frozenset({"de", "fr"}), "member": frozenset({"true"})},
        null_rates={"amount": 0.05, "country": 0.0, "member": 0.0},
    )


def frame(rows: int = 100) -> pd.DataFrame:
    """Rows of one version."""
    return pd.DataFrame(
        {
            "amount": np.linspace(0, 10, rows),
            "country": pd.Series(["de", "fr"] * (rows // 2), dtype="str"),
            "member": pd.Series([True, False] * (rows // 2), dtype="boolean"),
        }
    )


def found(
    rows: pd.DataFrame, reference: Reference | None, spec: ModelSpec, *, total: int | None = None
) -> dict[str, tuple[str | None, int]]:
    """The violations by check: feature and rows."""
    ids = pd.Series([str(at) for at in range(len(rows))])
    violations = check(rows, ids, reference, spec, rows=len(rows) if total is None else total)
    return {violation.check.value: (violation.feature, violation.rows) for violation in violations}


def test_sound_data_have_no_violation_and_a_zero_for_every_check(
    spec: ModelSpec, reference: Reference
) -> None:
    """A clean window says so of every check, so that a metric falls back to zero."""
    finding = judge(check(frame(), pd.Series(["a", "b"]), reference, spec, rows=100), 100)
    zeros = {m.method: m.value for m in finding.measurements if m.name == "violations"}

    assert finding.status == "ok"
    assert zeros == dict.fromkeys((name.value for name in Check), 0)


@pytest.mark.parametrize(("nulls", "wrong"), [(27, {}), (28, {"null_rate": ("amount", 28)})])
def test_nulls_may_rise_by_the_allowance_over_the_reference(
    spec: ModelSpec, reference: Reference, nulls: int, wrong: dict[str, object]
) -> None:
    """5 % of nulls in the reference and 10 % more pass until 15 % surely is not all: P(X ≥ 28) = 0.0006."""
    rows = frame()
    rows.loc[: nulls - 1, "amount"] = np.nan

    assert found(rows, reference, spec) == wrong


@pytest.mark.parametrize(("strange", "wrong"), [(13, {}), (14, {"unseen_categories": ("country", 14)})])
def test_unseen_categories_are_counted_in_rows(
    spec: ModelSpec, reference: Reference, strange: int, wrong: dict[str, object]
) -> None:
    """Of an allowance of 5 %, 13 rows of 100 with a new category may be chance, 14 are not."""
    rows = frame()
    rows.loc[: strange - 1, "country"] = "it"

    assert found(rows, reference, spec) == wrong


@pytest.mark.parametrize(("outside", "wrong"), [(13, {}), (14, {"out_of_range": ("amount", 14)})])
def test_values_outside_the_references_range_are_counted(
    spec: ModelSpec, reference: Reference, outside: int, wrong: dict[str, object]
) -> None:
    """Of an allowance of 5 %, 13 rows of 100 beyond the extremes pass, 14 do not; the extremes are inside."""
    rows = frame()
    rows.loc[: outside - 1, "amount"] = 10.001

    assert found(rows, reference, spec) == wrong


def test_a_repeated_id_is_a_violation(spec: ModelSpec, reference: Reference) -> None:
    """Every row beyond the first of an id counts."""
    ids = pd.Series(["a", "b", "a", "a"])

    violations = check(frame(), ids, reference, spec, rows=100)

    assert [(v.check, v.rows) for v in violations] == [(Check.DUPLICATE_IDS, 2)]
    assert "'a'" in violations[0].detail


@pytest.mark.parametrize(
    ("total", "wrong"), [(50, {}), (49, {"volume": (None, 1)}), (0, {"volume": (None, 50)})]
)
def test_too_little_traffic_is_a_violation_of_the_whole_window(
    spec: ModelSpec, reference: Reference, total: int, wrong: dict[str, object]
) -> None:
    """The least number of rows is that of all versions together."""
    assert found(frame(4), reference, spec, total=total) == wrong


def test_a_missing_or_mistyped_column_is_a_violation_of_the_schema(
    spec: ModelSpec, reference: Reference
) -> None:
    """Each feature that the frame lacks or holds in another type is named, and no other check trips on it."""
    rows = frame().drop(columns="country").assign(amount="much", member=1.0)

    violations = check(rows, pd.Series(["a"]), reference, spec, rows=100)

    assert [(v.check, v.feature) for v in violations] == [
        (Check.SCHEMA, "amount"),
        (Check.SCHEMA, "country"),
        (Check.SCHEMA, "member"),
    ]


def test_an_all_null_column_breaks_the_null_rate_and_nothing_else(
    spec: ModelSpec, reference: Reference
) -> None:
    """A column of nulls is of every type, and outside no range."""
    assert found(frame().assign(amount=np.nan), reference, spec) == {"null_rate": ("amount", 100)}


def test_without_a_reference_only_what_needs_none_is_checked(spec: ModelSpec) -> None:
    """A version without a reference is not accused of nulls, categories or ranges."""
    rows = frame().assign(amount=np.nan, country="it")

    assert found(rows, None, spec) == {}


def test_an_empty_window_is_a_lack_of_volume_only(spec: ModelSpec, reference: Reference) -> None:
    """No rows violate no share."""
    assert found(frame(0), reference, spec) == {"volume": (None, 50)}


def test_a_violation_is_an_alarm_with_its_detail(spec: ModelSpec, reference: Reference) -> None:
    """The measurement carries check, feature, rows, allowance and a sentence for a person."""
    rows = frame().assign(country="it")

    finding = judge(check(rows, pd.Series(["a"]), reference, spec, rows=100), 100)
    worst = finding.measurements[0]

    assert finding.status == "alarm"
    assert (worst.name, worst.method, worst.feature) == ("violations", "unseen_categories", "country")
    assert (worst.value, worst.limit, worst.n) == (100, 0.05, 100)
    assert worst.text == "1 categories that the reference does not have, such as 'it'"
