"""What asked for a retrain, and what rows it had."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from retraining.card.document import Block, Items, Table, Text
from retraining.records import Snapshot
from spec import ModelSpec


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


def _day(time: datetime) -> str:
    return f"{time:%Y-%m-%d}"


def _time(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M} UTC"
