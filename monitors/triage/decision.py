"""What to do: a pure function of what the monitors know.

In this order: wrong data are repaired by people and trained into nothing; harm that labels show, beyond
what chance shows in many looks, is retrained away, until labels take it back; a slow or silent service is
repaired; harm that is expected of drifted inputs is retrained away before the labels come; what nobody can
tell without labels asks for them; harm that may be chance, and a shift that does none, are watched, be it of
inputs, of predictions or of labels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from monitors.triage import why
from monitors.triage.coverage import missing_labels
from monitors.triage.evidence import (
    Evidence,
    covers,
    is_beyond_chance,
    is_cleared,
    is_worse,
    labels_due,
    loss_is_beyond_chance,
    number,
)
from monitors.triage.records import Action, Cause, Triage
from monitors.triage.training import training_window
from spec import ModelSpec, format_duration

_Rule = Callable[[ModelSpec, Evidence], "tuple[Action, Cause, str] | None"]


def decide(spec: ModelSpec, evidence: Evidence) -> Triage | None:
    """Return the decision on a version; None where no monitor has judged any window of it."""
    at = evidence.at
    if at is None:
        return None
    found = next(answer for rule in _RULES if (answer := rule(spec, evidence)) is not None)
    action, cause, text = found
    triage = Triage(spec.model, evidence.version, action, cause, at, text, why.sentences(spec, evidence))
    if action is Action.RETRAIN:
        return replace(triage, onset=evidence.onset, training=training_window(spec, evidence))
    return triage


def _wrong_data(_spec: ModelSpec, evidence: Evidence) -> tuple[Action, Cause, str] | None:
    if not evidence.faults:
        return None
    names = ", ".join(sorted({fault.feature or str(fault.method) for fault in evidence.faults}))
    text = f"The data are wrong ({names}): repair their source. No retrain is started while they are."
    return Action.FIX_DATA, Cause.QUALITY, text


def _shown_harm(spec: ModelSpec, evidence: Evidence) -> tuple[Action, Cause, str] | None:
    """Believe the metric and the loss where they say more than chance does in many looks."""
    lost = loss_is_beyond_chance(spec, evidence)
    if evidence.alarms("performance") and (lost or is_beyond_chance(spec, evidence)):
        text = why.performance(spec, evidence.newest("performance"), "Realised")
        return Action.RETRAIN, Cause.PERFORMANCE, f"Labels show harm. {text}"
    if lost:
        text = "Labels show harm: the loss is above what the version was registered with, beyond chance."
        return Action.RETRAIN, Cause.PERFORMANCE, text
    return None


def _standing_harm(spec: ModelSpec, evidence: Evidence) -> tuple[Action, Cause, str] | None:
    """Ask on for the retrain of a version until labels clear it: a quiet week does not."""
    before = evidence.before
    if before is None or before.episode != (evidence.version, Action.RETRAIN, Cause.PERFORMANCE):
        return None
    if is_cleared(spec, evidence, before.at):
        return None
    text = why.performance(spec, evidence.newest("performance"), "Realised")
    since = f"Labels showed harm by {before.at:%Y-%m-%d %H:%M}, and have not taken it back."
    return Action.RETRAIN, Cause.PERFORMANCE, f"{since} {text}"


def _perhaps_harm(spec: ModelSpec, evidence: Evidence) -> tuple[Action, Cause, str] | None:
    if not evidence.alarms("performance"):
        return None
    text = why.performance(spec, evidence.newest("performance"), "Realised")
    return (
        Action.WATCH,
        Cause.PENDING,
        f"Labels may show harm: so far no more than chance does at one look in forty. {text}",
    )


def _broken_service(_spec: ModelSpec, evidence: Evidence) -> tuple[Action, Cause, str] | None:
    if evidence.alarms("latency"):
        return (
            Action.FIX_INFRA,
            Cause.SERVICE,
            f"The service is slower or hungrier than it may be: no retrain helps. {why.service(evidence)}",
        )
    if evidence.traffic:
        told = "; ".join(number.text or str(number.method) for number in evidence.traffic)
        return (
            Action.FIX_INFRA,
            Cause.TRAFFIC,
            f"Too few requests come in ({told}): look at what calls the model.",
        )
    return None


def _expected_harm(spec: ModelSpec, evidence: Evidence) -> tuple[Action, Cause, str] | None:
    if not evidence.alarms("estimate") or _labels_clear(spec, evidence):
        return None
    text = why.performance(spec, evidence.newest("estimate"), "Estimated")
    if evidence.alarms("drift"):
        return (
            Action.RETRAIN,
            Cause.HARMFUL_DRIFT,
            f"The inputs have drifted to where the model is worse. {text}",
        )
    return (
        Action.COLLECT_LABELS,
        Cause.UNSURE,
        f"The estimate is worse than it may be and no drift explains it. {text}",
    )


def _missing_labels(spec: ModelSpec, evidence: Evidence) -> tuple[Action, Cause, str] | None:
    known = missing_labels(spec, evidence)
    if known is None:
        return None
    delay = format_duration(spec.data.target.delay)
    text = f"The truth of only {known.value:.0%} of the predictions has come, {delay} after"
    return (
        Action.COLLECT_LABELS,
        Cause.NO_LABELS,
        f"{text} the windows' end: nobody can say how good the model is.",
    )


def _drifted_inputs(spec: ModelSpec, evidence: Evidence) -> tuple[Action, Cause, str] | None:
    since = evidence.since("drift")
    return None if since is None else _watched(spec, evidence, since, "The inputs have drifted", Cause.BENIGN)


def _drifted_predictions(spec: ModelSpec, evidence: Evidence) -> tuple[Action, Cause, str] | None:
    since = evidence.predictions_since
    if since is None:
        return None
    text = "The predictions have drifted, though too few inputs have to say so"
    return _watched(spec, evidence, since, text, Cause.PREDICTIONS)


def _watched(
    spec: ModelSpec, evidence: Evidence, since: datetime, text: str, benign: Cause
) -> tuple[Action, Cause, str]:
    """Watch a drift that does no harm; wait for the labels that will tell, or ask for them when overdue."""
    if _labels_clear(spec, evidence):
        return Action.WATCH, benign, f"{text}, and the labels show no harm."
    estimate = evidence.newest("estimate")
    expected = number(estimate, "estimated_performance", spec.performance_metric.value)
    if expected is not None and not is_worse(expected, spec.performance_metric):
        return Action.WATCH, benign, f"{text}, and the estimate expects no harm."
    told = labels_due(spec, since)
    if evidence.at is not None and evidence.at < told:
        due = f"labels that tell what it costs are due by {told:%Y-%m-%d %H:%M}"
        return Action.WATCH, Cause.PENDING, f"{text}; {due}."
    return Action.COLLECT_LABELS, Cause.UNSURE, f"{text}, and too few labels tell what it costs."


def _wanted_anyway(_spec: ModelSpec, evidence: Evidence) -> tuple[Action, Cause, str] | None:
    if evidence.due.schedule is not None:
        return Action.RETRAIN, Cause.SCHEDULE, f"Nothing is wrong; {evidence.due.schedule}."
    if evidence.due.new_labels is not None:
        return Action.RETRAIN, Cause.NEW_LABELS, f"Nothing is wrong; {evidence.due.new_labels}."
    return None


def _moved_labels(_spec: ModelSpec, evidence: Evidence) -> tuple[Action, Cause, str] | None:
    if evidence.label_shift is None:
        return None
    text = f"What comes true has moved, and does no harm so far: {evidence.label_shift.text}."
    return Action.WATCH, Cause.PRIOR_SHIFT, text


def _unfair(_spec: ModelSpec, evidence: Evidence) -> tuple[Action, Cause, str] | None:
    if not evidence.alarms("slices"):
        return None
    return Action.WATCH, Cause.GROUPS, "Groups are served more differently than they may be."


def _nothing(_spec: ModelSpec, _evidence: Evidence) -> tuple[Action, Cause, str]:
    return Action.NONE, Cause.NOTHING, "Nothing is wrong."


def _labels_clear(spec: ModelSpec, evidence: Evidence) -> bool:
    """Return whether labels of enough windows since the drift began show no harm."""
    since = evidence.since("drift") or evidence.predictions_since or evidence.since("estimate")
    performance = evidence.newest("performance")
    return since is not None and not evidence.alarms("performance") and covers(spec, performance, since)


_RULES: tuple[_Rule, ...] = (
    _wrong_data,
    _shown_harm,
    _standing_harm,
    _broken_service,
    _expected_harm,
    _wanted_anyway,
    _missing_labels,
    _perhaps_harm,
    _drifted_inputs,
    _drifted_predictions,
    _moved_labels,
    _unfair,
    _nothing,
)
