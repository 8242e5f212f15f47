"""How each monitor's runs ended, and what happened to the models."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

from monitors.exposition.families import Family, counter, gauge
from monitors.results.store import OUTCOMES, RUNNING, Runs
from monitors.triage.records import Action
from spec import ModelSpec

_ROLLOUT = ("started", "step", "approved", "promoted", "rolled_back", "taken_back", "superseded", "forced")
_EVENTS = {
    "retrain": ("retraining_runs", "Retrains.", ("started", "accepted", "rejected", "failed")),
    "rollout": ("rollouts", "Rollouts.", _ROLLOUT),
    "triage": ("triage_decisions", "Decisions that began an episode.", tuple(Action)),
}


def of_runs(
    specs: Iterable[ModelSpec], runs: Iterable[Runs], interval_s: Mapping[str, float]
) -> Iterator[Family]:
    """Give how each monitor's runs ended and when, by the wall; `interval_s` is each model's due interval."""
    specs, runs = tuple(specs), tuple(runs)
    labels = ("model", "monitor")
    over = {spec.model: spec.monitor.performance.over for spec in specs}
    success = gauge("monitoring_last_success_timestamp_seconds", "When a run last succeeded.", *labels)
    run = gauge("monitoring_last_run_timestamp_seconds", "When a run last ended.", *labels)
    duration = gauge("monitoring_last_duration_seconds", "How long the last run took.", *labels)
    interval = gauge("monitoring_interval_seconds", "Time between two runs.", *labels)
    total = counter("monitoring_runs", "Runs of a monitor.", *labels, "outcome")
    for model in (spec.model for spec in specs):
        for monitor in RUNNING:
            at = (model, monitor)
            ended = {one.outcome: one for one in runs if (one.model, one.monitor) == at}
            interval.add_metric(at, interval_s[model] * (over[model] if monitor == "slices" else 1))
            for outcome in OUTCOMES:
                total.add_metric((*at, outcome), ended[outcome].count if outcome in ended else 0)
            if good := [one.last_at for one in ended.values() if one.outcome != "error"]:
                success.add_metric(at, max(good).timestamp())
            if ended:
                last = max(ended.values(), key=_ended_at)
                run.add_metric(at, last.last_at.timestamp())
                duration.add_metric(at, last.last_duration_s)
    yield from (success, run, duration, interval, total)


def of_events(specs: Iterable[ModelSpec], counts: Mapping[tuple[str, str, str], int]) -> Iterator[Family]:
    """Count retrains and rollouts by outcome, from 0, so that the first one is an increase."""
    models = [spec.model for spec in specs]
    for kind, (name, text, outcomes) in _EVENTS.items():
        family = counter(name, text, "model", "outcome")
        for model in models:
            seen = {outcome for k, m, outcome in counts if (k, m) == (kind, model)}
            for outcome in sorted(seen.union(outcomes)):
                family.add_metric((model, outcome), counts.get((kind, model, outcome), 0))
        yield family


def _ended_at(runs: Runs) -> datetime:
    return runs.last_at
