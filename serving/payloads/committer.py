"""Bring finished pairs to the inference log's table, and give up halves that stay alone."""

from __future__ import annotations

import logging
import threading
from datetime import UTC, datetime, timedelta

from serving.log.delta_table import LogTable
from serving.log.trouble import Trouble
from serving.payloads.metrics import PayloadMetrics
from serving.payloads.pairs import Pairs
from spec import Clock, Refused, Unavailable

_logger = logging.getLogger(__name__)

_EVERY_S = 1.0
_FIRST_RETRY_S = 0.5
_LAST_RETRY_S = 30.0
_CLOSE_LIMIT_S = 20.0
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def microseconds(time: datetime) -> int:
    """Return a time as microseconds since the epoch."""
    return (time - _EPOCH) // _MICROSECOND


class Committer:
    """A thread that commits once a second what is finished.

    What Delta does not take is tried again, ever more rarely up to every 30 s. A half that has waited for
    `patience` is dropped and counted.
    """

    def __init__(
        self, pairs: Pairs, table: LogTable, metrics: PayloadMetrics, clock: Clock, patience: timedelta
    ) -> None:
        self._pairs = pairs
        self._table = table
        self._metrics = metrics
        self._clock = clock
        self._patience = patience
        self._cannot_commit = Trouble("finished pairs do not reach Delta; they stay in the receiver's file")
        self._cannot_drop = Trouble("halves that stay alone cannot be dropped")
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._until_closed, name="payload-log", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Commit what is finished and close the file; what Delta does not take in 20 s stays in it."""
        self._closing.set()
        self._thread.join(_CLOSE_LIMIT_S)
        if self._thread.is_alive():
            _logger.error("Delta does not answer; %d rows stay for the next start", self._pairs.rows)
        else:
            self._pairs.close()

    def _until_closed(self) -> None:
        retry_s = 0.0
        while not self._closing.wait(retry_s or _EVERY_S):
            self._drop_alone()
            retry_s = 0.0 if self._commit() else min(max(2 * retry_s, _FIRST_RETRY_S), _LAST_RETRY_S)
        self._commit()

    def _drop_alone(self) -> None:
        try:
            dropped = self._pairs.drop_alone(microseconds(self._clock.now() - self._patience))
        except Unavailable as error:
            self._cannot_drop.begins(error)
            return
        self._cannot_drop.ends()
        self._metrics.dropped(dropped)

    def _commit(self) -> bool:
        try:
            while (segment := self._pairs.segment()) is not None:
                try:
                    self._table.append(segment)
                except Refused as error:
                    self._pairs.refuse(segment)
                    self._metrics.commit_failures.inc()
                    _logger.error(  # noqa: TRY400 - the reason is the message; a traceback would hide it
                        "%d rows are refused by Delta for good and kept in %s; a restart tries again. %s",
                        segment.rows,
                        segment.path,
                        error,
                    )
                else:
                    self._pairs.discard(segment)
        except Exception as error:  # noqa: BLE001 - told once, counted, and tried again
            self._metrics.commit_failures.inc()
            self._cannot_commit.begins(error)
            return False
        self._cannot_commit.ends()
        return True
