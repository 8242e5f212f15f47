"""Commit ended segments of a spool to Delta, one after the other: the program that `Committer` runs.

    python -m serving.log.commits DESCRIPTOR

Lines of JSON come on standard input, a table first (`location`, `retention_s`, `clock`), then the path of
each segment. What is logged meanwhile and what became of each segment leave by an open file descriptor, as
JSON, too.
It ends where its input ends, in the middle of a commit too: a store that hangs would keep it for minutes
behind a model server that was killed.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from serving.log.delta_table import LogTable
from serving.log.spool import read_segment
from serving.log.upkeep import Upkeep
from spec import Clock, Refused

_NICENESS = 5  # requests go first, and where they keep a core busy a quarter of it is left

Send = Callable[[Mapping[str, Any]], object]


class _Sent(logging.Handler):
    """Leaves it to the model server to write what is logged."""

    def __init__(self, send: Send) -> None:
        super().__init__()
        self._send = send

    def emit(self, record: logging.LogRecord) -> None:
        """Send what `Committer` logs again."""
        self._send({"logger": record.name, "level": record.levelno, "text": record.getMessage()})


def main() -> None:
    """Commit what is named until nothing more is."""
    os.nice(_NICENESS)
    send = _answers()
    logging.basicConfig(level=logging.INFO, handlers=[_Sent(send)])
    lines: SimpleQueue[bytes] = SimpleQueue()
    threading.Thread(target=_receive, args=(lines,), name="input", daemon=True).start()
    table = _table(json.loads(lines.get()))
    with suppress(BrokenPipeError):  # the server is dead
        while True:
            send(_commit(table, Path(json.loads(lines.get()))))


def _receive(lines: SimpleQueue[bytes]) -> None:
    for line in os.fdopen(0, "rb"):  # not sys.stdin, whose lock the interpreter wants back at its end
        lines.put(line)
    os._exit(0)  # what is under way is still in the spool, which the next server reads


def _answers() -> Send:
    """Return what writes a line for the server."""
    output = os.fdopen(int(sys.argv[1]), "wb", buffering=0)
    return lambda told: output.write(json.dumps(told).encode() + b"\n")


def _table(told: Mapping[str, Any]) -> LogTable:
    retention = None if told["retention_s"] is None else timedelta(seconds=told["retention_s"])
    clock = Clock(None if told["clock"] is None else Path(told["clock"]))
    return LogTable(told["location"], Upkeep(clock, retention))


def _commit(table: LogTable, path: Path) -> dict[str, Any]:
    try:
        segment = read_segment(path)
        done: dict[str, Any] = {"rows": segment.rows, "damaged": segment.damaged, "refused": None}
        try:
            if segment.rows:
                table.append(segment)
        except Refused as error:
            done["refused"] = str(error)
    except Exception as error:  # noqa: BLE001 - the server tells it, counts it, and tries again
        return {"failed": str(error) or type(error).__name__, "traceback": traceback.format_exc()}
    return done


if __name__ == "__main__":
    main()
