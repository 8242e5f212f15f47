"""Rows on harm beyond the one metric: the loss over a version's life, and parts of the rows."""

from __future__ import annotations

from dashboards import promql
from dashboards.frame import Row
from dashboards.panels import BLUE, Bounds, Query, Text, bands, lines, rows


def concept() -> Row:
    """Whether the relation of inputs and truth has changed."""
    risk = {
        bound: promql.of_champion(promql.gauge("trimtab_model_risk", "model", "version", bound=bound))
        for bound in ("value", "lower", "upper")
    }
    value, low, high = (f"max by (model) ({series})" for series in risk.values())
    rise = promql.gauge("trimtab_concept_drift_rise", "version")
    change = promql.of_champion(
        promql.gauge("trimtab_loss_change", "model", "version", "reason", bound="value")
    )
    labels = promql.of_champion(
        promql.gauge("trimtab_label_rate", "model", "version", "label", bound="value")
    )
    return Row(
        "Concept drift",
        [
            bands(
                Text(
                    "Loss of the champion",
                    "Mean loss of the newest labelled days, in [0, 1], with its interval.",
                    "none",
                ),
                Bounds(Query(value, "loss"), Query(low, "lower bound"), Query(high, "upper bound"), BLUE),
                span=8,
            ),
            lines(
                Text(
                    "Proved rise of the loss",
                    "Lower bound of how much the loss has risen since the version was registered, whenever "
                    "one looks. Drift of the concept is proved when it is above what is tolerated.",
                    "percentunit",
                ),
                Query(rise, "version {{version}}"),
                Query(promql.gauge("trimtab_concept_drift_tolerance", "model"), "limit"),
            ),
            lines(
                Text(
                    "Why the loss changed",
                    "Change of the champion's loss since its reference, in all and by reason: its inputs "
                    "have moved, or the same inputs now mean something else.",
                    "none",
                ),
                Query(f"max by (reason) ({change})", "{{reason}}"),
            ),
            lines(
                Text(
                    "Mean of the newest labels",
                    "Share of each class, or mean of the values, among the newest labels of the champion's "
                    "predictions. What comes true more often than it did needs other probabilities.",
                    "none",
                ),
                Query(f"max by (label) ({labels})", "{{label}}"),
                span=24,
            ),
        ],
    )


def groups() -> Row:
    """Parts of the rows that fare worse than the others."""
    worst = promql.of_champion(promql.gauge("trimtab_worst_slice_rise", "model", "version", "slice"))
    declared = promql.of_champion(
        promql.gauge("trimtab_slice_performance", "model", "version", "slice", "metric")
    )
    apart, surely = (
        promql.gauge("trimtab_fairness_difference", "feature", "metric", bound=bound)
        for bound in ("value", "lower")
    )
    limit = promql.gauge("trimtab_fairness_limit", "metric")
    return Row(
        "Slices and fairness",
        [
            lines(
                Text(
                    "Slices that became worse",
                    "Rise of the loss of each slice that the search has found, beyond that of the other "
                    "rows. No line: none has become worse for sure.",
                    "none",
                ),
                Query(f"max by (slice) ({worst})", "{{slice}}"),
            ),
            rows(
                Text(
                    "Declared slices, newest window",
                    "The champion's metrics in the slices of `monitor.slices.by`.",
                    "none",
                ),
                {"value": (Query(f"max by (slice, metric) ({declared})"), "none")},
                span=8,
            ),
            lines(
                Text(
                    "Difference between groups",
                    "How differently the groups of each protected feature are served, and its lower bound: "
                    "above the limit it is no chance.",
                    "none",
                ),
                Query(apart, "{{feature}}, {{metric}}"),
                Query(surely, "at least, {{feature}}"),
                Query(limit, "limit, {{metric}}"),
            ),
        ],
    )
