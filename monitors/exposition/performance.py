"""Performance with its interval and limits, and how many labels there are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from prometheus_client.core import GaugeMetricFamily, UnknownMetricFamily

from monitors.exposition.families import VERSION, Family, Live, add_bounds, gauge
from monitors.results.store import Measurement
from spec import PerformanceMetric

_QUANTILES = {"p50": "0.5", "p95": "0.95"}


def of_performance(models: Iterable[Live]) -> Iterator[Family]:
    """Give realised performance with its interval and limit, and how many labels there are."""
    measured = gauge("model_performance", "Realised performance.", *VERSION, "metric", "bound")
    in_slot = gauge(
        "slot_performance", "Realised performance in a slot.", *VERSION, "slot", "metric", "bound"
    )
    floor = gauge("model_performance_floor", "Least performance to expect.", *VERSION, "metric")
    ceiling = gauge("model_performance_ceiling", "Largest error to expect.", *VERSION, "metric")
    known = gauge("labels_available_ratio", "Share of predictions whose label is known.", "model")
    unmatched = gauge("labels_unmatched", "Labels without a prediction in the log.", "model")
    delay = UnknownMetricFamily(
        "trimtab_label_delay_seconds", "Age of an event when its label came.", labels=("model", "quantile")
    )  # untyped, for a gauge must not have the label `quantile`
    by_model = {"labels_available_ratio": known, "labels_unmatched": unmatched}
    for live in models:
        said: dict[str, float] = {}
        delays: dict[str, float] = {}
        for result in sorted(live.results, key=lambda result: (result.start, result.rows)):
            for number in result.measurements:
                at, metric = (result.model, result.version), number.method or ""
                if number.name == "performance":
                    _add_performance(number, at, measured, floor, ceiling)
                elif number.name == "slot_performance":
                    add_bounds(in_slot, (*at, number.feature or "", metric), number)
                elif number.name == "label_delay_seconds":
                    delays[_QUANTILES[metric]] = number.value
                elif number.name in by_model:
                    said[number.name] = number.value  # of the newest window's busiest version
        for name, value in said.items():
            by_model[name].add_metric((live.spec.model,), value)
        for quantile, value in delays.items():
            delay.add_metric((live.spec.model, quantile), value)
    yield from (measured, in_slot, floor, ceiling, known, unmatched, delay)


def _add_performance(
    number: Measurement,
    at: tuple[str, str],
    measured: GaugeMetricFamily,
    floor: GaugeMetricFamily,
    ceiling: GaugeMetricFamily,
) -> None:
    metric = number.method or ""
    add_bounds(measured, (*at, metric), number)
    if number.limit is not None:
        limit = floor if PerformanceMetric(metric).higher_is_better else ceiling
        limit.add_metric((*at, metric), number.limit)
