"""Keep the inference log's table quick to read and no older than it may be, without a job of its own.

Which commit has to do it follows from the table's version, which all writers share and which survives
restarts: the one that passes a multiple of `compact_every`. So it happens as often on a server that lives for
a minute as on one that lives for a year. Readers keep the snapshot that they have for at least a day.
"""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass
from datetime import timedelta

import pyarrow as pa
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from spec import Clock
from spec.tables import PARTITION

_logger = logging.getLogger(__name__)

_FULL_BYTES = 8 * 2**20
_MOST_DAYS = 32


@dataclass(frozen=True, slots=True)
class Upkeep:
    """What is done to a table now and then.

    Parameters
    ----------
    clock
        Tells how old a day is.
    retention
        Days that ended longer ago are deleted whole; None keeps all.
    compact_every, vacuum_every
        Versions of the table between two merges of small files, and between two deletions of files that no
        version of the last day needs.
    """

    clock: Clock
    retention: timedelta | None = None
    compact_every: int = 64
    vacuum_every: int = 1024

    def after_commit(self, table: DeltaTable, before: int) -> None:
        """Do what is due once a commit has brought the table from version `before` to its own.

        What another writer does at the same moment is left to it.
        """
        now = table.version()
        if before // self.compact_every == now // self.compact_every:
            return
        try:
            self._delete_old(table)
            self._compact(table)
            if before // self.vacuum_every != now // self.vacuum_every:
                table.vacuum(dry_run=False)
        except DeltaError as error:  # another slot does the same; nothing is lost by not doing it
            _logger.info("no upkeep this time: %s", error)

    def _delete_old(self, table: DeltaTable) -> None:
        if self.retention is None:
            return
        oldest = f"{self.clock.now() - self.retention:%Y-%m-%d}"
        if old := sorted({day for day, _ in _files(table) if day < oldest}):
            table.delete(f"{PARTITION} < '{oldest}'")
            _logger.info("deleted %d days of the inference log before %s", len(old), oldest)

    def _compact(self, table: DeltaTable) -> None:
        """Merge the small files of each day that has several, the newest days first."""
        small = Counter(day for day, size in _files(table) if size < _FULL_BYTES / 2)
        days = sorted((day for day, count in small.items() if count > 1), reverse=True)[:_MOST_DAYS]
        if days:
            table.optimize.compact([(PARTITION, "in", days)], _FULL_BYTES, max_concurrent_tasks=1)


def _files(table: DeltaTable) -> list[tuple[str, int]]:
    """Return the day and the bytes of every file."""
    files = pa.table(table.get_add_actions(flatten=True))
    days = files[f"partition.{PARTITION}"].to_pylist()
    return list(zip(days, files["size_bytes"].to_pylist(), strict=True))
