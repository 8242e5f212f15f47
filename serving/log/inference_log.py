"""Nothing is answered that is not logged: to a spool before the answer, to Delta within two seconds."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic
from typing import NamedTuple

import numpy as np

from serving.log import packing
from serving.log.committer import Committer
from serving.log.spool import Spool, read_segment
from serving.log.trouble import Trouble
from serving.metrics import ServingMetrics
from serving.protocol import InferRequest, Prediction
from serving.values import exact_of, texts_of
from spec import FeatureType, ModelSpec, Settings, Task, Unavailable
from spec.private import Tokens
from spec.tables import FEATURE_PREFIX

_logger = logging.getLogger(__name__)

_COMMIT_EVERY_S = 0.8
_FIRST_RETRY_S = 0.5
_LAST_RETRY_S = 30.0
_CLOSE_LIMIT_S = 20.0
_PAUSE_OF_A_COMMIT = 25  # in its own durations: it costs nearly as much for one row as for thousands
_LONGEST_PAUSE_S = 1.2  # monitors give the last rows of a window 2 s to be committed
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Answered(NamedTuple):
    """A request and what it is answered; `latency_ms` has passed since its arrival.

    `shadow` is whether it is the mirror's copy, None for a tester's request.
    """

    request: InferRequest
    prediction: Prediction
    shadow: bool | None
    latency_ms: float


class InferenceLog:
    """The log of one slot. `append` is called before requests are answered; a process of its own commits.

    What a dead process left in the spool is committed first. If Delta does not take a commit, the rows
    stay in the spool, the failure is counted, and it is tried again, ever more rarely up to every 30 s.
    Trouble is logged when it begins and when it ends, not on every try or request. A segment that Delta
    never takes, as after a feature has changed its type, is set aside as ``.refused``, logged and counted,
    and those behind it are committed.

    Raises
    ------
    SettingsError
        When a feature is tokenized and there is no key.
    Refused
        When another living process serves this slot.
    """

    def __init__(self, spec: ModelSpec, slot: str, settings: Settings, metrics: ServingMetrics) -> None:
        folder = settings.home / "spool" / f"{spec.model}-{slot}"
        self._clock = settings.clock
        self._positive_only = spec.task is Task.BINARY
        self._metrics = metrics
        self._slot = slot
        self._next_row = 0
        self._tokens = Tokens.of(spec, settings)
        self._text, self._numbers = _logged(spec)
        self._spool = Spool(folder, packing.header(spec))
        location = settings.location(spec.data.inference_log)
        self._committer = Committer(location, spec.data.retention, settings.clock)
        self._cannot_write = Trouble(f"{folder} takes no rows, so requests are not answered")
        self._cannot_commit = Trouble("answered rows do not reach Delta; they stay in the spool")
        self._appended = threading.Event()
        self._next_commit = 0.0
        self._closing = threading.Event()
        leftover = self._spool.sealed()
        self._rows_in = sum(read_segment(path).rows for path in leftover)  # they may be larger than memory
        self._rows_out = 0
        self._counting = threading.Lock()
        if leftover:
            _logger.info("recovering %d answered rows from %d spool segments", self._rows_in, len(leftover))
            self._appended.set()
        metrics.pending_rows(self.pending)
        self._thread = threading.Thread(target=self._commit_until_closed, name="inference-log", daemon=True)
        self._thread.start()

    def tokenized(self, request: InferRequest) -> InferRequest:
        """Return the request as the model and the log may see it: with tokens for tokenized values."""
        if self._tokens is None:
            return request
        text = dict(request.values.text)
        for name in self._tokens.names:
            text[name] = [self._tokens.of_value(name, value) for value in text[name]]
        return request._replace(values=request.values._replace(text=text))

    def append(self, answered: Sequence[Answered], version: str) -> None:
        """Write the rows of requests to the spool, together; they survive the process when this returns.

        Raises
        ------
        Unavailable
            When the spool cannot be written; none of the requests must be answered then.
        """
        now = (self._clock.now() - _EPOCH) // _MICROSECOND
        requests = [
            packing.Request(one.rows, one.id, one.ids, one.event_times, shadow, latency_ms)
            for one, _, shadow, latency_ms in answered
        ]
        many = [one.request.values for one in answered]
        numbers = exact_of(many)
        scores = [one.prediction.scores for one in answered]
        flat = scores[0] if len(scores) == 1 else np.concatenate(scores)
        rows = len(flat)
        with self._counting:
            first, self._next_row = self._next_row, self._next_row + rows
        found = packing.Rows(
            self._spool.boot,
            first,
            now,
            version,
            self._slot,
            requests,
            {column: texts_of(many, name) for name, column in self._text},
            (numbers if self._numbers is None else numbers[self._numbers]).T,
            flat[:, 1:] if self._positive_only else flat,
        )
        self._write(packing.pack(found), len(requests))
        with self._counting:
            self._rows_in += rows
        if not self._appended.is_set():
            self._appended.set()

    def pending(self) -> int:
        """Count the rows that are answered and not yet in Delta."""
        return self._rows_in - self._rows_out

    def close(self) -> None:
        """Commit what is pending, once, and stop; what Delta does not take in 20 s stays in the spool."""
        self._closing.set()
        self._appended.set()
        self._thread.join(_CLOSE_LIMIT_S)
        if self._thread.is_alive():
            _logger.error(
                "Delta does not answer; %d rows stay in the spool for the next start", self.pending()
            )
        self._committer.close()
        self._spool.close()

    def _write(self, record: bytes, requests: int) -> None:
        try:
            self._spool.append(record)
        except Unavailable as error:
            self._metrics.log_write_failures.inc(requests)
            self._cannot_write.begins(error)
            raise
        self._cannot_write.ends()

    def _commit_until_closed(self) -> None:
        retry_s = 0.0
        while not self._closing.is_set():
            self._appended.wait()
            self._closing.wait(retry_s or max(_COMMIT_EVERY_S, self._next_commit - monotonic()))
            self._appended.clear()
            if self._commit():
                retry_s = 0.0
            else:
                retry_s = min(max(2 * retry_s, _FIRST_RETRY_S), _LAST_RETRY_S)
                self._appended.set()
        self._commit()  # what was answered while the last commit ran

    def _commit(self) -> bool:
        started = monotonic()
        try:
            for path in self._spool.sealed():
                self._commit_segment(path)
        except Exception as error:  # noqa: BLE001 - told once, counted, and tried again
            if not self._committer.is_closed:  # `close` has told it
                self._cannot_commit.begins(error)
                self._metrics.commit_failures.inc()
            return False
        self._cannot_commit.ends()
        ended = monotonic()
        self._next_commit = ended + min(_PAUSE_OF_A_COMMIT * (ended - started), _LONGEST_PAUSE_S)
        return True

    def _commit_segment(self, path: Path) -> None:
        rows, damaged, refused = self._committer.commit(path)
        if refused is not None:
            kept = self._spool.refuse(path)
            self._rows_out += rows
            self._metrics.commit_failures.inc()
            _logger.error(
                "%d answered rows are refused by Delta for good and kept in %s; "
                "once the table takes them, rename it to .spool and restart. %s",
                rows,
                kept,
                refused,
            )
            return
        if damaged:
            _logger.error("%s was damaged on disk; a copy is kept as .damaged", path)
        self._spool.discard(path, keep_copy=damaged)
        self._rows_out += rows


def _logged(spec: ModelSpec) -> tuple[list[tuple[str, str]], list[int] | None]:
    """Return the logged features of text with their columns, and which numbers are logged; None: all."""
    text = [
        (name, FEATURE_PREFIX + name)
        for name, feature in spec.logged.features.items()
        if feature.type is FeatureType.CATEGORICAL
    ]
    numeric = [name for name, one in spec.features.items() if one.type is not FeatureType.CATEGORICAL]
    kept = [at for at, name in enumerate(numeric) if name in spec.logged.features]
    return text, None if len(kept) == len(numeric) else kept
