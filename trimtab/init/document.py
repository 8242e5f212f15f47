"""The YAML of a draft, with a comment on each line that a person has to judge."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import timedelta

from spec import Task, format_duration
from trimtab.init.constraints import line, listed, scalar
from trimtab.init.guesses import Draft, Role

ABOUT = (
    "What a right value is, is inferred, and wider than what was seen: LOOK at it. A window that breaks it",
    "is a fault of the data, and not retrained on. A key that you delete is left to a version's reference.",
)
"""What is said above inferred constraints."""

_BUSY = 200  # rows a day from which a daily window says something
_DAYS = {"1d": 1, "1w": 7}
_TENTH = 0.1
_SILENCES = 3  # times the longest silence of the data
_TASKS = {
    Task.BINARY: "true or false: the model gives a probability",
    Task.MULTICLASS: "one of the classes below",
    Task.REGRESSION: "a number",
}


def render(draft: Draft, source: str) -> str:
    """Return the file; `source` is the data's name, for its first line."""
    return "\n".join([*_head(draft, source), *_data(draft), *_features(draft), *_monitor(draft), ""])


def _head(draft: Draft, source: str) -> Iterator[str]:
    made = f"made by `trimtab init` from {_one_line(source)}"
    yield f"# A first draft, {made}. What it guessed is marked: look at it."
    yield "# Everything that is not said here has a default; `trimtab schema` tells all there is."
    yield f"model: {scalar(draft.model)}  # in the registry, the metrics and the URLs"
    yield f"task: {draft.task.value}  # {_TASKS[draft.task]}"


def _data(draft: Draft) -> Iterator[str]:
    yield "data:"
    yield f"  inference_log: {draft.model}/inference  # Delta table of every prediction; a folder, or s3://…"
    yield f"  labels: {draft.model}/labels  # Delta table of the truth: `trimtab labels append`"
    yield f"  # history: {draft.model}/history.parquet  # labelled rows from before the model was served"
    yield _role("id", draft.id, "names a prediction; labels are joined on it")
    yield _role("time", draft.time, "when the event happened, UTC")
    target = f"name: {scalar(draft.target.name)}, delay: 1d"
    if draft.classes:
        target += f", classes: {listed(draft.classes)}"
    told = _told(draft.target, "the truth; delay is how long after the event it is known: FILL IN")
    yield f"  target: {{{target}}}  # {told}"


def _features(draft: Draft) -> Iterator[str]:
    yield "features:  # inputs of the model, in its order: numeric, categorical or boolean"
    if any(stated.nulls is not None for _, _, stated, _ in draft.features):
        yield from (f"  # {text}" for text in ABOUT)
    for name, kind, stated, remark in draft.features:
        yield f"  {line(name, kind, stated, remark)}"
    for name, why in draft.left_out.items():
        yield f"  # {_one_line(name)}: left out: {_one_line(why)}"


def _monitor(draft: Draft) -> Iterator[str]:
    pace = draft.rows_a_day
    window = "1d" if pace is None or pace >= _BUSY else "1w"
    why = "" if pace is None else f"; the data have about {pace:,.0f} rows a day"
    yield "monitor:"
    yield f"  window: {window}  # what is compared with the reference at a time{why}"
    yield from _quality(draft, _DAYS[window])
    yield "  latency: {p99: 50ms, slo: 99.9%}  # what callers are promised: FILL IN"
    yield "retrain:"
    yield "  learners: [lightgbm]  # also xgboost, hist_gradient_boosting, random_forest, linear, mlp"
    yield "rollout:"
    yield "  steps: [shadow, 5%, 25%, 50%, 100%]  # how a new version earns the traffic"
    yield 'notify: {slack: "#ml-alerts"}  # who is told'


def _quality(draft: Draft, days: int) -> Iterator[str]:
    stated = []
    if draft.rows_a_day is not None and (least := math.floor(draft.rows_a_day * days * _TENTH)) > 1:
        stated.append(f"min_rows: {least}")
    if (
        draft.silence is not None
        and (most := _rounded(_SILENCES * draft.silence)) <= timedelta(days=days) / 2
    ):
        stated.append(f"freshness: {format_duration(most)}")
    yield "  quality:"
    if stated:
        why = "a tenth of the usual rows; three times the longest silence"
        yield from (f"    {key}" for key in [f"{stated[0]}  # {why}", *stated[1:]])
    yield "    door: off  # what the server does with a request that breaks a line above: off, flag or reject"


def _rounded(span: timedelta) -> timedelta:
    """Round up to whole minutes, of longer spans to whole hours."""
    unit = timedelta(hours=1) if span > timedelta(hours=2) else timedelta(minutes=1)
    return math.ceil(span / unit) * unit


def _role(key: str, role: Role, meaning: str) -> str:
    return f"  {key}: {scalar(role.name)}  # {_told(role, meaning)}"


def _told(role: Role, meaning: str) -> str:
    return f"{role.why}; {meaning}" if role.why else meaning


def _one_line(text: str) -> str:
    """Return a text for a comment: YAML ends a line at more signs than the usual, and refuses others."""
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())
