from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.metrics_core import Metric

from monitors import deployment, exposition
from monitors.deployment import Deployment
from monitors.exposition import Live
from monitors.operations.gpus import GpuUsage
from monitors.operations.processes import Usage
from monitors.operations.stack import Operations
from monitors.results.store import Measurement, Newest, Runs, WindowResult

DAY = timedelta(days=1)
T0 = datetime(2024, 3, 10, tzinfo=UTC)
RESULT = WindowResult("shop", "1", "drift", T0, T0 + DAY, 90, "ok", (), T0 + DAY, 0.5, None, "abc")
QUIET = """
model: shop
task: binary
data: {inference_log: log, labels: labels, id: id, time: t, target: {name: y}}
features: {amount: numeric}
monitor: {latency: {anomaly: null}}
"""
SLOTS = Deployment({"blue": "1", "green": "2"}, "blue", {"blue": 0.95, "green": 0.05})


def series(families: Iterable[Metric], name: str) -> dict[tuple[str, ...], float]:
    """The values of one metric by its label values."""
    samples = [sample for family in families for sample in family.samples]
    return {
        tuple(sample.labels.values()): sample.value for sample in samples if sample.name == f"trimtab_{name}"
    }


def live(world: Any, *measurements: Measurement, version: str = "1", **changes: Any) -> Live:
    """The shop with one result."""
    result = replace(RESULT, version=version, measurements=measurements, **changes)
    return Live(world.spec, SLOTS, (result,))


def newest(version: str, days: int, monitor: str = "drift") -> Newest:
    """Where a version's newest window stands, in days from the first."""
    return Newest("shop", version, monitor, T0 + days * DAY, days)


def test_a_version_that_answered_in_the_last_two_windows_lives(world: Any) -> None:
    """One window back is still shown, two back is not: its last values would keep alerts firing."""
    entries = (newest("3", 10), newest("2", 9), newest("1", 8))

    kept = exposition.living(world.spec, Deployment(), entries)

    assert ["3", "2"] == [entry.version for entry in kept]


def test_the_champion_lives_whenever_it_answered_last(world: Any) -> None:
    """A champion without traffic keeps its series."""
    entries = (newest("2", 10), newest("1", 0), newest("0", 0))

    assert ["2", "1"] == [entry.version for entry in exposition.living(world.spec, SLOTS, entries)]


def test_a_living_version_keeps_the_monitors_that_lag(world: Any) -> None:
    """Performance waits for labels, so its newest window is an old one."""
    entries = (newest("2", 10), newest("2", 3, "performance"), newest("1", 3, "performance"))

    kept = exposition.living(world.spec, Deployment({"blue": "2"}), entries)

    assert [("2", "drift"), ("2", "performance")] == [(entry.version, entry.monitor) for entry in kept]


def test_another_models_results_are_not_this_ones(world: Any) -> None:
    """Only the model of the spec."""
    assert () == exposition.living(world.spec, SLOTS, [replace(newest("1", 1), model="other")])


def test_limits_come_from_the_spec(world: Any) -> None:
    """Alert rules are the same for all models; what is too much is data."""
    families = list(exposition.of_specs([world.spec]))

    same = dict.fromkeys((("shop", m) for m in ("wasserstein", "jensenshannon", "total_variation")), 0.1)
    thresholds = same | {("shop", "correlation"): 0.2}
    assert thresholds == series(families, "drift_threshold")
    assert {("shop",): 0.5} == series(families, "drifted_features_ratio_limit")
    assert {("shop", "0.99"): 0.05} == series(families, "latency_objective_seconds")
    assert {("shop", "availability"): 0.999} == series(families, "slo_objective_ratio")
    assert {("shop",): 1.5} == series(families, "service_anomaly_limit")


def test_who_looks_for_no_anomaly_has_no_limit_of_one(make_world: Any) -> None:
    """`monitor.latency.anomaly: null` is no number."""
    quiet = make_world(QUIET)

    assert {} == series(exposition.of_specs([quiet.spec]), "service_anomaly_limit")


def test_what_is_unlike_its_past_is_told_by_figure_and_kind(world: Any) -> None:
    """A jump of the latency and a creep of the traffic, each over what is usual; a quiet window has none."""
    jump = Measurement("anomaly", 2.5, "latency_p99", "jump", limit=1.8, n=60, text="slow")
    creep = Measurement("anomaly", 1.7, "throughput", "creep", limit=1.5, n=8, text="more and more")
    usual = Measurement("latency_seconds", 0.01, method="p99")

    odd = exposition.of_results([live(world, usual, jump, creep)], 20)
    quiet = exposition.of_results([live(world, usual)], 20)

    assert {
        ("shop", "1", "latency_p99", "jump"): 2.5,
        ("shop", "1", "throughput", "creep"): 1.7,
    } == series(odd, "service_anomaly_ratio")
    assert {} == series(quiet, "service_anomaly_ratio")


def test_every_number_of_a_window_has_its_metric(world: Any) -> None:
    """Drift, quality, latency and volume, by version."""
    numbers = (
        Measurement("feature_drift_score", 0.2, "amount", "wasserstein", limit=0.1),
        Measurement("feature_drift_p_value", 1e-9, "amount", "wasserstein", limit=1e-5),
        Measurement("feature_drift_cost", 0.8, "amount"),
        Measurement("correlation_drift_score", 0.25, method="correlation", limit=0.2),
        Measurement("prediction_drift_score", 0.3, method="wasserstein"),
        Measurement("prediction_drift_p_value", 1e-7, method="wasserstein"),
        Measurement("prediction_drifted", 1.0, method="wasserstein"),
        Measurement("drifted_features_ratio", 0.4, limit=0.5),
        Measurement("violations", 3, "amount", "null_rate"),
        Measurement("violations", 4, "country", "null_rate"),
        Measurement("violations", 0, method="volume"),
        Measurement("rows", 90),
        Measurement("latency_seconds", 0.01, method="p99"),
        Measurement("throughput_rows_per_second", 1.5),
        Measurement("no_data", 1.0, "member", "jensenshannon", text="constant"),
    )

    families = list(exposition.of_results([live(world, *numbers)], 50))

    assert {("shop", "1", "amount", "wasserstein"): 0.2} == series(families, "feature_drift_score")
    assert {("shop", "1", "amount", "wasserstein"): 1e-9} == series(families, "feature_drift_p_value")
    assert {("shop", "1", "amount"): 0.8} == series(families, "feature_drift_cost")
    assert {("shop", "1"): 0.25} == series(families, "correlation_drift_score")
    assert {("shop", "1", "wasserstein"): 0.3} == series(families, "prediction_drift_score")
    assert {("shop", "1", "wasserstein"): 1e-7} == series(families, "prediction_drift_p_value")
    assert {("shop", "1"): 1} == series(families, "prediction_drifted")
    assert {("shop", "1"): 0.4} == series(families, "drifted_features_ratio")
    assert {("shop", "1", "null_rate"): 7, ("shop", "1", "volume"): 0} == series(
        families, "data_quality_violations"
    )
    assert {("shop", "1"): 90} == series(families, "window_rows")
    assert {("shop", "1", "0.99"): 0.01} == series(families, "latency_seconds")
    assert {("shop", "1"): 1.5} == series(families, "throughput_rows_per_second")


def test_of_many_features_those_furthest_beyond_their_limit_are_shown(world: Any) -> None:
    """The cap keeps the same features for all versions; the share of all is always there."""
    one = [Measurement("feature_drift_score", n / 10, f"f{n}", "wasserstein", limit=0.1) for n in range(9)]
    strict = Measurement("feature_drift_score", 0.2, "strict", "psi", limit=0.01)
    share = Measurement("drifted_features_ratio", 0.7)
    two = [Measurement("feature_drift_score", 0.9, "f1", "wasserstein", limit=0.1)]
    both = replace(
        live(world, *one, strict, share),
        results=(*live(world, *one, strict, share).results, *live(world, *two, version="2").results),
    )

    families = list(exposition.of_results([both], 3))

    assert {("1", "strict"), ("1", "f8"), ("1", "f1"), ("2", "f1")} == {
        (version, feature) for _, version, feature, _ in series(families, "feature_drift_score")
    }
    assert {("shop", "1"): 0.7} == series(families, "drifted_features_ratio")


def test_features_whose_drift_costs_most_are_shown_first(world: Any) -> None:
    """A large distance that is no sure drift gives way to a smaller one that is."""
    numbers = [Measurement("feature_drift_score", n / 10, f"f{n}", "psi", limit=0.1) for n in range(9)]
    cost = Measurement("feature_drift_cost", 1.0, "f2")

    families = list(exposition.of_results([live(world, *numbers, cost)], 2))

    shown = {feature for *_, feature, _ in series(families, "feature_drift_score")}
    assert {"f2", "f8"} == shown
    assert {("shop", "1", "f2"): 1.0} == series(families, "feature_drift_cost")


def test_performance_is_told_by_version_and_slot(world: Any) -> None:
    """A version that answered from two slots has a number, with its interval, in each."""
    blue = Measurement("slot_performance", 0.8, "blue", "roc_auc", low=0.7, high=0.9, n=500)
    green = Measurement("slot_performance", 0.6, "green", "roc_auc", n=300)

    families = list(exposition.of_performance([live(world, blue, green)]))

    assert {
        ("shop", "1", "blue", "roc_auc", "lower"): 0.7,
        ("shop", "1", "blue", "roc_auc", "value"): 0.8,
        ("shop", "1", "blue", "roc_auc", "upper"): 0.9,
        ("shop", "1", "green", "roc_auc", "value"): 0.6,
    } == series(families, "slot_performance")
    assert {} == series(families, "model_performance")


@pytest.mark.parametrize(
    ("metric", "limit", "other"),
    [
        ("roc_auc", "model_performance_floor", "model_performance_ceiling"),
        ("log_loss", "model_performance_ceiling", "model_performance_floor"),
    ],
)
def test_performance_has_an_interval_and_a_limit_on_its_bad_side(
    world: Any, metric: str, limit: str, other: str
) -> None:
    """A floor where higher is better, a ceiling where lower is."""
    number = Measurement("performance", 0.8, method=metric, low=0.7, high=0.9, limit=0.75)

    families = list(exposition.of_performance([live(world, number)]))

    assert {
        ("shop", "1", metric, "lower"): 0.7,
        ("shop", "1", metric, "value"): 0.8,
        ("shop", "1", metric, "upper"): 0.9,
    } == series(families, "model_performance")
    assert {("shop", "1", metric): 0.75} == series(families, limit)
    assert {} == series(families, other)


def test_labels_are_those_of_the_busiest_version(world: Any) -> None:
    """One number a model, though a canary has its own."""
    busy = live(world, Measurement("labels_available_ratio", 0.9), Measurement("labels_unmatched", 2))
    canary = live(world, Measurement("labels_available_ratio", 0.1), version="2", rows=5)

    families = list(exposition.of_performance([replace(busy, results=busy.results + canary.results)]))

    assert {("shop",): 0.9} == series(families, "labels_available_ratio")
    assert {("shop",): 2} == series(families, "labels_unmatched")


@pytest.mark.parametrize(
    ("slots", "champion", "expected"),
    [
        ({"blue": "1", "green": "2"}, "blue", {"1": "champion", "2": "challenger"}),
        ({"blue": "1", "green": "2"}, "green", {"1": "previous", "2": "champion"}),
        ({"blue": "10", "green": "9"}, "blue", {"10": "champion", "9": "previous"}),
        ({"blue": "2"}, "blue", {"2": "champion", "1": "previous"}),
    ],
    ids=["canary", "promoted", "tenth", "unloaded"],
)
def test_the_stage_of_a_version_follows_the_slots(
    world: Any, slots: dict[str, str], champion: str, expected: dict[str, str]
) -> None:
    """In the champion's slot, waiting in the other one, or of the past."""
    version = "1" if "1" in expected else "9"
    shop = replace(live(world, version=version), deployment=Deployment(slots, champion))

    families = list(exposition.of_deployments([shop]))

    assert {("shop", name, stage): 1 for name, stage in expected.items()} == series(families, "model_info")


def test_without_slots_the_busiest_version_is_the_champion(world: Any) -> None:
    """A model that something else serves has a champion too, or no alert would fire for it."""
    few, many = live(world, version="2", rows=10), live(world, version="1", rows=90)
    shop = Live(world.spec, Deployment(), few.results + many.results)

    families = list(exposition.of_deployments([shop]))

    assert {("shop", "1", "champion"): 1, ("shop", "2", "previous"): 1} == series(families, "model_info")


def test_traffic_is_a_share(world: Any) -> None:
    """Percent of the routes become a ratio."""
    families = list(exposition.of_deployments([live(world)]))

    assert {("shop", "blue"): 0.95, ("shop", "green"): 0.05} == series(families, "canary_traffic_ratio")


def test_a_failed_run_is_a_run_and_no_success(world: Any) -> None:
    """Freshness is when a run last succeeded; an error moves only the time of the last run."""
    good, bad = T0, T0 + timedelta(hours=1)
    runs = [Runs("shop", "drift", "ok", 3, good, 0.5), Runs("shop", "drift", "error", 1, bad, 0.0)]

    families = list(exposition.of_runs([world.spec], runs, {"shop": 86400.0}))

    at = ("shop", "drift")
    assert {at: good.timestamp()} == series(families, "monitoring_last_success_timestamp_seconds")
    assert {at: bad.timestamp()} == series(families, "monitoring_last_run_timestamp_seconds")
    assert 0.0 == series(families, "monitoring_last_duration_seconds")[at]
    counts = series(families, "monitoring_runs_total")
    assert [3, 0, 0, 1] == [counts[*at, outcome] for outcome in ("ok", "alarm", "no_data", "error")]


def test_a_monitor_that_never_ran_has_an_interval_and_counts_of_zero(world: Any) -> None:
    """So an alert can tell that it should have run, and its first run is an increase."""
    families = list(exposition.of_runs([world.spec], [], {"shop": 60.0}))

    monitors = {"drift", "quality", "performance", "latency", "estimate", "concept", "triage"}
    every = {("shop", monitor): 60.0 for monitor in monitors} | {("shop", "slices"): 7 * 60.0}
    assert every == series(families, "monitoring_interval_seconds")
    assert {0} == set(series(families, "monitoring_runs_total").values())
    assert {} == series(families, "monitoring_last_success_timestamp_seconds")


def test_events_are_counted_from_zero_and_only_of_known_models(world: Any) -> None:
    """Retrains and rollouts by outcome; a removed model's are gone."""
    counts = {
        ("retrain", "shop", "accepted"): 2,
        ("retrain", "gone", "accepted"): 1,
        ("guard", "shop", "x"): 1,
    }

    families = list(exposition.of_events([world.spec], counts))

    retrains = series(families, "retraining_runs_total")
    assert {"started": 0, "accepted": 2, "rejected": 0, "failed": 0} == {
        outcome: count for (_, outcome), count in retrains.items()
    }
    ends = {"promoted", "rolled_back", "taken_back", "superseded", "forced"}
    assert {"started", "step", "approved"} | ends == {
        outcome for _, outcome in series(families, "rollouts_total")
    }


def test_gpus_have_series_only_where_there_are_any() -> None:
    """A machine without one has no GPU metrics, rather than zeros."""
    usage = (Usage("monitor", 1.5, 1000),)

    without = list(exposition.of_resources(Operations(usage)))
    with_one = list(exposition.of_resources(Operations(usage, gpus=(GpuUsage("0", 0.5, 10, 20),))))

    assert {("monitor",): 1.5} == series(without, "process_cpu_seconds_total")
    assert {("monitor",): 1000} == series(without, "process_resident_memory_bytes")
    assert ({}, {("0",): 0.5}) == (series(without, "gpu_busy_ratio"), series(with_one, "gpu_busy_ratio"))


def test_a_deployment_is_read_from_its_state_files(tmp_path: Path) -> None:
    """What serving and rollout left in the home."""
    for folder in ("slots", "routes"):
        (tmp_path / folder).mkdir()
    (tmp_path / "slots" / "shop-green.json").write_text(json.dumps({"version": "7"}), "utf-8")
    (tmp_path / "slots" / "shop-blue.json").write_text(json.dumps({"version": None}), "utf-8")
    route = {"champion": "green", "weights": {"blue": 25, "green": 75}}
    (tmp_path / "routes" / "shop.json").write_text(json.dumps(route), "utf-8")

    found = deployment.read(tmp_path, "shop")

    assert Deployment({"green": "7"}, "green", {"blue": 0.25, "green": 0.75}) == found
    assert "7" == found.champion_version


def test_state_that_is_not_there_or_damaged_says_nothing(tmp_path: Path) -> None:
    """A model without slots, and one whose file was cut short."""
    (tmp_path / "slots").mkdir()
    (tmp_path / "slots" / "shop-blue.json").write_text("{", "utf-8")

    assert Deployment() == deployment.read(tmp_path, "shop") == deployment.read(tmp_path, "other")


def test_before_the_first_rollout_all_traffic_goes_to_blue(tmp_path: Path) -> None:
    """A slot is loaded, and nothing was ever routed."""
    (tmp_path / "slots").mkdir()
    (tmp_path / "slots" / "shop-blue.json").write_text('{"version": "1"}', "utf-8")

    assert {"blue": 1.0, "green": 0.0} == deployment.read(tmp_path, "shop").traffic
