"""The YAML of a draft, with a comment on each line that a person has to judge."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence

from spec import Task
from trimtab.init.guesses import Draft, Role

_PLAIN = re.compile(r"^[A-Za-z_][A-Za-z0-9_.-]*$")
_WORDS = {"true", "false", "null", "yes", "no", "on", "off", "nan", "inf", "y", "n"}
_BUSY = 200  # rows a day from which a daily window says something
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
        target += f", classes: {_listed(draft.classes)}"
    told = _told(draft.target, "the truth; delay is how long after the event it is known: FILL IN")
    yield f"  target: {{{target}}}  # {told}"


def _features(draft: Draft) -> Iterator[str]:
    yield "features:  # inputs of the model, in its order: numeric, categorical or boolean"
    for name, kind, remark in draft.features:
        yield f"  {scalar(name)}: {kind}{f'  # {remark}' if remark else ''}"
    for name, why in draft.left_out.items():
        yield f"  # {_one_line(name)}: left out: {_one_line(why)}"


def _monitor(draft: Draft) -> Iterator[str]:
    pace = draft.rows_a_day
    window = "1d" if pace is None or pace >= _BUSY else "1w"
    why = "" if pace is None else f"; the data have about {pace:,.0f} rows a day"
    yield "monitor:"
    yield f"  window: {window}  # what is compared with the reference at a time{why}"
    yield "  latency: {p99: 50ms, slo: 99.9%}  # what callers are promised: FILL IN"
    yield "retrain:"
    yield "  learners: [lightgbm]  # also hist_gradient_boosting, random_forest, linear"
    yield "rollout:"
    yield "  steps: [shadow, 5%, 25%, 50%, 100%]  # how a new version earns the traffic"
    yield 'notify: {slack: "#ml-alerts"}  # who is told'


def _role(key: str, role: Role, meaning: str) -> str:
    return f"  {key}: {scalar(role.name)}  # {_told(role, meaning)}"


def _told(role: Role, meaning: str) -> str:
    return f"{role.why}; {meaning}" if role.why else meaning


def scalar(text: str) -> str:
    """Return a string as YAML: bare if it cannot be read as anything else, else quoted."""
    if _PLAIN.fullmatch(text) and text.lower() not in _WORDS:
        return text
    quoted = json.dumps(text, ensure_ascii=False)
    return "".join(sign if sign.isprintable() else f"\\U{ord(sign):08x}" for sign in quoted)


def _listed(values: Sequence[str]) -> str:
    return f"[{', '.join(map(scalar, values))}]"


def _one_line(text: str) -> str:
    """Return a text for a comment: YAML ends a line at more signs than the usual, and refuses others."""
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())
