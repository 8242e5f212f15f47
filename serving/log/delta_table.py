"""The Delta table of the inference log: spooled rows become a table's rows, once each."""

from __future__ import annotations

import re

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError, SchemaMismatchError, TableNotFoundError

from serving.log.packing import FORMAT
from serving.log.spool import Segment
from serving.log.unpacking import unpack
from serving.log.upkeep import Upkeep
from spec import Refused
from spec.tables import PARTITION, TIMESTAMP

_MOST_CONFLICTS = 4
_CONFIGURATION = {
    "delta.dataSkippingStatsColumns": "event_time",  # statistics of every feature make a commit slow
    "delta.deletedFileRetentionDuration": "interval 1 days",
}
_FOR_GOOD = re.compile(
    r"cast error|unsupported cast|cannot cast|schema error|cannot merge|failed to merge", re.IGNORECASE
)
_ARROW = {
    "string": pa.string(),
    "bool": pa.bool_(),
    "double": pa.float64(),
    TIMESTAMP: pa.timestamp("us", tz="UTC"),
    "list<double>": pa.list_(pa.float64()),
}


def to_arrow(segment: Segment) -> pa.Table:
    """Turn a segment of at least one row into rows of the log; the partition follows from the event time.

    Raises
    ------
    ArrowInvalid, ValueError
        It holds something else, or is of another format.
    """
    if segment.header["format"] != FORMAT:
        message = f"its format is {segment.header['format']}, and this version reads {FORMAT}"
        raise ValueError(message)
    types = {name: _ARROW[kind] for name, kind in segment.header["columns"].items()}
    found = unpack(segment.records, types)
    date = found["event_time"].cast(pa.timestamp("us")).cast(pa.date32()).cast(pa.string())
    columns = [date if name == PARTITION else found[name].cast(kind) for name, kind in types.items()]
    return pa.table(columns, schema=pa.schema(list(types.items())))


class LogTable:
    """Appends segments to one Delta table; several processes may do so at once.

    A commit a second makes many small files, and with them every later commit and read slower; see `Upkeep`
    for what is done about it.
    """

    def __init__(self, location: str, upkeep: Upkeep) -> None:
        self._location = location
        self._upkeep = upkeep
        self._table: DeltaTable | None = None

    def append(self, segment: Segment) -> int:
        """Commit a segment's rows unless an earlier commit already holds them; return how many.

        The commit carries the segment's boot and number as a Delta application transaction, so a
        process that died between commit and clean-up does not append the rows again.

        Raises
        ------
        Refused
            When the table never takes these rows, as of a feature whose type has changed.
        DeltaError, OSError
            When the table cannot be read or written; the same call may succeed later.
        """
        try:
            rows = to_arrow(segment)
        except (
            pa.ArrowInvalid,
            pa.ArrowTypeError,
            pa.ArrowNotImplementedError,
            ValueError,
            TypeError,
        ) as error:
            msg = f"The rows cannot be read back: {error}"
            raise Refused(msg) from error
        return int(rows.num_rows) if self._append(rows, segment) else 0

    def _append(self, rows: pa.Table, segment: Segment, conflicts: int = 0) -> bool:
        """Commit rows; say whether they were missing."""
        transaction = Transaction(segment.boot, segment.number)
        try:
            table = self._open(rows.schema)
            before = table.version()
            done = table.transaction_version(segment.boot)
            if done is not None and done >= segment.number:
                return False
            properties = CommitProperties(app_transactions=[transaction])
            write_deltalake(table, rows, mode="append", schema_mode="merge", commit_properties=properties)
        except CommitFailedError:  # the other slot made or widened the table at this very moment
            self._table = None
            if conflicts == _MOST_CONFLICTS:
                raise
            return self._append(rows, segment, conflicts + 1)
        except Exception as error:
            self._table = None
            # A cast that fails is a bare Exception in deltalake: only its words tell it from a bad network.
            if isinstance(error, SchemaMismatchError) or _FOR_GOOD.search(str(error)):
                msg = f"The table {self._location} does not take the rows: {error}"
                raise Refused(msg) from error
            raise
        self._upkeep.after_commit(table, before)
        return True

    def _open(self, schema: pa.Schema) -> DeltaTable:
        if self._table is not None:
            return self._table
        try:
            self._table = DeltaTable(self._location)
        except TableNotFoundError:
            try:
                self._table = DeltaTable.create(
                    self._location,
                    schema,
                    mode="error",
                    partition_by=[PARTITION],
                    configuration=_CONFIGURATION,
                )
            except DeltaError:  # the other slot made it in the meantime
                self._table = DeltaTable(self._location)
        return self._table
