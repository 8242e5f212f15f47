"""The ground truth as it arrives: appended, corrected by later rows, read as it was known at any time."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pds

from monitors.tables import delta, inference_log, label_input
from monitors.windows import starts_of
from spec.errors import DataError, Problem
from spec.model import ModelSpec
from spec.settings import Settings
from spec.tables import label_columns


@dataclass(frozen=True, slots=True)
class AppendReport:
    """What an append did: `rows` labels were written to `location`, all with the time `arrived_at`."""

    model: str
    rows: int
    location: str
    arrived_at: datetime


def append(
    spec: ModelSpec, settings: Settings, data: label_input.Labels, *, check_ids: bool = False
) -> AppendReport:
    """Append labels; all of them, or none if anything is wrong.

    Several processes may append at once. A label for a prediction that has one is a correction: it is
    what is read from its arrival on. The arrival is the processing time of `settings.clock`.

    Parameters
    ----------
    data
        A pyarrow Table, a pandas DataFrame, or the path of a Parquet or CSV file; see `label_input.parse`.
    check_ids
        Refuse ids that the inference log does not have.

    Raises
    ------
    DataError
        With every problem of the data; nothing was written.
    Unavailable
        The storage did not take the labels.
    """
    labels, problems = label_input.parse(spec, data)
    if check_ids:
        problems += _unknown(spec, settings, labels["prediction_id"].drop_null())
    if problems:
        raise DataError(problems)
    location = settings.location(spec.data.labels)
    report = AppendReport(spec.model, labels.num_rows, location, settings.clock.now())
    if labels.num_rows:
        schema = delta.schema_of(label_columns(spec))
        arrived = pa.repeat(pa.scalar(report.arrived_at, schema.field("arrived_at").type), labels.num_rows)
        delta.append(location, labels.append_column("arrived_at", arrived).cast(schema))
    return report


def read(
    spec: ModelSpec,
    settings: Settings,
    as_of: datetime | None = None,
    *,
    ids: pa.Array | pa.ChunkedArray | None = None,
    at: int | None = None,
) -> pa.Table:
    """Read the label of each prediction as it was known: the last to arrive at or before `as_of`.

    Columns as `label_columns(spec)`, one row a prediction. Of two that arrived at the same time the
    later commit counts. A table that does not exist yet has no rows.

    Parameters
    ----------
    as_of
        Processing time, timezone-aware; None for all that is known.
    ids
        Only these predictions.
    at
        Version of the table; None for the newest.
    """
    location = settings.location(spec.data.labels)
    schema = delta.schema_of(label_columns(spec))
    known = _known(as_of, ids)
    table = delta.open_table(location) if at is None else delta.open_version(location, at)
    rows = delta.scan(table, location, schema, where=known)
    return rows.take(last_of_each(rows["prediction_id"], rows["arrived_at"]))


def join(log: pa.Table, labels: pa.Table, columns: Sequence[str] = ("label",)) -> pa.Table:
    """Return the rows of a log whose prediction has a label, beside the label, in the log's order.

    A prediction that was answered several times counts once, with its last answer by `logged_at`; its
    live and its mirrored answer are two.

    Parameters
    ----------
    log
        Needs `prediction_id` and `logged_at`; where `shadow` is there, live and mirrored rows may be mixed.
    labels
        As `read` returns them.
    columns
        Those of `labels` that the result has beside the log's.
    """
    keys = log["prediction_id"]
    if "shadow" in log.column_names:
        keys = pc.binary_join_element_wise(pc.if_else(log["shadow"], "shadow", "live"), keys, " ")
    answers = log.take(np.sort(last_of_each(keys, log["logged_at"])))
    found = pc.index_in(answers["prediction_id"], value_set=labels["prediction_id"].combine_chunks())
    for name in columns:
        answers = answers.append_column(name, labels[name].take(found))
    return answers.filter(pc.is_valid(found))


def changes(
    spec: ModelSpec, settings: Settings, seen: Collection[str] | None = None
) -> tuple[frozenset[str], frozenset[datetime]]:
    """Find which windows got labels since the last look: those in which the labelled predictions were made.

    Parameters and return value as `inference_log.changes`, but that `seen` is just the names of the files:
    nothing merges those of labels. A label whose prediction is not in the log touches nothing; should the
    prediction come later, the log's own changes name its window.
    """
    location = settings.location(spec.data.labels)
    table = delta.open_table(location)
    files = delta.files_of(table)
    known = frozenset(seen or ())
    new = {path: partition for path, partition in files.items() if path not in known}
    schema = delta.schema_of(label_columns(spec))
    ids = delta.scan(table, location, schema, columns=["prediction_id"], files=new)["prediction_id"]
    if not len(ids):
        return frozenset(files), frozenset()
    times = inference_log.times_of(spec, settings, ids.combine_chunks())["event_time"]
    return frozenset(files), starts_of(times, spec.monitor.window)


def last_of_each(keys: pa.ChunkedArray, times: pa.ChunkedArray) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Return the position of the last row of each key by time; of equal times, the later row."""
    by_time = np.argsort(times.cast(pa.int64()).to_numpy(), kind="stable")[::-1]
    return np.asarray(by_time[inference_log.first_of_each(keys.take(pa.array(by_time)))], dtype=np.int64)


def _known(as_of: datetime | None, ids: pa.Array | pa.ChunkedArray | None) -> pds.Expression | None:
    known = None
    if as_of is not None:
        known = pds.field("arrived_at") <= pa.scalar(as_of, pa.timestamp("us", "UTC"))
    if ids is not None:
        wanted = pds.field("prediction_id").isin(pc.unique(ids))
        known = wanted if known is None else known & wanted
    return known


def _unknown(spec: ModelSpec, settings: Settings, ids: pa.ChunkedArray) -> list[Problem]:
    wanted = ids.combine_chunks()
    found = inference_log.times_of(spec, settings, wanted)["prediction_id"].combine_chunks()
    unknown = wanted.filter(pc.invert(pc.is_in(wanted, value_set=found)))
    if not len(unknown):
        return []
    must = f"must name predictions of the inference log {settings.location(spec.data.inference_log)}"
    return [Problem(f"labels: {spec.data.id}", must, label_input.first_few(unknown))]
