"""Read the inference log: what was asked, what was answered, by which version."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import reduce
from operator import and_

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pds

from monitors import frames
from monitors.tables import delta
from monitors.windows import counts_of
from spec.errors import Problem, RequestError
from spec.model import ModelSpec
from spec.settings import Settings
from spec.tables import FEATURE_PREFIX, PARTITION, log_columns

_TICK = timedelta(microseconds=1)
_DAYS_A_LOOK = 7
Files = dict[str, dict[str, str]]
Seen = Mapping[str, Mapping[datetime, int]]
"""The rows of each file of a log by the start of their window."""


def read(  # noqa: PLR0913 - keywords that narrow what is read
    spec: ModelSpec,
    settings: Settings,
    start: datetime | None = None,
    end: datetime | None = None,
    *,
    shadow: bool | None = False,
    version: str | None = None,
    columns: Sequence[str] | None = None,
    at: int | None = None,
) -> pa.Table:
    """Read the rows with event time in ``[start, end)``, each once, oldest commit first.

    Only the partitions of the asked days are opened. A log that does not exist yet has no rows.

    Parameters
    ----------
    start, end
        Timezone-aware; None leaves that side open.
    shadow
        False: live answers; True: mirrored ones; None: both.
    version
        Only this version's answers.
    columns
        Some of ``log_columns(spec)``; by default all, in that order.
    at
        Version of the table; None for the newest.

    Raises
    ------
    DataError
        The stored columns are not those of the spec.
    Unavailable
        The storage did not answer, or does not keep that version any more.
    """
    schema = delta.schema_of(log_columns(spec))
    wanted = list(columns) if columns is not None else schema.names
    location = settings.location(spec.data.inference_log)
    table = delta.open_table(location) if at is None else delta.open_version(location, at)
    rows = delta.scan(
        table,
        location,
        schema,
        columns=list(dict.fromkeys([*wanted, "row_id"])),
        files=_of_days(delta.files_of(table), start, end),
        where=_rows(start, end, shadow=shadow, version=version),
    )
    once = first_of_each(rows["row_id"])
    return (rows if len(once) == rows.num_rows else rows.take(once)).select(wanted)


def changes(
    spec: ModelSpec, settings: Settings, seen: Seen | None = None
) -> tuple[Seen, frozenset[datetime]]:
    """Find which windows got rows since the last look, by reading the files that are new.

    Serving merges small files into new ones now and then. That moves rows and brings none, so a window
    is told by the number of its rows and not by the files that hold them. A day that is gone as a whole has
    outlived `data.retention`: nothing is to be computed anew.

    Parameters
    ----------
    seen
        What the last look returned; None for the first one.

    Returns
    -------
    seen
        To be handed to the next look: the files of the log by name, each with its rows by window start.
    touched
        Starts of the windows of `spec.monitor.window` with another number of rows, live or shadow.
    """
    location = settings.location(spec.data.inference_log)
    table = delta.open_table(location)
    files = delta.files_of(table)
    known = seen or {}
    new = {path: partition for path, partition in files.items() if path not in known}
    found: dict[str, Counter[datetime]] = {path: Counter() for path in new}
    schema = delta.schema_of(log_columns(spec))
    for path, batch in delta.scan_each(table, location, schema, columns=["event_time"], files=new):
        found[path].update(counts_of(batch["event_time"], spec.monitor.window))
    change: Counter[datetime] = Counter()
    for counts in found.values():
        change.update(counts)
    days = {partition[PARTITION] for partition in files.values()}
    for path in known.keys() - files.keys():
        if _day_of(path) in days:
            change.subtract(known[path])
    kept = {path: known[path] for path in known.keys() & files.keys()}
    return {**kept, **found}, frozenset(start for start, rows in change.items() if rows)


def times_of(spec: ModelSpec, settings: Settings, ids: pa.Array | pa.ChunkedArray) -> pa.Table:
    """Find the live rows of some predictions: columns `prediction_id` and `event_time`, one row an answer.

    The newest days are looked at first and the search ends when every id was found, so that asking
    for yesterday's predictions does not read last year's.
    """
    schema = delta.schema_of(log_columns(spec))
    location = settings.location(spec.data.inference_log)
    table = delta.open_table(location)
    columns = ["prediction_id", "event_time"]
    parts = [schema.empty_table().select(columns)]
    missing = pc.unique(ids)
    files = delta.files_of(table)
    days = sorted({partition[PARTITION] for partition in files.values()}, reverse=True)
    for look in range(0, len(days), _DAYS_A_LOOK):
        if not len(missing):
            break
        here = _between(files, days[look : look + _DAYS_A_LOOK][-1], days[look])
        where = pds.field("prediction_id").isin(missing) & ~pds.field("shadow")
        found = delta.scan(table, location, schema, columns=columns, files=here, where=where)
        parts.append(found)
        matched = pc.is_in(missing, value_set=found["prediction_id"].combine_chunks())
        missing = missing.filter(pc.invert(matched))
    return pa.concat_tables(parts)


def frame(spec: ModelSpec, log: pa.Table) -> pd.DataFrame:
    """Turn log rows into what monitors compare: each feature by its plain name in the spec's dtype.

    Columns of `log` other than `scores` stay. `prediction` (float64), made from `scores`, is P(positive) of a
    binary model, the value of a regression, the index of the most probable class of a multiclass one.
    """
    names = {FEATURE_PREFIX + name: name for name in spec.features}
    plain = log.rename_columns([names.get(name, name) for name in log.column_names])
    if "scores" not in plain.column_names:
        return frames.typed(spec, plain)
    rows = frames.typed(spec, plain.drop_columns("scores"))
    rows["prediction"] = frames.prediction(spec, log["scores"])
    return rows


def inputs(spec: ModelSpec, log: pa.Table) -> pa.Table:
    """Return the features of log rows by their plain names, and `prediction` as of `frame`."""
    names = list(spec.logged.features)
    plain = log.select([FEATURE_PREFIX + name for name in names]).rename_columns(names)
    return plain.append_column(
        "prediction", pa.array(frames.prediction(spec, log["scores"]), from_pandas=True)
    )


def first_of_each(keys: pa.Array | pa.ChunkedArray) -> npt.NDArray[np.int64]:
    """Return the positions, rising, at which a key occurs for the first time; null is a key too."""
    encoded = keys.combine_chunks() if isinstance(keys, pa.ChunkedArray) else keys
    codes = pc.dictionary_encode(encoded, null_encoding="encode").indices.to_numpy()
    highest = np.maximum.accumulate(codes) if len(codes) else codes
    # codes are given in the order of first occurrence, so a key is new where the highest code rises
    return np.flatnonzero(np.diff(highest, prepend=-1) > 0)


def _day_of(path: str) -> str:
    return path.rpartition(f"{PARTITION}=")[2].partition("/")[0]


def _of_days(files: Files, start: datetime | None, end: datetime | None) -> Files:
    first = "" if start is None else f"{_utc('start', start):%Y-%m-%d}"
    last = "9999" if end is None else f"{_utc('end', end) - _TICK:%Y-%m-%d}"
    return _between(files, first, last)


def _between(files: Files, first: str, last: str) -> Files:
    return {path: part for path, part in files.items() if first <= part[PARTITION] <= last}


def _rows(
    start: datetime | None, end: datetime | None, *, shadow: bool | None, version: str | None
) -> pds.Expression | None:
    wanted = []
    time = pds.field("event_time")
    if start is not None:
        wanted.append(time >= pa.scalar(start, pa.timestamp("us", "UTC")))
    if end is not None:
        wanted.append(time < pa.scalar(end, pa.timestamp("us", "UTC")))
    if shadow is not None:
        wanted.append(pds.field("shadow") == shadow)
    if version is not None:
        wanted.append(pds.field("version") == version)
    return reduce(and_, wanted) if wanted else None


def _utc(name: str, time: datetime) -> datetime:
    if time.tzinfo is None:
        raise RequestError([Problem(name, "must be a timezone-aware time", time.isoformat())])
    return time.astimezone(UTC)
