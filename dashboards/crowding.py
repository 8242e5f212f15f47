"""Rows on what waits in front of a model: turns, the log's writes, payloads from elsewhere."""

from __future__ import annotations

from dashboards import promql
from dashboards.frame import Row
from dashboards.panels import Query, Text, lines, rows


def crowding() -> Row:
    """How full the model servers are, and what they turned away."""
    return Row(
        "Turns and limits",
        [
            lines(
                Text(
                    "Requests that wait",
                    "Requests that wait for their turn, by slot, and from how many in all on more are "
                    "answered 429.",
                    "short",
                ),
                Query(promql.gauge("trimtab_requests_waiting", "slot"), "{{slot}}"),
                Query(promql.gauge("trimtab_requests_in_flight_limit", "slot"), "limit {{slot}}"),
            ),
            lines(
                Text(
                    "Turned away",
                    "Requests a second that were not computed: the queue was full, their deadline had "
                    "passed, or the caller had left.",
                    "reqps",
                ),
                Query(
                    promql.rate("trimtab_requests_rejected_total", "slot", "reason"), "{{slot}}: {{reason}}"
                ),
            ),
            lines(
                Text(
                    "Rows of one run",
                    "Mean rows of one run of the model; above 1 where requests that wait run together.",
                    "short",
                ),
                Query(_mean_rows(), "{{slot}}"),
            ),
            lines(
                Text("Rows from the cache", "Rows a second that were answered without a run.", "rowsps"),
                Query(promql.rate("trimtab_cached_rows_total", "slot"), "{{slot}}"),
                span=6,
            ),
            rows(
                Text(
                    "What runs the models",
                    "ONNX Runtime's execution provider of each slot beside the one that the YAML wants.",
                    "none",
                ),
                {
                    "1": (
                        Query(promql.gauge("trimtab_model_provider_info", "slot", "provider", "wanted")),
                        "none",
                    )
                },
                span=6,
                height=8,
            ),
            lines(
                Text(
                    "Not answered for the log's sake",
                    "Requests a second that got a 503 because the log could not be written.",
                    "reqps",
                ),
                Query(promql.rate("trimtab_log_write_failures_total", "slot"), "{{slot}}"),
                span=6,
            ),
            lines(
                Text(
                    "Payloads of KServe",
                    "Events a second by outcome, those turned away and those whose other half never came.",
                    "short",
                ),
                Query(
                    promql.or_none(promql.rate("trimtab_payload_events_total", "outcome"), "outcome"),
                    "{{outcome}}",
                ),
                Query(
                    promql.or_none(promql.rate("trimtab_payload_rejected_total", "reason"), "reason"),
                    "rejected: {{reason}}",
                ),
                Query(
                    promql.or_none(promql.rate("trimtab_payload_dropped_total", "half"), "half"),
                    "alone: {{half}}",
                ),
                Query(
                    promql.or_none(promql.gauge("trimtab_payload_waiting", "model"), "model"),
                    "waiting: {{model}}",
                ),
                span=6,
            ),
        ],
    )


def _mean_rows() -> str:
    whole = promql.rate("trimtab_batch_rows_count", "slot")
    return f"{promql.rate('trimtab_batch_rows_sum', 'slot')} / on (slot) ({whole} > 0)"
