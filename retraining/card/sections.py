"""The card's sections, in the words of whoever has to decide about the model."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from itertools import islice

from monitors.comparing.column_pair import Effect
from monitors.comparing.comparison import ColumnComparison
from monitors.performance import Estimate
from retraining.card import making, origin
from retraining.card.document import Bars, Block, Document, Items, Section, Table, Text
from retraining.card.evidence import Evidence
from spec import Task

_TOP = 15  # features in a chart or table


def write(told: Evidence) -> Document:
    """Return the card of a candidate that was judged; of a rejected one it begins with the reasons."""
    spec, chosen, verdict = told.spec, told.records.choice.chosen, told.records.verdict
    lead = (
        f"A {spec.task.value} model that answers {spec.data.target.name!r} from {len(spec.features)} "
        f"features. Made by the retrain {told.run}: {chosen.name}."
    )
    if not verdict.accepted:
        lead += " It was rejected, has no version and is not served."
    sections = (
        *(() if verdict.accepted else (Section("Why it was rejected", tuple(_rejected(told))),)),
        Section("Purpose and limits", tuple(_purpose(told))),
        Section("Why it was retrained", tuple(origin.why(told.trigger, told.records.taken.onset))),
        Section("Data", (*origin.data(spec, told.records.taken), *_doubts(told))),
        Section("How good it is", tuple(_quality(told))),
        Section("Slices and fairness", tuple(_groups(told))),
        Section("What it looks at", tuple(_features(told))),
        Section("How the newest rows differ", tuple(_drift(told))),
        Section("How it was made", tuple(making.made(told))),
        Section("What it costs", tuple(making.costs(told))),
        Section("Who approved it", tuple(_approval(told))),
    )
    return Document(f"Model card: {spec.model}", lead, sections)


def _purpose(told: Evidence) -> Iterator[Block]:
    about, taken = told.spec.about, told.records.taken
    unsaid = "Nobody has written it down (about.{} in the model's YAML)."
    yield Table(
        ("", ""),
        (
            ("For", about.purpose or unsaid.format("purpose")),
            ("Not for", about.limits or unsaid.format("limits")),
            ("Answers for it", about.owner or unsaid.format("owner")),
        ),
    )
    known = f"It has learnt from rows up to {taken.holdout_start:%Y-%m-%d} and was judged on rows up to"
    yield Items(
        (
            f"{known} {taken.window_end:%Y-%m-%d}; what came later it does not know.",
            "Its intervals hold for rows such as those of the holdout. Where inputs drift, they may not.",
            "What it looks at is association: changing an input need not change what comes true.",
        )
    )


def _rejected(told: Evidence) -> Iterator[Block]:
    failed = tuple(gate for gate in told.records.verdict.gates if not gate.passed)
    yield Items(tuple(f"{gate.name}: {gate.reason}" for gate in failed))


def _doubts(told: Evidence) -> Iterator[Block]:
    doubted = told.records.found.doubted_labels
    if doubted:
        kept = "were removed" if told.spec.retrain.label_errors == "remove" else "were kept"
        yield Text(f"{doubted:,} training labels are probably wrong; they {kept}.")


def _quality(told: Evidence) -> Iterator[Block]:
    verdict, theirs = told.records.verdict, told.champion
    beside = "trivial baseline" if verdict.against is None else f"champion {verdict.against}"
    rows = tuple(
        (
            metric.value + (" (watched)" if metric is told.spec.performance_metric else ""),
            _interval(found),
            _interval(theirs[metric])
            if theirs and metric in theirs
            else _value(verdict.opponent, metric.value),
        )
        for metric, found in told.candidate.items()
    )
    yield Text(
        f"On {verdict.rows:,} labelled rows of {verdict.days} days that it has not seen, with 95 % intervals "
        "over days."
    )
    yield Table(("metric", "this model", beside), rows, numbers=range(1, 3))
    yield Text("The gates, each of which had to be passed:")
    gates = ((gate.name, "passed" if gate.passed else "failed", gate.reason) for gate in verdict.gates)
    yield Table(("gate", "", "because"), tuple(gates)) if verdict.gates else Items(verdict.reasons)


def _groups(told: Evidence) -> Iterator[Block]:
    spec = told.spec
    if told.slices:
        metric = spec.performance_metric.value
        rows = (
            (
                str(part.feature),
                f"{part.value:.4f} [{part.low:.4f}, {part.high:.4f}]"
                if part.low is not None and part.high is not None
                else part.text or "",
                "" if part.n is None else f"{part.n:,}",
                part.text or "",
            )
            for part in told.slices
        )
        yield Table(("slice", metric, "rows", "beside the others"), tuple(rows), numbers=range(1, 3))
    else:
        yield Text("No slices are declared (monitor.slices.by).")
    if spec.protected:
        gates = (gate.reason for gate in told.records.verdict.gates if gate.name == "fairness")
        said = "; ".join(gates) or "; ".join(told.records.verdict.reasons)
        yield Text(f"Protected: {', '.join(spec.protected)}. {said}.")
    else:
        yield Text("No feature is declared as protected, so nothing is known of its fairness.")


def _features(told: Evidence) -> Iterator[Block]:
    unit = "of the target" if told.spec.task is Task.REGRESSION else "of probability"
    yield Bars(f"Mean absolute SHAP value, in units {unit}", dict(islice(told.shap.items(), _TOP)))
    yield Bars(
        "Share of what it knows: rise of the loss when the feature's values are dealt out anew",
        dict(islice(told.importances.items(), _TOP)),
    )
    if len(told.shap) > _TOP:
        yield Text(f"The first {_TOP} of {len(told.shap)} features.")


def _drift(told: Evidence) -> Iterator[Block]:
    drifted = len(told.drift.drifted)
    yield Text(
        f"{drifted} of {len(told.drift.columns)} features of the holdout have drifted from the training "
        "rows; those that matter most come first."
    )
    columns = [column for column in told.drift.columns if isinstance(column.effect, Effect)]
    rows = (
        (
            column.name,
            "yes" if column.drifted else "no",
            column.method,
            _effect(column),
            f"{column.threshold:.3g}",
            f"{column.importance or 0:.0%}",
        )
        for column in columns[:_TOP]
    )
    yield Table(
        ("feature", "drifted", "by", "effect", "threshold", "importance"), tuple(rows), numbers=range(3, 6)
    )


def _approval(told: Evidence) -> Iterator[Block]:
    gates = ", ".join(gate.name for gate in told.records.verdict.gates)
    if not told.records.verdict.accepted:
        yield Text("Nobody.")
        return
    yield Text(f"As a challenger, automatic: gates {gates}.")
    yield Text(
        "As champion, whoever the version's tag trimtab.approved_by names: the rollout's gates, or a person. "
        "`trimtab lineage` tells it with the time."
    )


def _interval(found: Estimate) -> str:
    return f"{found.value:.4f} [{found.low:.4f}, {found.high:.4f}]"


def _value(values: Mapping[str, float], name: str) -> str:
    return f"{values[name]:.4f}" if name in values and math.isfinite(values[name]) else ""


def _effect(column: ColumnComparison) -> str:
    return f"{column.effect.value:.3g}" if isinstance(column.effect, Effect) else ""
