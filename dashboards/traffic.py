"""Rows on the service: who answers, how fast, how often wrong, at what cost."""

from __future__ import annotations

from dashboards import promql
from dashboards.frame import Row
from dashboards.panels import BLUE, Query, Text, heat, lines, rows, stat, timeline


def rollout() -> Row:
    """Champion and canary: the share of traffic and the version of each slot."""
    requests = promql.rate("trimtab_predictions_total", "version", "shadow")
    retrains, rollouts = (
        promql.increase(f"trimtab_{what}_total", "outcome") for what in ("retraining_runs", "rollouts")
    )
    return Row(
        "Champion and canary",
        [
            lines(
                Text(
                    "Traffic share by slot",
                    "Weights of the two slots as the router was last told. A rollout raises the challenger's "
                    "slot step by step; the champion is whoever holds the rest.",
                    "percentunit",
                ),
                Query(promql.gauge("trimtab_canary_traffic_ratio", "slot"), "{{slot}}"),
                stacked=True,
                top=1,
            ),
            lines(
                Text(
                    "Requests by version",
                    "Requests answered by each version. Shadow requests are copies of live ones whose "
                    "answers nobody sees.",
                    "reqps",
                ),
                Query(requests, "version {{version}}, shadow {{shadow}}"),
            ),
            timeline(
                Text("Version in each slot", "Which version is loaded where.", "none"),
                Query(promql.gauge("trimtab_slot_info", "slot", "version"), "{{slot}}: version {{version}}"),
                colours={"1": BLUE},
                span=8,
                height=8,
            ),
            rows(
                Text("Retrains", "Retraining runs within the time range, by outcome.", "short"),
                {"runs": (Query(retrains), "short")},
                span=12,
                height=5,
            ),
            rows(
                Text("Rollouts", "Rollouts within the time range, by outcome.", "short"),
                {"rollouts": (Query(rollouts), "short")},
                span=12,
                height=5,
            ),
        ],
    )


def latency() -> Row:
    """Time in the model server, live from its histogram and per window from the log."""
    objective = promql.gauge("trimtab_latency_objective_seconds", "model", quantile="0.99")
    quantiles = [Query(promql.quantile(q, "model"), f"p{q * 100:g}") for q in (0.5, 0.95, 0.99)]
    buckets = promql.increase(
        "trimtab_prediction_duration_seconds_bucket", "le", over="$__rate_interval", shadow="false"
    )
    windowed = promql.gauge("trimtab_latency_seconds", "version", "quantile")
    return Row(
        "Latency",
        [
            lines(
                Text(
                    "Latency",
                    "Quantiles of a live request's time in the model server, and the objective of the 99th "
                    "percentile.",
                    "s",
                ),
                *quantiles,
                Query(objective, "limit of p99"),
            ),
            heat(
                Text("Distribution", "How many live requests took how long in the model server.", "s"),
                Query(buckets, "{{le}}"),
            ),
            lines(
                Text(
                    "Latency by version and window",
                    "Quantiles of each closed window, computed exactly from the inference log.",
                    "s",
                ),
                Query(windowed, "version {{version}}, q {{quantile}}"),
                Query(objective, "limit of p99"),
            ),
        ],
    )


def errors() -> Row:
    """Throughput and errors, and what is left of the error budget."""
    allowed = f"1 - {promql.gauge('trimtab_slo_objective_ratio', 'model', slo='availability')}"
    outcomes = promql.rate("trimtab_predictions_total", "outcome", shadow="false")
    return Row(
        "Throughput and errors",
        [
            lines(
                Text(
                    "Requests by outcome",
                    "Live requests a second. `client_error` is a request that breaks the model's contract, "
                    "`error` one that the server failed.",
                    "reqps",
                ),
                Query(outcomes, "{{outcome}}"),
                span=6,
                stacked=True,
            ),
            lines(
                Text(
                    "Error ratio",
                    "Share of live requests that the server failed, by version, and the share that the "
                    "objective allows.",
                    "percentunit",
                ),
                Query(promql.error_ratio("version"), "version {{version}}"),
                Query(allowed, "limit"),
                span=6,
            ),
            lines(
                Text(
                    "Rows", "Predictions a second in each closed window; one request may hold many.", "rowsps"
                ),
                Query(promql.gauge("trimtab_throughput_rows_per_second", "version"), "version {{version}}"),
                span=6,
            ),
            stat(
                Text(
                    "Error budget spent",
                    "Share of the time range's error budget that is used up; at 100 % it is missed.",
                    "percentunit",
                ),
                Query(promql.error_budget_spent(), "spent"),
                span=6,
                bad_from=1,
            ),
            lines(
                Text(
                    "Rows not yet in the log",
                    "Answered rows that wait to be committed to the log, by slot; they survive a crash.",
                    "short",
                ),
                Query(promql.gauge("trimtab_log_pending_rows", "slot"), "{{slot}}"),
                span=8,
            ),
            lines(
                Text(
                    "Room for these rows",
                    "Free share of the disk that they wait on, by slot; at 0 requests get a 503.",
                    "percentunit",
                ),
                Query(promql.gauge("trimtab_log_disk_free_ratio", "slot"), "{{slot}}"),
                span=8,
            ),
            lines(
                Text("Failed commits", "Commits of the inference log that failed, by slot.", "ops"),
                Query(promql.rate("trimtab_log_commit_failures_total", "slot"), "{{slot}}"),
                span=8,
            ),
        ],
    )


def resources() -> Row:
    """What it costs: the model servers by slot, and Trimtab's own processes."""
    cpu = promql.rate("process_cpu_seconds_total", "slot", job="trimtab-serving")
    memory = promql.gauge("process_resident_memory_bytes", "slot", job="trimtab-serving")
    own_cpu = "sum by (process) (rate(trimtab_process_cpu_seconds_total[$__rate_interval]))"
    gpus = "max by (gpu) (trimtab_gpu_busy_ratio)"
    sizes = {
        "size": (Query(promql.gauge("trimtab_model_size_bytes", "version", "slot")), "bytes"),
        "load time": (Query(promql.gauge("trimtab_model_load_seconds", "version", "slot")), "s"),
    }
    return Row(
        "Resources",
        [
            lines(
                Text("CPU of the model servers", "CPU seconds a second, by slot: 1 is one core.", "none"),
                Query(cpu, "{{slot}}"),
                span=6,
            ),
            lines(
                Text("Memory of the model servers", "Resident memory, by slot.", "bytes"),
                Query(memory, "{{slot}}"),
                span=6,
            ),
            lines(
                Text(
                    "CPU of Trimtab's processes",
                    "CPU seconds a second of each process on its machine.",
                    "none",
                ),
                Query(own_cpu, "{{process}}"),
                span=6,
            ),
            lines(
                Text(
                    "Memory of Trimtab's processes",
                    "Resident memory of each process on its machine.",
                    "bytes",
                ),
                Query("max by (process) (trimtab_process_resident_memory_bytes)", "{{process}}"),
                span=6,
            ),
            rows(
                Text("Models in the slots", "Size of the ONNX file and the time it took to load.", "none"),
                sizes,
                span=12,
            ),
            lines(
                Text(
                    "GPUs",
                    "Share of time in which each GPU of the exporter's machine computes.",
                    "percentunit",
                ),
                Query(promql.or_none(gpus, "gpu"), "{{gpu}}"),
                span=6,
                top=1,
            ),
            lines(
                Text("GPU memory", "Memory in use of each GPU, and its size.", "bytes"),
                Query(promql.or_none("max by (gpu) (trimtab_gpu_memory_used_bytes)", "gpu"), "{{gpu}}"),
                Query(promql.or_none("max by (gpu) (trimtab_gpu_memory_size_bytes)", "gpu"), "limit {{gpu}}"),
                span=6,
            ),
        ],
    )
