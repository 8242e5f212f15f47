"""The card's sections, in the words of whoever has to decide about the model."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from datetime import datetime
from itertools import islice
from typing import Any

from monitors.column_pair import Effect
from monitors.comparison import ColumnComparison
from monitors.performance import Estimate
from retraining.card.document import Bars, Block, Document, Items, Section, Table, Text
from retraining.card.evidence import Evidence
from retraining.records import Candidate, Snapshot, Variant
from spec import ModelSpec, Task

_TOP = 15  # features in a chart or table
_MOST_VARIANTS = 12
_WH = 3600  # joules


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
        Section("Why it was retrained", tuple(why(told.trigger, told.records.taken.onset))),
        Section("Data", (*data(spec, told.records.taken), *_doubts(told))),
        Section("How good it is", tuple(_quality(told))),
        Section("Slices and fairness", tuple(_groups(told))),
        Section("What it looks at", tuple(_features(told))),
        Section("How the newest rows differ", tuple(_drift(told))),
        Section("How it was made", tuple(_making(told))),
        Section("What it costs", tuple(_costs(told))),
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
    known = f"It has learnt from rows up to {_day(taken.holdout_start)} and was judged on rows up to"
    yield Items(
        (
            f"{known} {_day(taken.window_end)}; what came later it does not know.",
            "Its intervals hold for rows such as those of the holdout. Where inputs drift, they may not.",
            "What it looks at is association: changing an input need not change what comes true.",
        )
    )


def _rejected(told: Evidence) -> Iterator[Block]:
    failed = tuple(gate for gate in told.records.verdict.gates if not gate.passed)
    yield Items(tuple(f"{gate.name}: {gate.reason}" for gate in failed))


def why(trigger: Mapping[str, Any], onset: datetime | None = None) -> Iterator[Block]:
    """Yield what asked for a retrain, and since when the world is another, as far as it is dated."""
    given = {name: str(value) for name, value in trigger.items() if value not in {None, ""}}
    if not given:
        yield Text("Somebody ran it from the command line, without an alert.")
        return
    names = {
        "reason": "Cause",
        "alert": "Alert",
        "version": "About version",
        "summary": "Said",
        "description": "Because",
        "requested_at": "Asked at",
        "run": "DAG run",
    }
    yield Table(("", ""), tuple((name, given[key]) for key, name in names.items() if key in given))
    if onset is not None:
        yield Text(f"The change is dated to {_day(onset)}.")


def data(spec: ModelSpec, taken: Snapshot) -> Iterator[Block]:
    """Yield what rows a retrain had, and from where."""
    span = f"{_day(taken.window_start)} – {_day(taken.holdout_start)}"
    yield Table(
        ("rows", "event time", "number"),
        (
            ("training", f"{span}, less the delay of the labels", f"{taken.train_rows:,}"),
            ("holdout", f"{_day(taken.holdout_start)} – {_day(taken.window_end)}", f"{taken.holdout_rows:,}"),
            ("left out: labels not known yet", "between the two", f"{taken.gap_rows:,}"),
            ("left out: copies of others", "", f"{taken.copies:,}"),
            ("of the history file", "", f"{taken.history_rows:,}"),
        ),
        numbers=range(2, 3),
    )
    yield Table(("source", "address", "version"), tuple(_sources(spec, taken)))
    yield Text(f"Read at {_time(taken.taken_at)}; SHA-256 of the rows {taken.sha256}.")
    if taken.excluded:
        windows = (f"{_time(w.start)} – {_time(w.end)}, of version {w.version}" for w in taken.excluded)
        yield Text("Windows left out, because their data were found wrong:")
        yield Items(tuple(windows))
    if taken.suspects:
        named = ", ".join(f"{name} ({score:.3f} of 1)" for name, score in taken.suspects.items())
        yield Text(
            f"Features that alone tell the truth suspiciously well, and may not be known in time: {named}."
        )


def _doubts(told: Evidence) -> Iterator[Block]:
    doubted = told.records.found.doubted_labels
    if doubted:
        kept = "were removed" if told.spec.retrain.label_errors == "remove" else "were kept"
        yield Text(f"{doubted:,} training labels are probably wrong; they {kept}.")


def _sources(spec: ModelSpec, taken: Snapshot) -> Iterator[tuple[str, str, str]]:
    data = spec.data
    for name, address, version in (
        ("predictions", data.inference_log, taken.log_version),
        ("labels", data.labels, taken.labels_version),
    ):
        if version is not None:
            yield name, address, f"Delta version {version}"
    if data.history is not None:
        yield "history", data.history, f"SHA-256 {taken.history_sha256}"


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


def _making(told: Evidence) -> Iterator[Block]:
    choice, records = told.records.choice, told.records
    candidate = _candidate(told)
    trials = sum({found.learner: found.trials for found in records.tuning.found}.values())
    params = ", ".join(f"{name} {_number(value)}" for name, value in candidate.params.items())
    search = (
        f"{trials} trials on {records.tuning.folds} folds forward in time, {records.tuning.seconds:.0f} s"
    )
    parity = f"{candidate.parity_difference:.2g} on {candidate.parity_rows:,} rows"
    yield Items(
        (
            f"Search: {search}; seed {told.spec.retrain.search.seed}.",
            f"Learner: {candidate.learner.value}, trained on the window {candidate.window!r}, with {params}.",
            f"Passes: {', '.join(choice.chosen.passes) or 'none; as trained'}. {choice.why}.",
            f"Before the passes, the graph answers as the fitted pipeline does: largest difference {parity}.",
            *_trees(choice.chosen),
        )
    )
    variants = sorted(choice.variants, key=lambda variant: (not variant.chosen, variant.loss))
    rows = (
        (
            variant.name,
            f"{variant.loss:.5f}",
            f"{variant.latency_p50 * 1e6:,.0f}",
            f"{variant.size / 1e3:,.1f}",
            "chosen" if variant.chosen else "; ".join(variant.reasons),
        )
        for variant in variants[:_MOST_VARIANTS]
    )
    yield Table(("variant", "loss", "p50 µs", "kB", "why not"), tuple(rows), numbers=range(1, 4))
    if len(variants) > _MOST_VARIANTS:
        yield Text(f"{_MOST_VARIANTS} of {len(variants)} variants; variants.html has all, and every refusal.")
    if records.found.refused:
        yield Text("Candidates that could not be served:")
        yield Items(tuple(f"{name}: {reason}" for name, reason in records.found.refused.items()))


def _trees(chosen: Variant) -> Iterator[str]:
    if chosen.trees is not None:
        yield f"Trees: {chosen.trees:,} rounds, written short by compact_trees, which changes no sum."


def _costs(told: Evidence) -> Iterator[Block]:
    chosen, within = told.records.choice.chosen, told.spec.optimize.within
    cpu, joules, price = chosen.cpu_per_million, chosen.joules_per_million, chosen.price_per_million
    http = None if chosen.served_p99 is None else chosen.served_p99 * 1e3
    p99 = None if within.latency_p99 is None else f"{within.latency_p99.total_seconds() * 1e3:g} ms"
    budget_cpu = None if within.cpu_per_million is None else f"{within.cpu_per_million.total_seconds():g} s"
    rows = [
        ("size", f"{chosen.size / 1e3:,.1f} kB", _bytes(within.size)),
        ("one row, median", f"{chosen.latency_p50 * 1e6:,.0f} µs", ""),
        ("one row, 99th percentile", f"{chosen.latency_p99 * 1e6:,.0f} µs", p99 or ""),
        ("one request over HTTP, 99th percentile", _measured(http, "{:,.2f} ms"), ""),
        ("requests of 256 rows", _measured(chosen.rows_per_second, "{:,.0f} rows/s"), ""),
        ("cold start of the model server", _measured(chosen.cold_start_seconds, "{:.2f} s"), ""),
        ("memory of the model server", _bytes(chosen.memory) or "not measured", _bytes(within.memory)),
        ("CPU time of a million predictions", _measured(cpu, "{:.3g} s"), budget_cpu or ""),
        ("energy of a million predictions", _measured(joules and joules / _WH, "{:.3g} Wh"), ""),
    ]
    if price is not None:
        currency = told.spec.monitor.cost.currency
        rows.append(("price of a million predictions", f"{price:.3g} {currency}", ""))
    yield Table(("", "this model", "budget"), tuple(rows), numbers=range(1, 3))
    yield Text(
        "Measured in a model server of its own. Energy is the machine's own count where it can be read, else "
        "the power of a busy core and of memory, codecarbon's method; disks, network and the supply's losses "
        "are not in it."
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


def _candidate(told: Evidence) -> Candidate:
    chosen = told.records.choice.chosen
    return next(item for item in told.records.found.candidates if item.onnx == chosen.candidate)


def _interval(found: Estimate) -> str:
    return f"{found.value:.4f} [{found.low:.4f}, {found.high:.4f}]"


def _value(values: Mapping[str, float], name: str) -> str:
    return f"{values[name]:.4f}" if name in values and math.isfinite(values[name]) else ""


def _effect(column: ColumnComparison) -> str:
    return f"{column.effect.value:.3g}" if isinstance(column.effect, Effect) else ""


def _number(value: float | str) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _measured(value: float | None, form: str) -> str:
    return "not measured" if value is None else form.format(value)


def _bytes(value: int | None) -> str:
    return "" if value is None else f"{value / 1e6:,.1f} MB"


def _day(time: datetime) -> str:
    return f"{time:%Y-%m-%d}"


def _time(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M} UTC"
