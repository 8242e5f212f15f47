"""Prepare: freeze the labelled rows of one retrain into a training and a holdout file.

history ─┐
log ⋈ labels known now ─┴▶ one row an id ▶ by time ▶ [window_start … gap … holdout_start … window_end]
                                                      └─ training ─┘       └──── holdout ────┘
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd

from monitors.results.store import Store
from monitors.triage import episodes
from monitors.triage.records import Action
from retraining.dataset import duplicates, leakage, resolution, rows, sources
from retraining.dataset.stored import HOLDOUT, TRAIN
from retraining.records import Snapshot
from retraining.workspace import Workspace
from spec import DataError, ModelSpec, Problem, Settings, Task, format_duration

_MIN_HOLDOUT = 50


def prepare(spec: ModelSpec, settings: Settings, run: str, *, again: Snapshot | None = None) -> Snapshot:
    """Freeze what is known now; doing it again for the same run replaces it.

    Rows are those of the inference log whose label has arrived by ``settings.clock.now()``, but for windows
    in which the monitors found the data wrong, and those of ``data.history`` up to now. Of two rows with one
    id the logged one counts. The window ends with the newest labelled event. Between training and holdout
    lies the delay of the labels.

    Parameters
    ----------
    again
        A snapshot of an earlier run, whose very rows are to be frozen once more.

    Raises
    ------
    DataError
        With all reasons why these rows make no retrain: too few, one class only, nothing to hold out, a
        feature that was not known yet. Of `again`: the sources no longer give the same rows.
    Unavailable
        A table could not be read.
    """
    _refuse_dropped(spec)
    work = Workspace(settings, run)
    state = sources.State.now(spec, settings) if again is None else _state(again)
    known = sources.read(spec, settings, state)
    place = sources.place(spec, settings)
    if known.empty:
        must = "must hold labelled rows"
        raise DataError([Problem(place, must, "none", "Append labels, or name data.history")])
    rows.check(spec, known, place)
    copied = duplicates.copies(spec, known)
    parts = _cut(spec, known[~copied])
    if problems := list(_problems(spec, place, parts)):
        raise DataError(problems)
    suspects = leakage.suspects(spec, parts.train)
    if suspects and spec.retrain.leakage == "refuse":
        raise DataError(list(_leaks(place, suspects)))
    files = [_put(work, name, part) for name, part in ((TRAIN, parts.train), (HOLDOUT, parts.holdout))]
    onset, old_weight = _change(spec, settings) if again is None else (again.onset, again.old_weight)
    record = Snapshot(
        run=run,
        **asdict(state),
        window_start=parts.train[spec.data.time].min().to_pydatetime(),
        holdout_start=parts.holdout_start,
        window_end=parts.end,
        train_rows=len(parts.train),
        holdout_rows=len(parts.holdout),
        gap_rows=parts.gap,
        history_rows=int(known[sources.HISTORY].sum()),
        copies=int(copied.sum()),
        onset=onset,
        old_weight=old_weight,
        suspects=suspects,
        base_prediction=_base(spec, parts.train),
        sha256=_hash(files),
    )
    if again is not None:
        _refuse_other_rows(place, record, again)
    work.save(record)
    return record


def _refuse_dropped(spec: ModelSpec) -> None:
    if spec.dropped:
        must = "must be in the log for a retrain to learn from them"
        hint = "Say private: tokenize of them, or take them out of the features"
        found = "private: drop"
        raise DataError([Problem(f"features: {', '.join(spec.dropped)}", must, found, hint)])


def _refuse_other_rows(place: str, record: Snapshot, again: Snapshot) -> None:
    if record.sha256 != again.sha256:
        must, hint = f"must give the rows of the snapshot of run {again.run!r}", "Has the spec changed since?"
        raise DataError([Problem(place, must, "other rows", hint)])


@dataclass(frozen=True, slots=True)
class _Parts:
    train: pd.DataFrame
    holdout: pd.DataFrame
    gap: int
    holdout_start: datetime
    end: datetime


def _cut(spec: ModelSpec, known: pd.DataFrame) -> _Parts:
    times = known[spec.data.time]
    end = times.max().to_pydatetime()
    if spec.retrain.window is not None:
        known = known[times >= end - spec.retrain.window]
        times = known[spec.data.time]
    start = end - spec.retrain.holdout
    held, learnt = times >= start, times < start - spec.data.target.delay
    return _Parts(known[learnt], known[held], int((~held & ~learnt).sum()), start, end)


def _state(taken: Snapshot) -> sources.State:
    return sources.State(
        taken.taken_at, taken.log_version, taken.labels_version, taken.history_sha256, taken.excluded
    )


def _change(spec: ModelSpec, settings: Settings) -> tuple[datetime | None, float]:
    """Return when the change began that the triage wants retrained away, and how much older rows count."""
    with Store(settings.results_url) as store:
        decided = episodes.latest(store, spec.model)
    if decided is None or decided.action is not Action.RETRAIN or decided.training is None:
        return None, 1.0
    return decided.onset, 0.0 if decided.training.start is not None else decided.training.old_weight


def _problems(spec: ModelSpec, place: str, parts: _Parts) -> Iterator[Problem]:
    span = format_duration(spec.retrain.holdout)
    if len(parts.train) < spec.retrain.min_rows:
        must = f"must hold {spec.retrain.min_rows} labelled rows before the newest {span} (retrain.min_rows)"
        hint = "Wait for labels, shorten retrain.holdout, or widen retrain.window"
        yield Problem(place, must, str(len(parts.train)), hint)
    if len(parts.holdout) < _MIN_HOLDOUT:
        must = f"must hold {_MIN_HOLDOUT} labelled rows in the newest {span} (retrain.holdout)"
        yield Problem(place, must, str(len(parts.holdout)), "Wait for labels, or lengthen retrain.holdout")
    yield from resolution.blurred(spec, parts.train, place)
    yield from _nothing_to_learn(spec, parts.train, f"{place}: training rows")
    if spec.task is not Task.REGRESSION:
        least = spec.retrain.min_class_rows
        yield from _rare_classes(spec, parts.train, f"{place}: training rows", least)
        yield from _rare_classes(spec, parts.holdout, f"{place}: holdout rows", 1)


def _nothing_to_learn(spec: ModelSpec, train: pd.DataFrame, place: str) -> Iterator[Problem]:
    if train.empty:
        return
    if train[list(spec.features)].isna().all(axis=None):
        yield Problem(place, "must hold a value of some feature", "nulls in all of them")
    name = spec.data.target.name
    if spec.task is Task.REGRESSION and (train[name] == train[name].iloc[0]).all():
        must = f"must hold more than one value of {name!r}"
        yield Problem(place, must, f"{train[name].iloc[0]:g} in all {len(train)} rows")


def _rare_classes(spec: ModelSpec, part: pd.DataFrame, place: str, least: int) -> Iterator[Problem]:
    if part.empty:
        return
    name = spec.data.target.name
    counts = {value: int((part[name] == value).sum()) for value in spec.data.target.classes or (False, True)}
    rare = {value: count for value, count in counts.items() if count < least}
    if rare:
        need = "every class" if least == 1 else f"{least} rows of every class (retrain.min_class_rows)"
        found = ", ".join(f"{count or 'no'} {value}" for value, count in rare.items())
        yield Problem(place, f"must hold {need} of {name!r}", f"{found} in {len(part)} rows")


def _leaks(place: str, suspects: dict[str, float]) -> Iterator[Problem]:
    for name, score in suspects.items():
        must = "must not tell the truth alone (retrain.leakage)"
        hint = "Is it known before the prediction? Take it out of the features, or say retrain.leakage: tell"
        yield Problem(f"{place}: column {name!r}", must, f"it explains {score:.3f} of 1", hint)


def _base(spec: ModelSpec, train: pd.DataFrame) -> tuple[float, ...]:
    truth = rows.target(spec, train)
    if spec.task is Task.MULTICLASS:
        shares = np.bincount(np.asarray(truth, "int64"), minlength=len(spec.data.target.classes or ()))
        return tuple(float(share) for share in shares / len(truth))
    return (float(truth.mean()),)


def _put(work: Workspace, name: str, part: pd.DataFrame) -> Path:
    stored = part.drop(columns=sources.HISTORY).reset_index(drop=True)
    return work.write(name, lambda draft: stored.to_parquet(draft, index=False))


def _hash(files: list[Path]) -> str:
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()
