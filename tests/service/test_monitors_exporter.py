from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from monitors.exporter import ResultsCollector, serving
from monitors.results.store import RUNNING, Measurement, MonitorName, Store, WindowResult
from monitors.triage import Action, Cause, Triage
from spec import SettingsError

pytestmark = pytest.mark.service
DAY = timedelta(days=1)
T0 = datetime(2024, 3, 10, tzinfo=UTC)
NUMBERS: dict[MonitorName, tuple[Measurement, ...]] = {
    "drift": (
        Measurement("feature_drift_score", 0.2, "amount", "wasserstein", limit=0.1),
        Measurement("feature_drift_p_value", 1e-9, "amount", "wasserstein", limit=1e-5),
        Measurement("feature_drift_cost", 1.0, "amount"),
        Measurement("correlation_drift_score", 0.0, method="correlation", limit=0.2),
        Measurement("prediction_drift_score", 0.1, method="jensenshannon"),
        Measurement("prediction_drift_p_value", 0.2, method="jensenshannon"),
        Measurement("prediction_drifted", 0.0, method="jensenshannon"),
        Measurement("drifted_features_ratio", 0.3, limit=0.5),
    ),
    "quality": (Measurement("violations", 0, method="volume"), Measurement("rows", 90)),
    "performance": (
        Measurement("performance", 0.8, method="roc_auc", low=0.7, high=0.9, limit=0.75),
        Measurement("performance", 0.5, method="log_loss", low=0.4, high=0.6, limit=0.7),
        Measurement("labels_available_ratio", 0.9),
        Measurement("labels_unmatched", 1),
    ),
    "latency": (
        Measurement("latency_seconds", 0.01, method="p99"),
        Measurement("throughput_rows_per_second", 2.0),
    ),
    "estimate": (Measurement("estimated_performance", 0.8, method="roc_auc", low=0.7, high=0.9),),
    "concept": (
        Measurement("risk", 0.2, low=0.1, high=0.3),
        Measurement("concept_drift", 0.0, method="risk_test", limit=0.1),
    ),
    "slices": (
        Measurement("slice_performance", 0.7, "country=SE", "roc_auc"),
        Measurement("worst_slice", 0.1, "country=NO", "brier"),
        Measurement("fairness", 0.1, "country", "equalized_odds", low=0.0, high=0.2, limit=0.1),
    ),
    "triage": (Measurement("loss_change", 0.05, method="total", low=0.01, high=0.09),),
}
TRIAGE = Triage("shop", "1", Action.WATCH, Cause.BENIGN, T0 + DAY, "No harm.", onset=T0)
CONTRACT = {
    "trimtab_build_info": "version revision",
    "trimtab_model_info": "model version stage",
    "trimtab_feature_drift_score": "model version feature method",
    "trimtab_feature_drift_p_value": "model version feature method",
    "trimtab_feature_drift_cost": "model version feature",
    "trimtab_correlation_drift_score": "model version",
    "trimtab_drift_threshold": "model method",
    "trimtab_drifted_features_ratio": "model version",
    "trimtab_drifted_features_ratio_limit": "model",
    "trimtab_prediction_drift_score": "model version method",
    "trimtab_prediction_drift_p_value": "model version method",
    "trimtab_prediction_drifted": "model version",
    "trimtab_data_quality_violations": "model version check",
    "trimtab_window_rows": "model version",
    "trimtab_model_performance": "model version metric bound",
    "trimtab_model_performance_floor": "model version metric",
    "trimtab_model_performance_ceiling": "model version metric",
    "trimtab_labels_available_ratio": "model",
    "trimtab_labels_unmatched": "model",
    "trimtab_model_performance_estimate": "model version metric bound",
    "trimtab_model_risk": "model version bound",
    "trimtab_concept_drift_rise": "model version",
    "trimtab_concept_drift_tolerance": "model",
    "trimtab_loss_change": "model version reason bound",
    "trimtab_slice_performance": "model version slice metric",
    "trimtab_worst_slice_rise": "model version slice",
    "trimtab_fairness_difference": "model version feature metric bound",
    "trimtab_triage_decision": "model version action cause why",
    "trimtab_triage_onset_timestamp_seconds": "model version",
    "trimtab_triage_decisions_total": "model outcome",
    "trimtab_latency_seconds": "model version quantile",
    "trimtab_latency_objective_seconds": "model quantile",
    "trimtab_slo_objective_ratio": "model slo",
    "trimtab_throughput_rows_per_second": "model version",
    "trimtab_monitoring_last_success_timestamp_seconds": "model monitor",
    "trimtab_monitoring_last_run_timestamp_seconds": "model monitor",
    "trimtab_monitoring_last_duration_seconds": "model monitor",
    "trimtab_monitoring_interval_seconds": "model monitor",
    "trimtab_monitoring_runs_total": "model monitor outcome",
    "trimtab_canary_traffic_ratio": "model slot",
    "trimtab_retraining_runs_total": "model outcome",
    "trimtab_rollouts_total": "model outcome",
    "trimtab_process_cpu_seconds_total": "process",
    "trimtab_process_resident_memory_bytes": "process",
    "trimtab_results_up": "",
    "process_start_time_seconds": "",
}


def result(version: str, monitor: MonitorName, **changes: Any) -> WindowResult:
    """What a monitor found on 10 March."""
    window = WindowResult("shop", version, monitor, T0, T0 + DAY, 90, "ok", (), T0 + DAY, 0.5, None, "abc")
    return replace(window, measurements=NUMBERS[monitor], **changes)


def scrape(port: int) -> str:
    """What Prometheus would get."""
    with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        return str(answer.read().decode("utf-8"))


def samples(text: str, name: str) -> list[dict[str, str]]:
    """The label sets of one metric."""
    families = text_string_to_metric_families(text)
    return [sample.labels for family in families for sample in family.samples if sample.name == name]


@pytest.fixture
def watched(world: Any) -> Any:
    """The shop with a champion in blue, results of all monitors and a retrain."""
    with Store(world.settings.results_url) as store:
        for monitor in RUNNING:
            store.save(result("1", monitor))
        store.record_event("shop", "triage", "watch", T0, TRIAGE.payload())
        store.record_event("shop", "retrain", "begun", T0, {"outcome": "started"})
    slots = world.settings.home / "slots"
    slots.mkdir()
    (slots / "shop-blue.json").write_text(json.dumps({"version": "1"}), "utf-8")
    return world


@pytest.fixture
def port(watched: Any) -> Iterator[int]:
    """An exporter of the shop, whose stack is one sleeping process."""
    env = os.environ | {"TRIMTAB_HOME": str(watched.settings.home), "TRIMTAB_PROCESS": "sleeper"}
    sleeper = subprocess.Popen(["sleep", "60"], env=env)
    try:
        with serving({"shop": watched.spec}, watched.settings, "127.0.0.1", 0) as taken:
            yield taken
    finally:
        sleeper.kill()
        sleeper.wait()


def test_the_exposition_passes_the_linter_of_prometheus(port: int) -> None:
    """Names, types, units and help are as Prometheus asks for them."""
    checked = subprocess.run(
        ["promtool", "check", "metrics"], input=scrape(port), capture_output=True, text=True, check=False
    )

    assert (0, "") == (checked.returncode, checked.stdout + checked.stderr)


def test_every_metric_of_the_contract_is_there_with_its_labels(port: int) -> None:
    """Alert rules and dashboards are written against these names and labels."""
    text = scrape(port)

    there = {name: set(samples(text, name)[0]) for name in CONTRACT if samples(text, name)}
    assert {name: set(labels.split()) for name, labels in CONTRACT.items()} == there


def test_a_new_result_is_in_the_next_scrape(port: int, watched: Any) -> None:
    """Nothing is kept between scrapes: a version that follows shows, and the one it replaced goes."""
    with Store(watched.settings.results_url) as store:
        for days in (1, 2):
            store.save(result("2", "quality", start=T0 + days * DAY))
    (watched.settings.home / "slots" / "shop-blue.json").write_text('{"version": "2"}', "utf-8")

    text = scrape(port)

    assert [{"model": "shop", "version": "2"}] == samples(text, "trimtab_window_rows")
    assert [] == samples(text, "trimtab_model_performance")


def test_a_model_that_was_removed_has_no_series(port: int, watched: Any) -> None:
    """Its results stay in the store, its alerts end."""
    assert 'model="shop"' in scrape(port)
    (watched.settings.models / "model.yaml").unlink()

    assert 'model="shop"' not in scrape(port)


def test_a_broken_store_costs_its_series_and_not_the_endpoint(watched: Any) -> None:
    """Limits and slots are still exported, trimtab_results_up says what is missing; then it recovers."""
    file = Path(watched.settings.results_url.removeprefix("sqlite:///"))
    kept = file.rename(file.with_suffix(".kept"))
    file.mkdir()
    with serving({"shop": watched.spec}, watched.settings, "127.0.0.1", 0) as port:
        broken = scrape(port)
        file.rmdir()
        kept.rename(file)
        mended = scrape(port)

    assert "trimtab_results_up 0.0" in broken
    assert [{"model": "shop", "version": "1", "stage": "champion"}] == samples(broken, "trimtab_model_info")
    assert [] == samples(broken, "trimtab_window_rows")
    assert samples(broken, "trimtab_drift_threshold")
    assert "trimtab_results_up 1.0" in mended
    assert [{"model": "shop", "version": "1"}] == samples(mended, "trimtab_window_rows")


def test_a_scrape_of_many_models_holds_only_what_lives(world: Any) -> None:
    """Of 20 models with ten versions each, only the versions of the last windows have series."""
    specs = {f"m{n}": world.spec.model_copy(update={"model": f"m{n}"}) for n in range(20)}
    scores = tuple(
        Measurement("feature_drift_score", n / 50, f"f{n}", "wasserstein", limit=0.1) for n in range(50)
    )
    with Store(world.settings.results_url) as store:
        for model in specs:
            for version in range(10):
                start = T0 + min(version, 8) * DAY
                drift = result(str(version), "drift", model=model, start=start)
                store.save(replace(drift, measurements=scores))
        registry = CollectorRegistry()
        registry.register(ResultsCollector(specs, world.settings, store))
        generate_latest(registry)

        text = generate_latest(registry).decode("utf-8")

    assert 20 * 3 * 50 == text.count("\ntrimtab_feature_drift_score{")


def test_an_address_that_is_taken_is_a_setting_to_mend(watched: Any) -> None:
    """The address is named."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with (
            pytest.raises(SettingsError, match=f"127.0.0.1:{port}: must be an address"),
            serving({"shop": watched.spec}, watched.settings, "127.0.0.1", port),
        ):
            pass


def test_the_exporter_ends_on_sigterm(watched: Any) -> None:
    """A process manager can stop it, and it ends with 0."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    code = (
        "from spec import Settings, load_folder; from monitors import exporter;"
        "s = Settings.from_env(); exporter.run(load_folder(s.models), s, '127.0.0.1', {port})"
    )
    settings = watched.settings
    env = os.environ | {"TRIMTAB_HOME": str(settings.home), "TRIMTAB_MODELS": str(settings.models)}
    process = subprocess.Popen([sys.executable, "-c", code.format(port=port)], env=env)
    try:
        _await_listener(port, process)
        assert samples(scrape(port), "trimtab_build_info")
        process.send_signal(signal.SIGTERM)
        assert 0 == process.wait(10)
    finally:
        process.kill()
        process.wait()


def _await_listener(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 30
    while process.poll() is None and time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except ConnectionRefusedError:
            time.sleep(0.05)  # a starting process has nothing to wait for
        else:
            return
    pytest.fail("the exporter did not listen")
