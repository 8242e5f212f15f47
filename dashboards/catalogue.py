"""The metrics that dashboards may name: those of Trimtab with their labels, and a few of others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["gauge", "counter", "histogram", "summary", "unknown"]
TARGET_LABELS = frozenset({"job", "instance", "model", "slot"})  # the last two: model servers only


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric: its kind, its labels besides those of the scraped target, and what it says."""

    kind: Kind
    labels: tuple[str, ...]
    meaning: str


_VERSION = ("model", "version")
_SLOT = ("model", "version", "slot")
_MONITOR = ("model", "monitor")
_OUTCOME = ("model", "outcome")

CATALOGUE: dict[str, Metric] = {
    "trimtab_build_info": Metric("gauge", ("version", "revision"), "1; the code that exports"),
    "trimtab_model_info": Metric("gauge", (*_VERSION, "stage"), "1; the stage of a version"),
    "trimtab_feature_drift_score": Metric(
        "gauge", (*_VERSION, "feature", "method"), "distance from the reference"
    ),
    "trimtab_feature_drift_p_value": Metric(
        "gauge", (*_VERSION, "feature", "method"), "probability of such a distance without drift"
    ),
    "trimtab_feature_drift_cost": Metric("gauge", (*_VERSION, "feature"), "share of what drift can cost"),
    "trimtab_correlation_drift_score": Metric("gauge", _VERSION, "largest sure change of a correlation"),
    "trimtab_drift_threshold": Metric("gauge", ("model", "method"), "score from which a feature has drifted"),
    "trimtab_drifted_features_ratio": Metric("gauge", _VERSION, "share of the features that have drifted"),
    "trimtab_drifted_features_ratio_limit": Metric("gauge", ("model",), "share from which the window has"),
    "trimtab_prediction_drift_score": Metric("gauge", (*_VERSION, "method"), "distance of the predictions"),
    "trimtab_prediction_drift_p_value": Metric(
        "gauge", (*_VERSION, "method"), "probability of such a distance without drift"
    ),
    "trimtab_prediction_drifted": Metric("gauge", _VERSION, "1 if the predictions have drifted, else 0"),
    "trimtab_data_quality_violations": Metric("gauge", (*_VERSION, "check"), "violations in the last window"),
    "trimtab_window_rows": Metric("gauge", _VERSION, "rows of the last window"),
    "trimtab_model_performance": Metric(
        "gauge", (*_VERSION, "metric", "bound"), "realised, with its interval"
    ),
    "trimtab_slot_performance": Metric(
        "gauge", (*_SLOT, "metric", "bound"), "realised in a slot, with its interval"
    ),
    "trimtab_model_performance_floor": Metric("gauge", (*_VERSION, "metric"), "limit where higher is better"),
    "trimtab_model_performance_ceiling": Metric(
        "gauge", (*_VERSION, "metric"), "limit where lower is better"
    ),
    "trimtab_labels_available_ratio": Metric("gauge", ("model",), "share of predictions with their truth"),
    "trimtab_labels_unmatched": Metric("gauge", ("model",), "labels of no logged prediction"),
    "trimtab_label_rate": Metric("gauge", (*_VERSION, "label", "bound"), "mean of the newest labels"),
    "trimtab_label_delay_seconds": Metric("unknown", ("model", "quantile"), "age of an event at its label"),
    "trimtab_model_performance_estimate": Metric(
        "gauge", (*_VERSION, "metric", "bound"), "expected without labels, with its band"
    ),
    "trimtab_model_risk": Metric("gauge", (*_VERSION, "bound"), "mean loss of the newest days"),
    "trimtab_concept_drift_rise": Metric("gauge", _VERSION, "least rise of the loss that is proved"),
    "trimtab_concept_drift_tolerance": Metric("gauge", ("model",), "rise that is tolerated"),
    "trimtab_loss_change": Metric("gauge", (*_VERSION, "reason", "bound"), "change of the loss"),
    "trimtab_slice_performance": Metric("gauge", (*_VERSION, "slice", "metric"), "of a declared slice"),
    "trimtab_worst_slice_rise": Metric("gauge", (*_VERSION, "slice"), "rise of the loss of a found slice"),
    "trimtab_fairness_difference": Metric(
        "gauge", (*_VERSION, "feature", "metric", "bound"), "difference between protected groups"
    ),
    "trimtab_fairness_limit": Metric("gauge", ("model", "metric"), "difference that is tolerated"),
    "trimtab_triage_decision": Metric(
        "gauge", (*_VERSION, "action", "cause", "why"), "1; what is to be done"
    ),
    "trimtab_triage_onset_timestamp_seconds": Metric("gauge", _VERSION, "event time when the change began"),
    "trimtab_triage_decisions_total": Metric("counter", _OUTCOME, "decisions that began an episode"),
    "trimtab_latency_seconds": Metric("summary", (*_VERSION, "quantile"), "quantiles of the last window"),
    "trimtab_latency_objective_seconds": Metric("unknown", ("model", "quantile"), "objective of a quantile"),
    "trimtab_slo_objective_ratio": Metric("gauge", ("model", "slo"), "share of requests that must be good"),
    "trimtab_throughput_rows_per_second": Metric("gauge", _VERSION, "rows a second of the last window"),
    "trimtab_service_anomaly_ratio": Metric(
        "gauge", (*_VERSION, "figure", "kind"), "a figure over what is usual of the version"
    ),
    "trimtab_service_anomaly_limit": Metric("gauge", ("model",), "least factor that is an anomaly"),
    "trimtab_monitoring_last_success_timestamp_seconds": Metric("gauge", _MONITOR, "Unix time"),
    "trimtab_monitoring_last_run_timestamp_seconds": Metric("gauge", _MONITOR, "Unix time"),
    "trimtab_monitoring_last_duration_seconds": Metric("gauge", _MONITOR, "time the last run took"),
    "trimtab_monitoring_interval_seconds": Metric("gauge", _MONITOR, "time between two runs"),
    "trimtab_monitoring_runs_total": Metric("counter", (*_MONITOR, "outcome"), "runs"),
    "trimtab_canary_traffic_ratio": Metric("gauge", ("model", "slot"), "share of the live traffic"),
    "trimtab_retraining_runs_total": Metric("counter", _OUTCOME, "retrains"),
    "trimtab_rollouts_total": Metric("counter", _OUTCOME, "rollouts"),
    "trimtab_process_cpu_seconds_total": Metric("counter", ("process",), "CPU time of Trimtab's processes"),
    "trimtab_process_resident_memory_bytes": Metric("gauge", ("process",), "memory of Trimtab's processes"),
    "trimtab_predictions_total": Metric("counter", (*_SLOT, "shadow", "outcome"), "requests"),
    "trimtab_prediction_duration_seconds": Metric("histogram", (*_SLOT, "shadow"), "time in the server"),
    "trimtab_prediction_rows_total": Metric("counter", (*_SLOT, "shadow"), "rows answered"),
    "trimtab_prediction_bytes_total": Metric(
        "counter", (*_SLOT, "shadow", "direction"), "bodies of requests and answers"
    ),
    "trimtab_prediction_queue_seconds": Metric("histogram", (*_SLOT, "shadow"), "wait for the turn"),
    "trimtab_requests_rejected_total": Metric("counter", (*_SLOT, "shadow", "reason"), "turned away"),
    "trimtab_requests_waiting": Metric("gauge", ("model", "slot"), "requests that wait for their turn"),
    "trimtab_requests_in_flight_limit": Metric("gauge", ("model", "slot"), "from which on more are rejected"),
    "trimtab_batch_rows": Metric("histogram", _SLOT, "rows of one run of the model"),
    "trimtab_cached_rows_total": Metric("counter", _SLOT, "rows answered from the cache"),
    "trimtab_model_provider_info": Metric("gauge", (*_SLOT, "provider", "wanted"), "1; what runs the model"),
    "trimtab_requests_in_flight": Metric("gauge", ("model", "slot"), "requests without an answer yet"),
    "trimtab_event_loop_lag_seconds": Metric("histogram", ("model", "slot"), "lateness of the event loop"),
    "trimtab_slot_info": Metric("gauge", _SLOT, "1; the version that a slot answers with"),
    "trimtab_model_load_seconds": Metric("gauge", _SLOT, "time to fetch, check and warm up"),
    "trimtab_model_size_bytes": Metric("gauge", _SLOT, "size of the ONNX file"),
    "trimtab_log_pending_rows": Metric("gauge", ("model", "slot"), "answered rows not yet in the log"),
    "trimtab_log_disk_free_ratio": Metric("gauge", ("model", "slot"), "free share of the disk of such rows"),
    "trimtab_log_commit_failures_total": Metric("counter", ("model", "slot"), "failed commits of the log"),
    "trimtab_log_write_failures_total": Metric(
        "counter", ("model", "slot"), "requests without an answer because the spool took no rows"
    ),
    "trimtab_payload_events_total": Metric("counter", _OUTCOME, "KServe's payloads that were taken"),
    "trimtab_payload_rejected_total": Metric("counter", ("model", "reason"), "payloads turned away"),
    "trimtab_payload_dropped_total": Metric("counter", ("model", "half"), "payloads that stayed alone"),
    "trimtab_payload_waiting": Metric("gauge", ("model",), "payloads whose other half has not come"),
    "trimtab_door_violations_total": Metric(
        "counter", (*_VERSION, "feature", "check"), "rows that break what the file states of a feature"
    ),
    "trimtab_receiver_requests_total": Metric("counter", ("outcome",), "alerts that asked for a retrain"),
    "trimtab_receiver_dag_paused": Metric("gauge", ("model",), "1 where the retrain DAG is paused"),
    "trimtab_results_up": Metric("gauge", (), "1 where the results store answers"),
    "trimtab_gpu_busy_ratio": Metric("gauge", ("gpu",), "share of time in which a GPU computes"),
    "trimtab_gpu_memory_used_bytes": Metric("gauge", ("gpu",), "memory in use of a GPU"),
    "trimtab_gpu_memory_size_bytes": Metric("gauge", ("gpu",), "memory of a GPU"),
    "trimtab_gpu_power_watts": Metric("gauge", ("gpu",), "power of a GPU's board"),
    "trimtab_gpu_energy_joules_total": Metric("counter", ("gpu",), "energy of a GPU"),
    "trimtab_process_disk_bytes_total": Metric("counter", ("process", "direction"), "from and to disks"),
    "trimtab_machine_network_bytes_total": Metric("counter", ("direction",), "over the machine's networks"),
    "trimtab_slot_cpu_seconds_total": Metric("counter", _SLOT, "CPU time of a version in its slot"),
    "trimtab_slot_resident_memory_bytes": Metric("gauge", _SLOT, "memory of a slot's process"),
    "trimtab_slot_disk_bytes_total": Metric("counter", (*_SLOT, "direction"), "from and to disks"),
    "trimtab_slot_energy_joules_total": Metric(
        "counter", (*_SLOT, "component", "method"), "energy of a version in its slot, and how it was found"
    ),
    "trimtab_slot_cost_total": Metric("counter", (*_SLOT, "currency"), "what energy and CPU time cost"),
    "trimtab_slot_carbon_grams_total": Metric("counter", _SLOT, "CO2 equivalents of the energy"),
    "process_cpu_seconds_total": Metric("counter", (), "CPU time of the scraped process"),
    "process_resident_memory_bytes": Metric("gauge", (), "memory of the scraped process"),
    "up": Metric("gauge", (), "1 where a target answers"),
    "ALERTS": Metric("gauge", ("model", "alertname", "alertstate", "severity"), "1; alerts, by Prometheus"),
}


def find(series: str) -> Metric | None:
    """Return the metric that a series name of PromQL belongs to, or None."""
    if series in CATALOGUE:
        return CATALOGUE[series]
    base, _, part = series.rpartition("_")
    metric = CATALOGUE.get(base)
    is_part = metric is not None and metric.kind == "histogram" and part in {"bucket", "sum", "count"}
    return metric if is_part else None
