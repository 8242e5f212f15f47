"""The Delta table of the inference log: spooled records become rows, once each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake
from deltalake.exceptions import DeltaError, TableNotFoundError

from serving.spool import Segment
from spec import ModelSpec
from spec.tables import FEATURE_PREFIX, PARTITION, log_columns

FORMAT = 1
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ARROW = {
    "string": pa.string(),
    "bool": pa.bool_(),
    "double": pa.float64(),
    "timestamp[us, tz=UTC]": pa.timestamp("us", tz="UTC"),
    "list<double>": pa.list_(pa.float64()),
}


def header(spec: ModelSpec, slot: str) -> dict[str, Any]:
    """Return what a segment must say of itself to be read by a later version of the spec."""
    return {"format": FORMAT, "slot": slot, "columns": log_columns(spec)}


def record(  # noqa: PLR0913 - one argument a field of the record
    *,
    ids: Sequence[str],
    event_times: Sequence[int],
    logged_at: int,
    version: str,
    shadow: bool,
    latency_ms: float,
    scores: Sequence[Sequence[float]],
    features: Sequence[Sequence[Any]],
) -> list[Any]:
    """Return one answered request as the spool holds it; times are microseconds since the epoch."""
    return [ids, event_times, logged_at, version, shadow, latency_ms, scores, features]


def rows_of(segment: Segment) -> int:
    """Count the rows of a segment."""
    return sum(len(entry[0]) for entry in segment.records)


def to_arrow(segment: Segment) -> pa.Table:
    """Turn a segment into rows of the log.

    A row's id is made of the segment's name, the record's place and the row's place in it, so reading
    the same segment again gives the same ids.
    """
    types: Mapping[str, str] = segment.header["columns"]
    names = [name for name in types if name.startswith(FEATURE_PREFIX)]
    columns: dict[str, list[Any]] = {name: [] for name in types}
    for place, entry in enumerate(segment.records):
        ids, event_times, logged_at, version, shadow, latency_ms, scores, features = entry
        rows = len(ids)
        columns["row_id"] += [f"{segment.path.stem}-{place}-{row}" for row in range(rows)]
        columns["prediction_id"] += ids
        columns["event_time"] += event_times
        columns["event_date"] += [_date(time) for time in event_times]
        columns["logged_at"] += [logged_at] * rows
        columns["version"] += [version] * rows
        columns["slot"] += [segment.header["slot"]] * rows
        columns["shadow"] += [shadow] * rows
        columns["latency_ms"] += [latency_ms] * rows
        columns["scores"] += scores
        for name, values in zip(names, features, strict=True):
            columns[name] += values
    arrays = [_array(columns[name], kind) for name, kind in types.items()]
    return pa.table(arrays, schema=_schema(types))


class LogTable:
    """Appends segments to one Delta table; several processes may do so at once."""

    def __init__(self, location: str) -> None:
        self._location = location
        self._table: DeltaTable | None = None

    def append(self, segment: Segment) -> int:
        """Commit a segment's rows unless an earlier commit already holds them; return how many.

        The commit carries the segment's boot and number as a Delta application transaction, so a
        process that died between commit and clean-up does not append the rows again.

        Raises
        ------
        DeltaError, OSError
            When the table cannot be read or written; the same call may succeed later.
        """
        rows = to_arrow(segment)
        try:
            table = self._open(rows.schema)
            done = table.transaction_version(segment.boot)
            if done is not None and done >= segment.number:
                return 0
            write_deltalake(
                table,
                rows,
                mode="append",
                schema_mode="merge",
                commit_properties=CommitProperties(
                    app_transactions=[Transaction(segment.boot, segment.number)]
                ),
            )
        except Exception:
            self._table = None
            raise
        return int(rows.num_rows)

    def _open(self, schema: pa.Schema) -> DeltaTable:
        if self._table is not None:
            return self._table
        try:
            self._table = DeltaTable(self._location)
        except TableNotFoundError:
            try:
                self._table = DeltaTable.create(
                    self._location, schema, mode="error", partition_by=[PARTITION]
                )
            except DeltaError:  # the other slot made it in the meantime
                self._table = DeltaTable(self._location)
        return self._table


def _schema(types: Mapping[str, str]) -> pa.Schema:
    return pa.schema([(name, _ARROW[kind]) for name, kind in types.items()])


def _array(values: list[Any], kind: str) -> pa.Array:
    if kind == "double":  # Arrow refuses large whole numbers that a double only approximates
        return pa.array(np.array(values, dtype=np.float64), from_pandas=True)
    return pa.array(values, type=_ARROW[kind])


def _date(microseconds: int) -> str:
    return (_EPOCH + timedelta(microseconds=microseconds)).date().isoformat()
