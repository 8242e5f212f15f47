"""What is to be done about each model, and why."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from monitors.exposition.families import VERSION, Family, Live, gauge
from monitors.triage.records import Triage


def of_triage(models: Iterable[Live], decisions: Mapping[str, Triage]) -> Iterator[Family]:
    """Give the decision on each champion; one on a version that is champion no more says nothing.

    The words in `why` change with the decision alone, so that a model has one series an episode.
    """
    decided = gauge("triage_decision", "1 for what is to be done.", *VERSION, "action", "cause", "why")
    onset = gauge("triage_onset_timestamp_seconds", "Event time at which the change began.", *VERSION)
    for live in models:
        triage = decisions.get(live.spec.model)
        if triage is None or live.deployment.champion_version not in (None, triage.version):
            continue
        at = (live.spec.model, triage.version)
        decided.add_metric((*at, triage.action.value, triage.cause.value, triage.why), 1)
        if triage.onset is not None:
            onset.add_metric(at, triage.onset.timestamp())
    yield from (decided, onset)
