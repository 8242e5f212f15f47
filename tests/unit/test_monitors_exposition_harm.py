from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client.metrics_core import Metric

from monitors import exposition
from monitors.deployment import Deployment
from monitors.exposition import Live
from monitors.results.store import Measurement, WindowResult
from monitors.triage import Action, Cause, Triage
from spec import loads

SPEC = loads("""
model: shop
task: binary
data: {inference_log: log, labels: labels, id: id, time: t, target: {name: y}}
features: {amount: numeric, country: {type: categorical, protected: true}}
monitor: {concept_drift: {tolerance: 0.2}, fairness: {metric: demographic_parity, max: 0.15}}
""")
PLAIN = loads("""
model: inn
task: binary
data: {inference_log: log, labels: labels, id: id, time: t, target: {name: y}}
features: {amount: numeric}
""")
T0 = datetime(2024, 3, 10, tzinfo=UTC)
RESULT = WindowResult("shop", "1", "concept", T0, T0 + timedelta(days=1), 90, "ok", (), T0, 0.5, None, "abc")
DECISION = Triage("shop", "1", Action.RETRAIN, Cause.PERFORMANCE, T0, "Labels show harm.", onset=T0)


def series(families: Iterable[Metric], name: str) -> dict[tuple[str, ...], float]:
    """The values of one metric by its label values."""
    samples = [sample for family in families for sample in family.samples]
    return {
        tuple(sample.labels.values()): sample.value for sample in samples if sample.name == f"trimtab_{name}"
    }


def told(name: str, *numbers: Measurement, most: int = 10) -> dict[tuple[str, ...], float]:
    """One metric of a result of version 1."""
    live = Live(SPEC, Deployment({"blue": "1"}), (replace(RESULT, measurements=numbers),))
    return series(exposition.of_harm([live], most), name)


def decided(triage: Triage | None, slots: Deployment) -> list[Metric]:
    """The families of a decision on the shop."""
    known = {} if triage is None else {"shop": triage}
    return list(exposition.of_triage([Live(SPEC, slots, ())], known))


def test_an_estimate_has_its_band() -> None:
    """Value, lower and upper bound each are a series; the raw estimate, which is not held, is none."""
    estimate = Measurement("estimated_performance", 0.8, method="roc_auc", low=0.78, high=0.83, limit=0.75)
    raw = Measurement("estimated_performance_raw", 0.9, method="roc_auc", low=0.8, high=1.0)

    assert told("model_performance_estimate", estimate, raw) == {
        ("shop", "1", "roc_auc", "lower"): 0.78,
        ("shop", "1", "roc_auc", "value"): 0.8,
        ("shop", "1", "roc_auc", "upper"): 0.83,
    }


def test_a_number_without_an_interval_has_no_bounds() -> None:
    """The loss of a single day has no interval: there is one series, not three."""
    assert told("model_risk", Measurement("risk", 0.2, n=40)) == {("shop", "1", "value"): 0.2}


def test_the_proved_rise_stands_beside_its_tolerance() -> None:
    """The lower bound of the rise is exported as it is, below 0 too; the tolerance comes from the spec."""
    rise = Measurement("concept_drift", -0.05, method="risk_test", low=None, limit=0.2)
    limits = list(exposition.limits_of_harm([SPEC]))

    assert told("concept_drift_rise", rise) == {("shop", "1"): -0.05}
    assert series(limits, "concept_drift_tolerance") == {("shop",): 0.2}


def test_a_loss_change_is_told_by_its_reason() -> None:
    """Inputs that moved and a relation that changed are series of their own; carriers are none."""
    numbers = (
        Measurement("loss_change", 0.05, method="total", low=0.01, high=0.09),
        Measurement("loss_change", 0.04, method="relation", low=0.0, high=0.08),
        Measurement("loss_change_carrier", 0.9, feature="amount", method="relation"),
    )
    found = told("loss_change", *numbers)

    assert {reason for _, _, reason, _ in found} == {"total", "relation"}
    assert found["shop", "1", "relation", "value"] == 0.04


def test_declared_slices_are_capped_and_found_ones_are_not() -> None:
    """Cardinality is held for what a feature's values make; a search names few."""
    declared = [Measurement("slice_performance", 0.7, f"country={n}", "roc_auc") for n in range(5)]
    found = [Measurement("worst_slice", 0.1, f"country={n}", "brier") for n in range(3)]

    assert set(told("slice_performance", *declared, *found, most=2)) == {
        ("shop", "1", "country=0", "roc_auc"),
        ("shop", "1", "country=1", "roc_auc"),
    }
    assert len(told("worst_slice_rise", *declared, *found, most=2)) == 3


def test_fairness_stands_beside_its_limit() -> None:
    """The difference has its interval; a model without a protected feature has no limit."""
    apart = Measurement("fairness", 0.2, "country", "demographic_parity", low=0.16, high=0.24, limit=0.15)
    limits = list(exposition.limits_of_harm([SPEC, PLAIN]))

    assert told("fairness_difference", apart)["shop", "1", "country", "demographic_parity", "lower"] == 0.16
    assert series(limits, "fairness_limit") == {("shop", "demographic_parity"): 0.15}
    assert set(series(limits, "concept_drift_tolerance")) == {("shop",), ("inn",)}


def test_a_decision_is_one_series_with_its_words() -> None:
    """Action, cause and reason are labels, the onset is Unix seconds of event time."""
    families = decided(DECISION, Deployment({"blue": "1"}))

    assert series(families, "triage_decision") == {
        ("shop", "1", "retrain", "performance", "Labels show harm."): 1
    }
    assert series(families, "triage_onset_timestamp_seconds") == {("shop", "1"): T0.timestamp()}


@pytest.mark.parametrize(
    ("slots", "is_told"),
    [(Deployment({"blue": "1"}), True), (Deployment(), True), (Deployment({"blue": "2"}), False)],
)
def test_a_decision_ends_with_its_version(slots: Deployment, *, is_told: bool) -> None:
    """The old champion's is silent after a promotion, and its alert ends; before the first one it speaks."""
    assert bool(series(decided(DECISION, slots), "triage_decision")) is is_told


def test_without_a_decision_or_an_onset_there_is_no_series() -> None:
    """Nothing is exported that nobody has said."""
    slots = Deployment({"blue": "1"})
    undated = replace(DECISION, onset=None)

    assert series(decided(None, slots), "triage_decision") == {}
    assert series(decided(undated, slots), "triage_onset_timestamp_seconds") == {}
