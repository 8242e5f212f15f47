"""The card of a retrain that made no candidate to judge: why it ended, why it began, and its rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from retraining.card import origin
from retraining.card.document import Document, Items, Section, Text
from retraining.records import Snapshot
from spec import ModelSpec


def write(
    spec: ModelSpec,
    run: str,
    trigger: Mapping[str, Any],
    stage: str,
    reasons: Sequence[str],
    taken: Snapshot | None,
) -> Document:
    """Return the card.

    Parameters
    ----------
    trigger
        What asked for the retrain: the fields of `alerts.RetrainRequest`; empty where a person ran it.
    stage
        The stage that ended it.
    taken
        The rows; None where they were refused.
    """
    rows = (Text("None were frozen."),) if taken is None else tuple(origin.data(spec, taken))
    onset = None if taken is None else taken.onset
    return Document(
        f"Model card: {spec.model}",
        f"The retrain {run} made no candidate: {stage} ended it. There is no version, and nothing is served.",
        (
            Section("Why it was rejected", (Items(tuple(reasons)),)),
            Section("Why it was retrained", tuple(origin.why(trigger, onset))),
            Section("Data", rows),
            Section("Who approved it", (Text("Nobody."),)),
        ),
    )
