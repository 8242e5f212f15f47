"""Rows on what a version costs in its slot, and on what a request waits for before it is answered."""

from __future__ import annotations

from dashboards import promql
from dashboards.frame import Row
from dashboards.panels import Panel, Query, Text, lines

_PERCENTILE = 0.99


def cost() -> Row:
    """Energy, money and carbon by version, and the machine below."""
    watts = promql.rate("trimtab_slot_energy_joules_total", "slot", "component", "method")
    cpu = promql.rate("trimtab_slot_cpu_seconds_total", "version", "slot")
    memory = promql.gauge("trimtab_slot_resident_memory_bytes", "version", "slot")
    disk = promql.rate("trimtab_slot_disk_bytes_total", "slot", "direction")
    power = promql.or_none("max by (gpu) (trimtab_gpu_power_watts)", "gpu")
    counted = "sum by (gpu) (rate(trimtab_gpu_energy_joules_total[$__rate_interval]))"
    return Row(
        "Cost of the versions",
        [
            _per_thousand("Energy", "trimtab_slot_energy_joules_total", "joule"),
            _per_thousand("Money", "trimtab_slot_cost_total", "none", "currency"),
            _per_thousand("Carbon", "trimtab_slot_carbon_grams_total", "massg"),
            lines(
                Text(
                    "Power of the slots",
                    "Energy a second of each slot by component; `method` says whether it was measured or "
                    "estimated.",
                    "watt",
                ),
                Query(watts, "{{slot}}, {{component}} ({{method}})"),
                stacked=True,
            ),
            lines(
                Text("CPU of the versions", "CPU seconds a second of each version in its slot.", "none"),
                Query(cpu, "version {{version}}, {{slot}}"),
            ),
            lines(
                Text(
                    "Memory of the versions", "Resident memory of the slot that holds the version.", "bytes"
                ),
                Query(memory, "version {{version}}, {{slot}}"),
            ),
            lines(
                Text("Disk of the slots", "Bytes a second from and to disks, by slot.", "Bps"),
                Query(disk, "{{slot}}, {{direction}}"),
            ),
            lines(
                Text("Disk of Trimtab's processes", "Bytes a second from and to disks, by process.", "Bps"),
                Query(_machine("trimtab_process_disk_bytes_total", "process"), "{{process}}, {{direction}}"),
            ),
            lines(
                Text("Network of the machine", "Bytes a second over the machine's networks.", "Bps"),
                Query(_machine("trimtab_machine_network_bytes_total"), "{{direction}}"),
            ),
            lines(
                Text(
                    "Power of the GPUs", "As each board tells it now, and by its counter of energy.", "watt"
                ),
                Query(power, "{{gpu}}"),
                Query(counted, "{{gpu}}, counted"),
                span=24,
            ),
        ],
    )


def anomalies() -> Row:
    """What is unlike the version's own past: what its closed windows say, and what its slot takes."""
    keys = ("version", "slot")
    odd = promql.gauge("trimtab_service_anomaly_ratio", "version", "figure", "kind")
    limit = Query(promql.gauge("trimtab_service_anomaly_limit", "model"), "limit")
    memory = promql.gauge("trimtab_slot_resident_memory_bytes", *keys)
    spent, answered = (
        promql.rate(metric, *keys)
        for metric in ("trimtab_slot_cpu_seconds_total", "trimtab_prediction_rows_total")
    )
    return Row(
        "Unlike its own past",
        [
            lines(
                Text(
                    "Latency, traffic, memory and CPU over the usual",
                    "Figures of the newest closed window over what is usual of the version at the same time "
                    "of the week, where that is beyond chance. No line: all is as usual.",
                    "none",
                ),
                Query(odd, "{{figure}}, {{kind}}, version {{version}}"),
                limit,
                span=12,
            ),
            lines(
                Text(
                    "Memory and CPU over the usual",
                    "Memory of a version's slot, and its CPU time a row, each over its median of as long "
                    "before as the page shows: choose a week or more.",
                    "none",
                ),
                Query(_of_usual(memory, *keys), "memory, version {{version}}, {{slot}}"),
                Query(
                    _of_usual(f"{spent} / on ({', '.join(keys)}) ({answered} > 0)", *keys),
                    "CPU a row, version {{version}}, {{slot}}",
                ),
                limit,
                span=12,
            ),
        ],
    )


def queueing() -> Row:
    """What a request waits for, and how much comes and goes."""
    flying = promql.gauge("trimtab_requests_in_flight", "slot")
    size = promql.rate("trimtab_prediction_bytes_total", "direction", shadow="false")
    predicted = promql.rate("trimtab_prediction_rows_total", "version", shadow="false")
    wait, lag = (
        promql.rate(f"trimtab_{name}_seconds_bucket", "slot", "le")
        for name in ("prediction_queue", "event_loop_lag")
    )
    return Row(
        "Queueing",
        [
            lines(
                Text("Wait for a thread", "99th percentile of what a request waits to be computed.", "s"),
                Query(f"histogram_quantile({_PERCENTILE}, {wait})", "{{slot}}"),
            ),
            lines(
                Text("Lag of the event loop", "99th percentile of how late the server's loop is.", "s"),
                Query(f"histogram_quantile({_PERCENTILE}, {lag})", "{{slot}}"),
            ),
            lines(
                Text("Requests in flight", "Requests that have no answer yet, by slot.", "short"),
                Query(flying, "{{slot}}"),
            ),
            lines(
                Text("Rows answered", "Live rows a second, by version; a request may hold many.", "rowsps"),
                Query(predicted, "version {{version}}"),
                span=12,
            ),
            lines(
                Text("Bytes of requests and answers", "Bodies of live requests and answers.", "Bps"),
                Query(size, "{{direction}}"),
                span=12,
            ),
        ],
    )


def _per_thousand(what: str, metric: str, unit: str, *by: str) -> Panel:
    """Return what a thousand answered rows take, by version; shadow rows count, for they cost as much."""
    rows = promql.rate("trimtab_prediction_rows_total", "version")
    spent = promql.rate(metric, "version", *by)
    legend = "version {{version}}" + "".join(f", {{{{{label}}}}}" for label in by)
    return lines(
        Text(
            f"{what} of a thousand rows",
            f"{what} that a version's slot takes, over the rows it answered, copies of the mirror included.",
            unit,
        ),
        Query(f"1000 * {spent} / on (version) group_left () ({rows} > 0)", legend),
    )


def _of_usual(figure: str, *keys: str) -> str:
    """Return a figure over its own median of as long before as the page shows."""
    return f"{figure} / on ({', '.join(keys)}) quantile_over_time(0.5, ({figure})[$__range:])"


def _machine(metric: str, *by: str) -> str:
    """Rate of a counter of the exporter's machine, which belongs to no model."""
    return f"sum by ({', '.join([*by, 'direction'])}) (rate({metric}[$__rate_interval]))"
