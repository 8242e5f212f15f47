from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from retraining.gates import budget
from retraining.records import Variant
from spec import ModelSpec
from spec.model import Within
from spec.retrain import Learner

TAKES = {
    "size": 3_000,
    "latency_p99": 20e-6,
    "memory": 120_000_000,
    "cpu_per_million": 400.0,
}


def chosen(**told: Any) -> Variant:
    """Return what was chosen, as it was measured unless told otherwise."""
    about = {
        "learner": Learner.LIGHTGBM,
        "candidate": "lightgbm/0/model.onnx",
        "passes": (),
        "trees": None,
        "onnx": "chosen.onnx",
        "proxy": "proxy.onnx",
        "loss": 0.5,
        "latency_p50": 1e-5,
    }
    return Variant(**(about | TAKES | told))


@pytest.fixture
def within(shop: Callable[..., ModelSpec]) -> Callable[..., ModelSpec]:
    """Return the shop with these limits and no others."""

    def make(**limits: Any) -> ModelSpec:
        spec = shop()
        optimize = spec.optimize.model_copy(update={"within": Within(**limits)})
        return spec.model_copy(update={"optimize": optimize})

    return make


@pytest.mark.parametrize(
    ("limit", "kept", "broken", "reason"),
    [
        ("size", 3_000, 2_999, "size 3,000 B > 2,999 B"),
        (
            "latency_p99",
            timedelta(microseconds=21),
            timedelta(microseconds=19),
            "p99 of one row 0.020 ms > 0.019 ms",
        ),
        ("memory", 120_000_000, 119_000_000, "memory 120,000,000 B > 119,000,000 B"),
        (
            "cpu_per_million",
            timedelta(seconds=400),
            timedelta(seconds=399),
            "a million predictions take 400 CPU-seconds > 399",
        ),
    ],
)
def test_every_limit_is_held(
    within: Callable[..., ModelSpec], limit: str, kept: Any, broken: Any, reason: str
) -> None:
    """What is at the limit passes, what is above it does not, with both numbers."""
    assert budget.judge(within(**{limit: kept}), chosen()).passed

    gate = budget.judge(within(**{limit: broken}), chosen())

    assert not gate.passed
    assert reason == gate.reason


def test_every_limit_that_a_spec_can_give_is_judged() -> None:
    """A limit that is added to the spec is added to the table above; the loss has gates of its own."""
    assert set(Within.model_fields) == {"quality_drop", *TAKES}


@pytest.mark.parametrize(
    ("limit", "value", "what"),
    [("memory", 10**12, "memory"), ("cpu_per_million", timedelta(days=1), "CPU time")],
)
def test_a_limit_without_a_measurement_is_refused(
    within: Callable[..., ModelSpec], limit: str, value: Any, what: str
) -> None:
    """However generous the limit is: nobody knows whether it is kept."""
    gate = budget.judge(within(**{limit: value}), chosen(**{limit: None}))

    assert not gate.passed
    assert f"{what} was not measured, and within.{limit} limits it" == gate.reason


def test_all_broken_limits_are_told_together(within: Callable[..., ModelSpec]) -> None:
    """One reason names all of them, so that nobody mends one after another."""
    gate = budget.judge(within(size=1, memory=1), chosen())

    assert "size 3,000 B > 1 B; memory 120,000,000 B > 1 B" == gate.reason


def test_what_was_measured_is_told_where_all_is_kept(within: Callable[..., ModelSpec]) -> None:
    """The record holds the numbers that it passed with; what nobody measured is left out."""
    measured = "3,000 B, p99 of one row 0.020 ms"
    served = "a model server of 120,000,000 B, 400 CPU-seconds a million predictions"

    assert f"{measured}, {served}" == budget.judge(within(), chosen()).reason
    assert measured == budget.judge(within(), chosen(memory=None, cpu_per_million=None)).reason
