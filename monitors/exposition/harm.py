"""Harm before the labels, beyond chance, and to some: estimates, concept drift, slices, fairness."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from monitors.exposition.families import VERSION, Family, Live, add_bounds, gauge
from monitors.results.store import Measurement
from spec import ModelSpec

_At = tuple[str, str]


def of_harm(models: Iterable[Live], max_slices: int) -> Iterator[Family]:
    """Give what is estimated, what the loss proves, and how slices and groups fare.

    Parameters
    ----------
    max_slices
        At most so many series of declared slices a version, in the order in which they are told.
    """
    families = (_Estimates(), _Concept(), _Groups(max_slices))
    for live in models:
        for result in live.results:
            for family in families:
                family.add((result.model, result.version), result.measurements)
    for family in families:
        yield from family.families()


def limits_of_harm(specs: Iterable[ModelSpec]) -> Iterator[Family]:
    """Give the limits that each model's spec states."""
    tolerance = gauge("concept_drift_tolerance", "Rise of the loss that is tolerated, relative.", "model")
    fairness = gauge("fairness_limit", "Largest difference between groups.", "model", "metric")
    for spec in specs:
        tolerance.add_metric((spec.model,), spec.monitor.concept_drift.tolerance)
        if spec.protected:
            wanted = spec.monitor.fairness
            fairness.add_metric((spec.model, wanted.metric.value), wanted.max)
    yield from (tolerance, fairness)


class _Estimates:
    def __init__(self) -> None:
        self._estimated = gauge(
            "model_performance_estimate", "Performance expected without labels.", *VERSION, "metric", "bound"
        )

    def add(self, at: _At, numbers: Iterable[Measurement]) -> None:
        for number in numbers:
            if number.name == "estimated_performance":
                add_bounds(self._estimated, (*at, number.method or ""), number)

    def families(self) -> Iterator[Family]:
        yield self._estimated


class _Concept:
    def __init__(self) -> None:
        self._risk = gauge("model_risk", "Mean loss of the newest days, in [0, 1].", *VERSION, "bound")
        self._labels = gauge("label_rate", "Mean of the newest labels.", *VERSION, "label", "bound")
        self._rise = gauge("concept_drift_rise", "Least rise of the loss that is proved, relative.", *VERSION)
        self._change = gauge(
            "loss_change",
            "Change of the loss since the reference, by its reason.",
            *VERSION,
            "reason",
            "bound",
        )

    def add(self, at: _At, numbers: Iterable[Measurement]) -> None:
        for number in numbers:
            match number.name:
                case "risk":
                    add_bounds(self._risk, at, number)
                case "label_rate":
                    add_bounds(self._labels, (*at, number.method or ""), number)
                case "concept_drift":
                    self._rise.add_metric(at, number.value)
                case "loss_change":
                    add_bounds(self._change, (*at, number.method or ""), number)

    def families(self) -> Iterator[Family]:
        yield from (self._risk, self._labels, self._rise, self._change)


class _Groups:
    def __init__(self, most: int) -> None:
        self._most = most
        self._slices = gauge(
            "slice_performance", "Performance of a declared slice.", *VERSION, "slice", "metric"
        )
        self._worst = gauge(
            "worst_slice_rise", "Rise of the loss of a slice that was found.", *VERSION, "slice"
        )
        self._fairness = gauge(
            "fairness_difference",
            "Largest difference between the groups of a protected feature.",
            *VERSION,
            "feature",
            "metric",
            "bound",
        )

    def add(self, at: _At, numbers: Iterable[Measurement]) -> None:
        told = 0
        for number in numbers:
            where = (*at, number.feature or "")
            match number.name:
                case "slice_performance" if told < self._most:
                    told += 1
                    self._slices.add_metric((*where, number.method or ""), number.value)
                case "worst_slice":
                    self._worst.add_metric(where, number.value)
                case "fairness":
                    add_bounds(self._fairness, (*where, number.method or ""), number)

    def families(self) -> Iterator[Family]:
        yield from (self._slices, self._worst, self._fairness)
