"""Where the labelled rows of a retrain come from: the history file, and the inference log with its labels."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import ArrowException

from monitors import frames
from monitors.results.store import Store
from monitors.tables import delta, inference_log, labels
from monitors.triage.evidence import faulty_windows
from retraining.dataset import private, rows
from retraining.records import FaultyWindow
from spec import DataError, ModelSpec, Problem, Settings, Task

HISTORY = "_history"
"""Column of `read`: whether a row came from the history file."""


@dataclass(frozen=True, slots=True)
class State:
    """What the sources hold at one moment, so that the same rows can be read again.

    Parameters
    ----------
    taken_at
        Processing time; labels that arrived later are not known.
    log_version, labels_version
        Versions of the Delta tables; None where there is no such table.
    history_sha256
        Hash of the history file; None where the spec names none.
    excluded
        Windows whose rows do not count because their data were found wrong.
    """

    taken_at: datetime
    log_version: int | None
    labels_version: int | None
    history_sha256: str | None
    excluded: tuple[FaultyWindow, ...]

    @classmethod
    def now(cls, spec: ModelSpec, settings: Settings) -> State:
        """Return the state of this moment."""
        log, known = (
            delta.open_table(settings.location(path)) for path in (spec.data.inference_log, spec.data.labels)
        )
        return cls(
            taken_at=settings.clock.now(),
            log_version=None if log is None else log.version(),
            labels_version=None if known is None else known.version(),
            history_sha256=_hash(spec, settings),
            excluded=tuple(_faulty(spec, settings)),
        )


def read(spec: ModelSpec, settings: Settings, state: State) -> pd.DataFrame:
    """Return the labelled rows as they were known, by time, each id once: a logged row beats the file's.

    Columns are id, time, target, the features and `HISTORY`.

    Raises
    ------
    DataError
        The history file is not there, not readable, not what the spec says, or no longer the same.
    Unavailable
        A table could not be read, or no longer holds the version that is asked for.
    """
    parts = [part for part in (_history(spec, settings, state), _logged(spec, settings, state)) if len(part)]
    if not parts:
        return pd.DataFrame()
    everything = pd.concat(parts, ignore_index=True)
    once = everything.drop_duplicates(spec.data.id, keep="last")
    return once.sort_values([spec.data.time, spec.data.id], ignore_index=True)


def place(spec: ModelSpec, settings: Settings) -> str:
    """Name the sources for an error about their rows."""
    sources = [settings.location(spec.data.inference_log), settings.location(spec.data.labels)]
    if spec.data.history is not None:
        sources.append(settings.location(spec.data.history))
    return f"{spec.model}: {' + '.join(sources)}"


def _logged(spec: ModelSpec, settings: Settings, state: State) -> pd.DataFrame:
    if state.log_version is None or state.labels_version is None:
        return pd.DataFrame()
    known = labels.read(spec, settings, state.taken_at, at=state.labels_version)
    log = _sound(inference_log.read(spec, settings, at=state.log_version), state.excluded)
    joined = inference_log.frame(spec, labels.join(log, known))
    if problems := list(private.foreign(spec, settings, joined)):
        raise DataError(problems)
    names = {"prediction_id": spec.data.id, "event_time": spec.data.time, "label": spec.data.target.name}
    return _selected(spec, joined.rename(columns=names).dropna(subset=spec.data.target.name), history=False)


def _sound(log: pa.Table, excluded: tuple[FaultyWindow, ...]) -> pa.Table:
    for window in excluded:
        low, high = (pa.scalar(time, log["event_time"].type) for time in (window.start, window.end))
        inside = pc.and_(pc.greater_equal(log["event_time"], low), pc.less(log["event_time"], high))
        log = log.filter(pc.invert(pc.and_(inside, pc.equal(log["version"], window.version))))
    return log


def _faulty(spec: ModelSpec, settings: Settings) -> Iterator[FaultyWindow]:
    """Find the windows in which the data that a version answered were wrong."""
    with Store(settings.results_url) as store:
        judged = store.history(spec.model, "quality")
    for version in sorted({result.version for result in judged}):
        for window in faulty_windows(result for result in judged if result.version == version):
            yield FaultyWindow(version=version, start=window.start, end=window.end)


def _hash(spec: ModelSpec, settings: Settings) -> str | None:
    if spec.data.history is None:
        return None
    location = settings.location(spec.data.history)
    try:
        with open(location, "rb") as file:  # noqa: PTH123 - a location is a text: it may be a URL
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise _unreadable(location, error) from error


def _history(spec: ModelSpec, settings: Settings, state: State) -> pd.DataFrame:
    if spec.data.history is None:
        return pd.DataFrame()
    location = settings.location(spec.data.history)
    if _hash(spec, settings) != state.history_sha256:
        must, hint = "must be the file that the snapshot was taken of", "Put the old file back"
        raise DataError([Problem(f"data.history: {location}", must, "another content", hint)])
    try:
        frame = pq.read_table(location).to_pandas()
    except (OSError, ArrowException) as error:
        raise _unreadable(location, error) from error
    problems = list(_envelope(spec, frame, location))
    if problems:
        raise DataError(problems)
    rows.check(spec, frame, location)
    if problems := list(_known_too_late(spec, frame, location)):
        raise DataError(problems)
    frame = frame.assign(**{spec.data.time: frame[spec.data.time].dt.tz_convert("UTC").dt.as_unit("us")})
    known = private.tokenized(spec, settings, frame[frame[spec.data.time] <= state.taken_at])
    return _selected(spec, known, history=True)


def _unreadable(location: str, error: Exception) -> DataError:
    must, found = "must be a readable Parquet file", " ".join(str(error).split())
    return DataError([Problem(f"data.history: {location}", must, found)])


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


def _known_too_late(spec: ModelSpec, frame: pd.DataFrame, location: str) -> Iterator[Problem]:
    """Find the features that some rows knew only after they were predicted."""
    for name, feature in spec.features.items():
        if feature.known_at is None:
            continue
        place = f"{location}: column {feature.known_at!r} (features.{name}.known_at)"
        if feature.known_at not in frame:
            yield Problem(place, "must be there", "no such column")
        elif not isinstance(frame[feature.known_at].dtype, pd.DatetimeTZDtype):
            must, found = "must be timestamps with a time zone", str(frame[feature.known_at].dtype)
            yield Problem(place, must, found)
        elif late := int((frame[feature.known_at] > frame[spec.data.time]).sum()):
            must = f"must not be after {spec.data.time!r}"
            hint = f"A model that is asked then does not have {name!r} yet; take it out of the features"
            yield Problem(place, must, f"{late} of {len(frame)} rows are", hint)


def _selected(spec: ModelSpec, frame: pd.DataFrame, *, history: bool) -> pd.DataFrame:
    """Bring both sources to the same columns and types, so that they can be one table."""
    chosen = frame[[spec.data.id, spec.data.time, spec.data.target.name, *spec.features]]
    kind = {Task.BINARY: "bool", Task.MULTICLASS: "str", Task.REGRESSION: "float64"}[spec.task]
    typed = chosen.astype({spec.data.id: "str", spec.data.target.name: kind})
    return frames.typed(spec, typed).assign(**{HISTORY: history})
