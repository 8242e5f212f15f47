"""Prepare: freeze the labelled rows of one retrain into a training and a holdout file.

history ─┐
log ⋈ labels known now ─┴▶ one row an id ▶ by time ▶ [window_start … holdout_start … window_end]
                                                      └── training ──┘└── holdout ──┘
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import ArrowException

from monitors import delta, frames, inference_log, labels
from monitors.results import Store
from monitors.triage.evidence import faulty_windows
from retraining.dataset import rows
from retraining.records import Snapshot
from retraining.workspace import Workspace
from spec import DataError, ModelSpec, Problem, Settings, Task, format_duration

TRAIN, HOLDOUT = "train.parquet", "holdout.parquet"
_MIN_HOLDOUT = 50
_HISTORY = "_history"


def snapshot(spec: ModelSpec, settings: Settings, run: str) -> Snapshot:
    """Freeze what is known now; doing it again for the same run replaces it.

    Rows are those of the inference log whose label has arrived by ``settings.clock.now()``, but for windows
    in which the monitors found the data wrong, and those of ``data.history`` up to now. Of two rows with one
    id the logged one counts. The window ends with the newest labelled event.

    Raises
    ------
    DataError
        With all reasons why these rows make no retrain: too few, one class only, nothing to hold out.
    Unavailable
        A table could not be read.
    """
    work = Workspace(settings, run)
    now = settings.clock.now()
    versions = _versions(spec, settings)
    known = _known(spec, settings)
    if known.empty:
        must = "must hold labelled rows"
        raise DataError(
            [Problem(_place(spec, settings), must, "none", "Append labels, or name data.history")]
        )
    end = known[spec.data.time].max().to_pydatetime()
    holdout_start = end - spec.retrain.holdout
    if spec.retrain.window is not None:
        known = known[known[spec.data.time] >= end - spec.retrain.window]
    held = known[spec.data.time] >= holdout_start
    train, holdout = known[~held], known[held]
    problems = list(_problems(spec, settings, train, holdout))
    if problems:
        raise DataError(problems)
    from_history = int(known[_HISTORY].sum())
    files = [_put(work, name, part) for name, part in ((TRAIN, train), (HOLDOUT, holdout))]
    record = Snapshot(
        run=run,
        taken_at=now,
        window_start=train[spec.data.time].min().to_pydatetime(),
        holdout_start=holdout_start,
        window_end=end,
        train_rows=len(train),
        holdout_rows=len(holdout),
        history_rows=from_history,
        base_prediction=_base(spec, train),
        sha256=_hash(files),
        log_version=versions[0],
        labels_version=versions[1],
    )
    work.save(record)
    return record


def load_rows(work: Workspace, name: str) -> pd.DataFrame:
    """Return a file of the snapshot, `TRAIN` or `HOLDOUT`: id, time, target and features, by time."""
    return pd.read_parquet(work.path(name))


def _known(spec: ModelSpec, settings: Settings) -> pd.DataFrame:
    parts = [part for part in (_history(spec, settings), _logged(spec, settings)) if len(part)]
    if not parts:
        return pd.DataFrame()
    everything = pd.concat(parts, ignore_index=True)
    once = everything.drop_duplicates(spec.data.id, keep="last")
    return once.sort_values([spec.data.time, spec.data.id], ignore_index=True)


def _logged(spec: ModelSpec, settings: Settings) -> pd.DataFrame:
    known = labels.read(spec, settings, settings.clock.now())
    log = _sound(spec, settings, inference_log.read(spec, settings))
    joined = inference_log.frame(spec, labels.join(log, known))
    names = {"prediction_id": spec.data.id, "event_time": spec.data.time, "label": spec.data.target.name}
    return _selected(spec, joined.rename(columns=names).dropna(subset=spec.data.target.name), history=False)


def _sound(spec: ModelSpec, settings: Settings, log: pa.Table) -> pa.Table:
    """Leave out the rows that a version answered in windows in which its data were found wrong."""
    with Store(settings.results_url) as store:
        judged = store.history(spec.model, "quality")
    for version in {result.version for result in judged}:
        for window in faulty_windows(result for result in judged if result.version == version):
            low, high = (pa.scalar(time, log["event_time"].type) for time in (window.start, window.end))
            inside = pc.and_(pc.greater_equal(log["event_time"], low), pc.less(log["event_time"], high))
            log = log.filter(pc.invert(pc.and_(inside, pc.equal(log["version"], version))))
    return log


def _history(spec: ModelSpec, settings: Settings) -> pd.DataFrame:
    if spec.data.history is None:
        return pd.DataFrame()
    location = settings.location(spec.data.history)
    try:
        frame = pq.read_table(location).to_pandas()
    except (OSError, ArrowException) as error:
        must, found = "must be a readable Parquet file", " ".join(str(error).split())
        raise DataError([Problem(f"data.history: {location}", must, found)]) from error
    problems = list(_envelope(spec, frame, location))
    if problems:
        raise DataError(problems)
    rows.check(spec, frame, location)
    frame = frame.assign(**{spec.data.time: frame[spec.data.time].dt.tz_convert("UTC").dt.as_unit("us")})
    return _selected(spec, frame[frame[spec.data.time] <= settings.clock.now()], history=True)


def _envelope(spec: ModelSpec, frame: pd.DataFrame, location: str) -> Iterator[Problem]:
    for name in (spec.data.id, spec.data.time):
        if name not in frame:
            known = ", ".join(map(str, frame.columns))
            yield Problem(
                f"{location}: column {name!r}", "must be there", "no such column", f"Known: {known}"
            )
    if spec.data.time in frame and not isinstance(frame[spec.data.time].dtype, pd.DatetimeTZDtype):
        must, found = "must be timestamps with a time zone", str(frame[spec.data.time].dtype)
        yield Problem(f"{location}: column {spec.data.time!r}", must, found)
    for name in {spec.data.id, spec.data.time} & set(frame.columns):
        if frame[name].isna().any():
            found = f"{int(frame[name].isna().sum())} nulls"
            yield Problem(f"{location}: column {name!r}", "must have a value in every row", found)


def _selected(spec: ModelSpec, frame: pd.DataFrame, *, history: bool) -> pd.DataFrame:
    """Bring both sources to the same columns and types, so that they can be one table."""
    chosen = frame[[spec.data.id, spec.data.time, spec.data.target.name, *spec.features]]
    kind = {Task.BINARY: "bool", Task.MULTICLASS: "str", Task.REGRESSION: "float64"}[spec.task]
    typed = chosen.astype({spec.data.id: "str", spec.data.target.name: kind})
    return frames.typed(spec, typed).assign(**{_HISTORY: history})


def _problems(
    spec: ModelSpec, settings: Settings, train: pd.DataFrame, holdout: pd.DataFrame
) -> Iterator[Problem]:
    place = _place(spec, settings)
    span = format_duration(spec.retrain.holdout)
    if len(train) < spec.retrain.min_rows:
        must = f"must hold {spec.retrain.min_rows} labelled rows before the newest {span} (retrain.min_rows)"
        hint = "Wait for labels, shorten retrain.holdout, or widen retrain.window"
        yield Problem(place, must, str(len(train)), hint)
    if len(holdout) < _MIN_HOLDOUT:
        must = f"must hold {_MIN_HOLDOUT} labelled rows in the newest {span} (retrain.holdout)"
        yield Problem(place, must, str(len(holdout)), "Wait for labels, or lengthen retrain.holdout")
    if spec.task is not Task.REGRESSION:
        for name, part in (("training", train), ("holdout", holdout)):
            yield from _absent_classes(spec, part, f"{place}: {name} rows")


def _absent_classes(spec: ModelSpec, part: pd.DataFrame, place: str) -> Iterator[Problem]:
    known = spec.data.target.classes or (False, True)
    absent = [str(value) for value in known if not (part[spec.data.target.name] == value).any()]
    if absent and len(part):
        must = f"must hold every class of {spec.data.target.name!r}"
        yield Problem(place, must, f"no {', no '.join(absent)} in {len(part)} rows")


def _base(spec: ModelSpec, train: pd.DataFrame) -> tuple[float, ...]:
    truth = rows.target(spec, train)
    if spec.task is Task.MULTICLASS:
        shares = np.bincount(np.asarray(truth, "int64"), minlength=len(spec.data.target.classes or ()))
        return tuple(float(share) for share in shares / len(truth))
    return (float(truth.mean()),)


def _versions(spec: ModelSpec, settings: Settings) -> tuple[int | None, int | None]:
    """Versions of the log and the labels just before they are read."""
    tables = [
        delta.open_table(settings.location(path)) for path in (spec.data.inference_log, spec.data.labels)
    ]
    log, truth = (None if table is None else table.version() for table in tables)
    return log, truth


def _put(work: Workspace, name: str, part: pd.DataFrame) -> Path:
    stored = part.drop(columns=_HISTORY).reset_index(drop=True)
    return work.write(name, lambda draft: stored.to_parquet(draft, index=False))


def _hash(files: list[Path]) -> str:
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()


def _place(spec: ModelSpec, settings: Settings) -> str:
    sources = [settings.location(spec.data.inference_log), settings.location(spec.data.labels)]
    if spec.data.history is not None:
        sources.append(settings.location(spec.data.history))
    return f"{spec.model}: {' + '.join(sources)}"
