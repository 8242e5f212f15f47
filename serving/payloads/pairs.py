"""Halves that wait for each other, and finished rows that wait for Delta: one SQLite file of one process.

Every change is one transaction of a write-ahead log that is synced to the disk only now and then: it survives
the death of the process (not of the machine), as a row of the model server's spool does.
"""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Literal

import orjson

from serving.log.spool import Segment
from spec import Refused, Unavailable

Kind = Literal["request", "response"]
Outcome = Literal["waiting", "paired", "duplicate"]
Join = Callable[[bytes, bytes], tuple[int, bytes]]
"""From the halves of request and response to the number of rows and their record."""

_OTHER: dict[Kind, Kind] = {"request": "response", "response": "request"}
_MOST_RECORDS = 2000
_SCHEMA = """
CREATE TABLE IF NOT EXISTS halves (
    key TEXT NOT NULL, kind TEXT NOT NULL, arrived INTEGER NOT NULL, content BLOB NOT NULL,
    PRIMARY KEY (key, kind)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS halves_by_age ON halves (arrived);
CREATE TABLE IF NOT EXISTS finished (key TEXT PRIMARY KEY, at INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS finished_by_age ON finished (at);
CREATE TABLE IF NOT EXISTS records (
    id INTEGER PRIMARY KEY, header BLOB NOT NULL, rows INTEGER NOT NULL, content BLOB NOT NULL,
    batch INTEGER, refused INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS writer (boot TEXT NOT NULL, batch INTEGER NOT NULL);
"""


class Pairs:
    """The halves and records of one model; may be used from several threads.

    Parameters
    ----------
    folder
        Made if missing. One process at a time holds it.
    header
        Says how a record is to be read, whatever the spec becomes.

    Raises
    ------
    Refused
        When another living process holds the folder.
    Unavailable
        When the file cannot be opened.
    """

    def __init__(self, folder: Path, header: object) -> None:
        self._header = orjson.dumps(header)
        self._file = folder / "pairs.db"
        self._lock = Lock()
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._db = sqlite3.connect(self._file, timeout=0, isolation_level=None, check_same_thread=False)
            self._open()
        except (OSError, sqlite3.Error) as error:
            if "locked" in str(error):
                msg = f"Another payload receiver holds {folder}; one process serves a model"
                raise Refused(msg) from error
            msg = f"{self._file} cannot be opened: {error}"
            raise Unavailable(msg) from error

    def _open(self) -> None:
        # Held from the first write to the end of the process, whatever ends it.
        self._db.execute("PRAGMA locking_mode = EXCLUSIVE")
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.executescript(_SCHEMA)
        self._db.execute(
            "INSERT INTO writer SELECT ?, 0 WHERE NOT EXISTS (SELECT 1 FROM writer)", (secrets.token_hex(8),)
        )
        self._db.execute("UPDATE records SET batch = NULL, refused = 0 WHERE refused")
        ((self._boot,),) = self._db.execute("SELECT boot FROM writer")
        self._waiting = int(self._db.execute("SELECT COUNT(*) FROM halves").fetchone()[0])
        self._rows = int(self._db.execute("SELECT COALESCE(SUM(rows), 0) FROM records").fetchone()[0])

    @property
    def waiting(self) -> int:
        """Halves whose other half has not come yet."""
        return self._waiting

    @property
    def rows(self) -> int:
        """Rows of finished pairs that are not in Delta, and not refused by it."""
        return self._rows

    def offer(self, key: str, kind: Kind, half: bytes, now: int, join: Join) -> Outcome:
        """Keep a half, or finish its pair if the other half is here; the first of its kind counts.

        Parameters
        ----------
        key
            The same for the two halves of a pair, and for no other.
        now
            Microseconds since the epoch.

        Raises
        ------
        RequestError
            When `join` does; nothing has changed then.
        Unavailable
            When nothing can be kept.
        """
        with self._transaction() as db:
            if db.execute("SELECT 1 FROM finished WHERE key = ?", (key,)).fetchone():
                return "duplicate"
            query = "SELECT content FROM halves WHERE key = ? AND kind = ?"
            other = db.execute(query, (key, _OTHER[kind])).fetchone()
            if other is None:
                query = "INSERT OR IGNORE INTO halves VALUES (?, ?, ?, ?)"
                kept = db.execute(query, (key, kind, now, half)).rowcount
            else:
                halves = (half, other[0]) if kind == "request" else (other[0], half)
                rows, record = join(*halves)
                db.execute("DELETE FROM halves WHERE key = ?", (key,))
                db.execute("INSERT INTO finished VALUES (?, ?)", (key, now))
                query = "INSERT INTO records (header, rows, content) VALUES (?, ?, ?)"
                db.execute(query, (self._header, rows, record))
        if other is None:
            self._count(waiting=kept)
            return "waiting" if kept else "duplicate"
        self._count(waiting=-1, rows=rows)
        return "paired"

    def drop_alone(self, before: int) -> dict[Kind, int]:
        """Forget halves that came before a time, and pairs finished before it; count the halves by kind."""
        dropped: dict[Kind, int] = {"request": 0, "response": 0}
        with self._transaction() as db:
            for (kind,) in db.execute("DELETE FROM halves WHERE arrived < ? RETURNING kind", (before,)):
                dropped[kind] += 1
            db.execute("DELETE FROM finished WHERE at < ?", (before,))
        self._count(waiting=-sum(dropped.values()))
        return dropped

    def segment(self) -> Segment | None:
        """Return the oldest records that are not in Delta: under one number the same ones until `discard`."""
        with self._transaction() as db:
            ((batch,),) = db.execute("SELECT MIN(batch) FROM records WHERE NOT refused")
            if batch is None:
                query = "SELECT header FROM records WHERE batch IS NULL ORDER BY id LIMIT 1"
                oldest = db.execute(query).fetchone()
                if oldest is None:
                    return None
                batch = self._new_batch(db, *oldest)
            query = "SELECT header, content FROM records WHERE batch = ? ORDER BY id"
            found = db.execute(query, (batch,)).fetchall()
        records = [content for _, content in found]
        return Segment(self._file, self._boot, batch, orjson.loads(found[0][0]), records, damaged=False)

    def _new_batch(self, db: sqlite3.Connection, header: bytes) -> int:
        """Give the oldest records of a header the next number."""
        ((batch,),) = db.execute("UPDATE writer SET batch = batch + 1 RETURNING batch").fetchall()
        db.execute(
            "UPDATE records SET batch = ? WHERE id IN"
            " (SELECT id FROM records WHERE batch IS NULL AND header = ? ORDER BY id LIMIT ?)",
            (batch, header, _MOST_RECORDS),
        )
        return int(batch)

    def discard(self, segment: Segment) -> None:
        """Forget a segment whose rows are in Delta."""
        with self._transaction() as db:
            db.execute("DELETE FROM records WHERE batch = ?", (segment.number,))
        self._count(rows=-segment.rows)

    def refuse(self, segment: Segment) -> None:
        """Set a segment aside that Delta never takes; the next start tries it again."""
        with self._transaction() as db:
            db.execute("UPDATE records SET refused = 1 WHERE batch = ?", (segment.number,))
        self._count(rows=-segment.rows)

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._db.close()

    def _count(self, *, waiting: int = 0, rows: int = 0) -> None:
        with self._lock:
            self._waiting += waiting
            self._rows += rows

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                self._db.execute("BEGIN IMMEDIATE")
                yield self._db
                self._db.execute("COMMIT")
            except sqlite3.Error as error:
                msg = f"The payload log cannot be written: {error} ({self._file})"
                raise Unavailable(msg) from error
            finally:
                if self._db.in_transaction:  # SQLite itself ends one that finds the disk full
                    self._db.execute("ROLLBACK")
