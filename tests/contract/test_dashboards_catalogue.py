"""The catalogue that dashboards are checked against is what the processes really export."""

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from prometheus_client.metrics_core import Metric as Family

import spec
from alerts.receiver import Metrics
from dashboards.catalogue import CATALOGUE
from monitors import exposition
from monitors.deployment import Deployment
from monitors.operations.gpus import GpuUsage
from monitors.operations.stack import Operations
from monitors.results.store import Measurement, WindowResult
from serving.metrics import ServingMetrics
from serving.payloads.metrics import PayloadMetrics

FLIGHTS = spec.load(Path(__file__).parents[2] / "models" / "flights.yaml")
GUARDED = spec.loads("""
model: fares
task: regression
data: {inference_log: log, labels: labels, id: id, time: at, target: {name: fare}}
features: {distance: {type: numeric, min: 0}}
monitor: {quality: {door: flag}}
""")
SUFFIX = {"counter": "_total"}


def _latency() -> exposition.Live:
    """A window's latency: its family declares no labels, so that only a number shows them."""
    at = datetime(2026, 1, 1, tzinfo=UTC)
    p99 = Measurement("latency_seconds", 0.01, method="p99")
    result = WindowResult("flights", "1", "latency", at, at, 9, "ok", (p99,), at, 0.1, None, "abc")
    return exposition.Live(FLIGHTS, Deployment(), (result,))


def _exporter() -> list[Family]:
    gpu = GpuUsage("0", 0.5, 1, 2, power_watts=70.0, energy_joules=9.0)
    return [
        exposition.of_build("1", "abc"),
        *exposition.of_specs([]),
        *exposition.of_deployments([]),
        *exposition.of_results([_latency()], 1),
        *exposition.of_performance([]),
        *exposition.of_harm([], 1),
        *exposition.limits_of_harm([]),
        *exposition.of_triage([], {}),
        *exposition.of_runs([], [], {}),
        *exposition.of_events([], {}),
        *exposition.of_resources(Operations(gpus=(gpu,))),
        exposition.of_store(is_up=True),
    ]


def _server() -> Iterable[Family]:
    metrics = ServingMetrics(GUARDED, "blue")
    metrics.requests("1")
    metrics.live("1", 0.1, 1, "cpu")
    metrics.batch_rows("1")
    metrics.cached_rows("1")
    metrics.pending_rows(lambda: 0)
    metrics.log_disk(Path())
    metrics.in_flight(lambda: 0)
    metrics.waiting(lambda: 0)
    return metrics.registry.collect()


def _receiver() -> Iterable[Family]:
    metrics = Metrics()
    metrics.set_paused("flights", paused=False)
    return metrics.registry.collect()


def _payload_receiver() -> Iterable[Family]:
    metrics = PayloadMetrics("flights")
    metrics.follow(lambda: 0, lambda: 0)
    metrics.log_disk(Path())
    return metrics.registry.collect()


EXPORTED = {
    family.name + SUFFIX.get(family.type, ""): family
    for family in (*_exporter(), *_payload_receiver(), *_server(), *_receiver())
    if family.name.startswith("trimtab_")
}


def test_catalogue_is_complete() -> None:
    """Every metric of exporter, model server and receivers is in the catalogue, and no other of ours is."""
    ours = {name for name in CATALOGUE if name.startswith("trimtab_")}

    assert set(EXPORTED) == ours


@pytest.mark.parametrize("name", sorted(EXPORTED))
def test_kind_and_labels_are_right(name: str) -> None:
    """A metric is of the kind and has the labels that the catalogue states."""
    family, stated = EXPORTED[name], CATALOGUE[name]

    assert stated.kind == family.type
    assert set(stated.labels) == _labels(family)


def _labels(family: Family) -> set[str]:
    """Labels that the exporter declares, or those of the samples that a registry holds."""
    declared = getattr(family, "_labelnames", ())
    return {*declared, *(label for sample in family.samples for label in sample.labels)} - {"le"}
