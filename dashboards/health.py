"""Rows on the model itself: performance against the truth, drift of its inputs, faults in its data."""

from __future__ import annotations

from dashboards import promql
from dashboards.frame import Row
from dashboards.panels import BLUE, ORANGE, Bounds, Query, Text, bands, cells, lines, rows, stat

_METRIC = "$metric"


def performance() -> Row:
    """Performance as the labels tell it, once they arrived, beside what was expected before."""

    def champion(name: str, bound: str) -> str:
        series = promql.gauge(name, "model", "version", metric=_METRIC, bound=bound)
        return f"max by (model) ({promql.of_champion(series)})"

    def bounds(name: str, how: str, colour: str) -> Bounds:
        value, low, high = (champion(name, bound) for bound in ("value", "lower", "upper"))
        return Bounds(Query(value, how), Query(low, f"{how}, lower"), Query(high, f"{how}, upper"), colour)

    limit = promql.performance_limit("model", "version", metric=_METRIC)
    limit = f"max by (model) ({promql.of_champion(limit)})"
    value = promql.gauge("trimtab_slot_performance", "version", "slot", metric=_METRIC, bound="value")
    return Row(
        "Performance",
        [
            bands(
                Text(
                    "Champion: $metric and its limit",
                    "Performance of the champion with its 95 % bands: realised, by labels that arrive late, "
                    "and estimated, without them. The limit stands `monitor.performance.drop` beyond the "
                    "performance expected when it was trained.",
                    "none",
                ),
                bounds("trimtab_model_performance", "realised", BLUE),
                bounds("trimtab_model_performance_estimate", "estimated", ORANGE),
                limit=Query(limit, "limit"),
            ),
            lines(
                Text(
                    "$metric by version and slot",
                    "The same metric for every version that answered live requests, so that a promotion "
                    "shows what it brought, and for each slot that it answered from.",
                    "none",
                ),
                Query(value, "version {{version}}, {{slot}}"),
                span=6,
            ),
            lines(
                Text(
                    "Labels",
                    "Share of the predictions whose truth has arrived. Too few give no verdict on "
                    "performance.",
                    "percentunit",
                ),
                Query(promql.gauge("trimtab_labels_available_ratio", "model"), "labelled predictions"),
                span=3,
                top=1,
            ),
            lines(
                Text(
                    "Label delay",
                    "Age of an event when its label came, for half and for 95 % of the labels of the newest "
                    "due windows.",
                    "s",
                ),
                Query(promql.gauge("trimtab_label_delay_seconds", "quantile"), "q {{quantile}}"),
                span=3,
            ),
        ],
    )


def drift() -> Row:
    """How far the inputs and outputs are from the version's own reference."""
    share = promql.gauge("trimtab_drifted_features_ratio", "version")
    share_limit = promql.gauge("trimtab_drifted_features_ratio_limit", "model")
    output = promql.gauge("trimtab_prediction_drift_score", "version", "method")
    drifted = promql.gauge("trimtab_prediction_drifted", "version")
    threshold = promql.gauge("trimtab_drift_threshold", "method")
    of_threshold = promql.feature_drift_of_threshold()
    score = promql.of_champion(
        promql.gauge("trimtab_feature_drift_score", "model", "version", "feature", "method")
    )
    chance = promql.of_champion(
        promql.gauge("trimtab_feature_drift_p_value", "model", "version", "feature", "method")
    )
    cost = promql.of_champion(promql.gauge("trimtab_feature_drift_cost", "model", "version", "feature"))
    by_method = f"max by (feature, method) ({score}) * 0 + 1"
    return Row(
        "Drift",
        [
            lines(
                Text(
                    "Drifted features",
                    "Share of the features whose drift matters and is no accident, by version, and the "
                    "share from which the window counts as drifted.",
                    "percentunit",
                ),
                Query(share, "version {{version}}"),
                Query(share_limit, "limit"),
                span=12,
                top=1,
            ),
            lines(
                Text(
                    "Drift of the predictions",
                    "Distance of a window's predictions from the version's reference, the thresholds of the "
                    "methods in use, and where the distance matters and is no accident.",
                    "none",
                ),
                Query(output, "version {{version}}, {{method}}"),
                Query(f"{output} and on (version) {drifted} > 0", "drifted, version {{version}}, {{method}}"),
                Query(f"{threshold} and on (method) {output}", "limit, {{method}}"),
                span=12,
            ),
            cells(
                Text(
                    "The 20 most drifted features",
                    "Drift score of the champion's features over the threshold of their method, which makes "
                    "methods comparable: red from 1 on, orange from one half on.",
                    "none",
                ),
                Query(f"topk(20, {of_threshold})", "{{feature}}, {{method}}"),
                bad_from=1,
            ),
            rows(
                Text(
                    "Drift scores, newest window",
                    "Every feature of the champion with its distance from the reference, that distance over "
                    "the threshold, how likely it is by chance, and its share of what the drift can cost.",
                    "none",
                ),
                {
                    "score": (Query(f"max by (feature, method) ({score})"), "none"),
                    "of threshold": (Query(f"max by (feature, method) ({of_threshold})"), "percentunit"),
                    "by chance": (Query(f"max by (feature, method) ({chance})"), "sci"),
                    "cost": (
                        Query(f"max by (feature) ({cost}) * on (feature) group_right () ({by_method})"),
                        "percentunit",
                    ),
                },
                span=12,
                height=10,
            ),
            lines(
                Text(
                    "Drift of the correlations",
                    "Largest sure change of a rank correlation between two features that have not drifted by "
                    "themselves, over the change that alerts.",
                    "percentunit",
                ),
                Query(promql.correlation_drift_of_threshold(), "of limit"),
                Query("vector(1)", "limit"),
                span=12,
            ),
        ],
    )


def quality() -> Row:
    """Faults in the data. They are not retrained away: they alert a person."""
    return Row(
        "Data quality",
        [
            cells(
                Text(
                    "Violations by check",
                    "Features or windows that break a check in the newest closed window: nulls, unseen "
                    "categories, values out of range, too few rows.",
                    "none",
                ),
                Query(
                    promql.gauge("trimtab_data_quality_violations", "version", "check"),
                    "{{check}}, v{{version}}",
                ),
                bad_from=1,
                height=8,
            ),
            lines(
                Text("Rows in the window", "Predictions in the newest closed window, by version.", "short"),
                Query(promql.gauge("trimtab_window_rows", "version"), "version {{version}}"),
            ),
            stat(
                Text(
                    "Labels without a prediction",
                    "Labels whose id matches no prediction in the log: a wrong id, or a prediction that was "
                    "never logged.",
                    "short",
                ),
                Query(promql.gauge("trimtab_labels_unmatched", "model"), "labels"),
                bad_from=1,
            ),
            lines(
                Text(
                    "Violations at the door",
                    "Rows a second that break what the file states of a feature, as the model server sees "
                    "them when they come in.",
                    "ops",
                ),
                Query(
                    promql.rate("trimtab_door_violations_total", "feature", "check"), "{{feature}}: {{check}}"
                ),
                span=12,
            ),
        ],
    )
