"""What was answered and is not yet in Delta: append-only segments in a folder of one process.

A segment is a file ``<boot>-<number>.spool`` of records: length and CRC-32 (little-endian, 4 bytes
each), then what was appended. The first record, JSON, says how to read the others. `append` returns after
``write()``, so a record survives the death of the process (not of the machine: nothing is fsynced on the way
to an answer). A process that dies while it writes leaves a torn tail, which no answer ever depended on.
"""

from __future__ import annotations

import fcntl
import logging
import os
import secrets
import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from struct import Struct
from typing import Any
from zlib import crc32

import orjson

from serving.log import packing
from spec import Refused, Unavailable

_logger = logging.getLogger(__name__)

_FRAME = Struct("<II")
_SUFFIX = ".spool"
_SEGMENT_BYTES = 16 * 2**20


@dataclass(frozen=True, slots=True)
class Segment:
    """A segment as read back: `boot` and `number` name it; numbers of one boot rise in order."""

    path: Path
    boot: str
    number: int
    header: Mapping[str, Any]
    records: list[bytes]
    damaged: bool
    """Bytes in the middle are not what was written; the records that they were of are lost."""

    @property
    def rows(self) -> int:
        """Number of rows in all records; of another version's format only the records can be counted."""
        is_ours = self.header.get("format") == packing.FORMAT
        return sum(map(packing.rows_of, self.records)) if is_ours else len(self.records)


class Spool:
    """The segments of one process; `append` and `seal` may be called from different threads.

    Parameters
    ----------
    folder
        Made if missing. One process at a time holds it.
    header
        JSON value written first in every segment.

    Raises
    ------
    Refused
        When another living process holds the folder.
    """

    def __init__(self, folder: Path, header: Mapping[str, Any]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._header = orjson.dumps(header)
        self.boot = secrets.token_hex(8)
        """Unique to this object; part of its segments' names."""
        self._number = 0
        self._lock = threading.Lock()
        self._fd = -1
        self._path = folder
        self._size = 0
        self._hold = _hold(folder)
        self._sealed = deque(sorted(folder.glob(f"*{_SUFFIX}")))

    def append(self, record: bytes) -> None:
        """Write one record of at least one row; it is in the page cache when this returns.

        Raises
        ------
        Unavailable
            When it cannot be written; what was written of it is taken back.
        """
        framed = _frame(record)
        with self._lock:
            try:
                if self._fd < 0:
                    self._open()
                _write(self._fd, framed)
            except OSError as error:
                self._take_back()
                msg = f"The inference log cannot be written: {error.strerror} ({self._path})"
                raise Unavailable(msg) from error
            self._size += len(framed)
            if self._size > _SEGMENT_BYTES:
                self._seal()

    def sealed(self) -> list[Path]:
        """End the open segment, if it holds anything, and return all ended ones, oldest first."""
        with self._lock:
            self._seal()
            return list(self._sealed)

    def discard(self, path: Path, *, keep_copy: bool = False) -> None:
        """Forget an ended segment whose records are safe elsewhere."""
        if keep_copy:
            os.replace(path, path.with_suffix(".damaged"))
        else:
            path.unlink()
        with self._lock:
            self._sealed.remove(path)

    def refuse(self, path: Path) -> Path:
        """Set an ended segment aside as ``.refused`` and return where it is.

        Its name gets a boot of its own, so that it is not taken for committed when it comes back as
        ``.spool`` after later segments of its boot.
        """
        kept = path.with_name(f"{path.stem.replace('-', 'r')}-{0:08d}.refused")
        os.replace(path, kept)
        with self._lock:
            self._sealed.remove(path)
        return kept

    def close(self) -> None:
        """End the open segment and let go of the folder."""
        with self._lock:
            self._seal()
        os.close(self._hold)

    def _open(self) -> None:
        self._path = self._folder / f"{self.boot}-{self._number:08d}{_SUFFIX}"
        self._number += 1
        self._size = 0
        self._fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        header = _frame(self._header)
        _write(self._fd, header)
        self._size = len(header)

    def _seal(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
            self._sealed.append(self._path)

    def _take_back(self) -> None:
        """Cut off a half-written record, so that later ones stand behind a whole one."""
        if self._fd < 0:
            return
        try:
            os.ftruncate(self._fd, self._size)
        except OSError:
            _logger.exception("cannot truncate %s; going on with a new segment", self._path)
            self._seal()
            return
        if not self._size:
            os.close(self._fd)
            self._fd = -1
            self._path.unlink(missing_ok=True)


def read_segment(path: Path) -> Segment:
    """Read a segment's whole records back: up to a torn tail, and around what was damaged."""
    content = path.read_bytes()
    records: list[bytes] = []
    at, lost, damaged = 0, 0, False
    while at < len(content):
        record, is_torn = _record(content, at)
        if record is not None:
            records.append(record)
            at += _FRAME.size + len(record)
            continue
        following = _following(content, at)
        damaged |= not is_torn or following < len(content)
        if not records:  # nothing can be read without the header
            following = len(content)
        lost, at = lost + following - at, following
    if lost:
        _logger.warning("%s: %d bytes that are no whole record are ignored", path, lost)
    boot, _, number = path.stem.partition("-")
    header = orjson.loads(records[0]) if records else {}
    return Segment(path, boot, int(number), header, records[1:], damaged)


def _record(content: bytes, at: int) -> tuple[bytes | None, bool]:
    """Return the whole record that begins at a place, if one does, and whether it goes on behind the end."""
    start = at + _FRAME.size
    if start > len(content):
        return None, True
    length, checksum = _FRAME.unpack_from(content, at)
    record = content[start : start + length]
    if len(record) < length:
        return None, True
    is_whole = record and crc32(record) == checksum  # zeros, as a machine that dies leaves them, are none
    return (record if is_whole else None), False


def _following(content: bytes, at: int) -> int:
    """Return where, behind a place, the next whole record begins; the end where none does."""
    for place in packing.places(content, at + 1 + _FRAME.size):
        if _record(content, place - _FRAME.size)[0] is not None:
            return place - _FRAME.size
    return len(content)


def _frame(record: bytes) -> bytes:
    return _FRAME.pack(len(record), crc32(record)) + record


def _write(fd: int, content: bytes) -> None:
    written = os.write(fd, content)
    while written < len(content):
        written += os.write(fd, content[written:])


def _hold(folder: Path) -> int:
    fd = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(fd)
        msg = f"Another model server holds {folder}; one process serves a slot"
        raise Refused(msg) from error
    return fd
