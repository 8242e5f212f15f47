"""The first row of a model's page: what is to be done, why, and what was decided before."""

from __future__ import annotations

from dashboards import promql
from dashboards.frame import Row
from dashboards.panels import BLUE, Query, Text, rows, stat, timeline


def decision() -> Row:
    """What the triage says of the champion."""
    decided = promql.gauge("trimtab_triage_decision", "version", "action", "cause", "why")
    onset = promql.gauge("trimtab_triage_onset_timestamp_seconds", "version")
    episodes = promql.increase("trimtab_triage_decisions_total", "outcome")
    return Row(
        "What to do",
        [
            rows(
                Text(
                    "Decision",
                    "What is to be done about the champion, and why: `fix_data` and `fix_infra` need a "
                    "person, `collect_labels` needs the truth, `retrain` runs by itself, `watch` and `none` "
                    "need nobody. `trimtab status` tells the evidence and what happens next.",
                    "none",
                ),
                {"decided": (Query(decided), None)},
                span=12,
                height=5,
            ),
            stat(
                Text(
                    "Change began",
                    "When the relation of inputs and truth began to change, where the labels tell; the "
                    "training window of a retrain begins there.",
                    "dateTimeAsIso",
                ),
                Query(f"1000 * {onset}", "version {{version}}"),
                span=6,
            ),
            rows(
                Text("Episodes", "Decisions that began an episode within the time range.", "short"),
                {"episodes": (Query(episodes), "short")},
                span=6,
                height=5,
            ),
            timeline(
                Text("Decisions", "What was to be done over time, one lane an action.", "none"),
                Query(promql.gauge("trimtab_triage_decision", "action", "cause"), "{{action}}: {{cause}}"),
                colours={"1": BLUE},
            ),
        ],
    )
