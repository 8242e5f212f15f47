"""How metric families are made, and whose results are to be seen."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypeAlias

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from monitors.deployment import Deployment
from monitors.results.store import Measurement, Newest, WindowResult
from spec import ModelSpec

Family: TypeAlias = Metric
RECENT = 2
"""A version lives that has a result within this many windows of the model's newest."""
VERSION = ("model", "version")


@dataclass(frozen=True, slots=True)
class Live:
    """The results of one model that are to be seen, and what its slots hold."""

    spec: ModelSpec
    deployment: Deployment
    results: tuple[WindowResult, ...] = field(default=())


def living(spec: ModelSpec, deployment: Deployment, newest: Iterable[Newest]) -> tuple[Newest, ...]:
    """Keep the results of versions that have one within the last windows, and the champion's."""
    named = [entry for entry in newest if entry.model == spec.model]
    if not named:
        return ()
    horizon = max(entry.start for entry in named) - RECENT * spec.monitor.window
    living = {entry.version for entry in named if entry.start > horizon} | {deployment.champion_version}
    return tuple(entry for entry in named if entry.version in living)


def gauge(name: str, text: str, *labels: str) -> GaugeMetricFamily:
    """Make an empty gauge; the name gets the prefix of all."""
    return GaugeMetricFamily(f"trimtab_{name}", text, labels=labels)


def counter(name: str, text: str, *labels: str) -> CounterMetricFamily:
    """Make an empty counter; the name gets the prefix of all."""
    return CounterMetricFamily(f"trimtab_{name}", text, labels=labels)


def add_bounds(family: GaugeMetricFamily, at: tuple[str, ...], number: Measurement) -> None:
    """Add a value and those of its bounds that are known; the last label of the family is ``bound``."""
    bounds = {"lower": number.low, "value": number.value, "upper": number.high}
    for bound, value in bounds.items():
        if value is not None:
            family.add_metric((*at, bound), value)
