"""Take inference requests on, give each its turn, and count what becomes of it.

A small request to a fast model is answered on the event loop: one row takes some tens of microseconds, less
than handing it to a thread and back. A large body, or a model that takes longer than a millisecond a row,
goes to a thread instead, where ONNX Runtime lets go of the interpreter and other requests are answered
meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from math import inf
from time import perf_counter
from typing import NamedTuple
from uuid import uuid4

from serving import binary
from serving.admission import Admission
from serving.answers import Answers
from serving.http import HttpError, Receive, Response, Scope, error_response, read_body
from serving.inference_log import InferenceLog
from serving.job import Job
from serving.lane import Lane
from serving.metrics import Reason, ServingMetrics
from serving.origin import TESTER_HEADER, Origin, origin_of
from serving.slot import Live, Slot
from spec import ModelSpec, NotFound
from spec.routing import NO_VERSION

_INLINE_BYTES = 32 * 1024
_INLINE_ROW_SECONDS = 0.001
_THREADS = 2
_TURN = 16
_SERVER_FAULT = 500
_REJECTED: dict[int, Reason] = {429: "queue_full", 504: "deadline", 499: "disconnected"}


class _Sent(NamedTuple):
    """What the headers of a request say."""

    origin: Origin
    fallback_id: str
    json_bytes: bytes | None
    patience_s: float
    """How long Envoy will wait for the answer."""


class Inference:
    """The hot path of one slot.

    Parameters
    ----------
    is_alone
        Tells whether no other request is being read or answered now.
    """

    def __init__(
        self,
        spec: ModelSpec,
        slot: Slot,
        metrics: ServingMetrics,
        log: InferenceLog,
        is_alone: Callable[[], bool],
    ) -> None:
        self._model = spec.model
        self._deadline_s = spec.serving.deadline.total_seconds()
        self._most_bytes = spec.serving.body
        self._slot = slot
        self._is_alone = is_alone
        self._metrics = metrics
        self._admission = Admission(spec.serving.queue)
        work = Answers(spec, log).of
        self._on_loop = Lane(work, self.live, max(spec.serving.batch, _TURN), threads=0)
        self._in_threads = Lane(work, self.live, spec.serving.batch, threads=_THREADS)
        metrics.in_flight(lambda: self._admission.begun)
        metrics.waiting(lambda: len(self._on_loop) + len(self._in_threads))

    async def infer(self, version: str | None, scope: Scope, receive: Receive) -> Response:
        """Answer one request with the live version.

        Raises
        ------
        RequestError, HttpError
            When the request cannot be answered as it is, or not in time.
        DataError
            When it breaks what the spec states of the features, and `door` rejects that.
        NotFound
            When it names a version that is not loaded.
        TrimtabError
            When the model fails; `Unavailable` when the answer cannot be logged.
        """
        sent = _read_headers(scope)
        live = self._slot.live
        job = None
        try:
            with self._admission:
                body = await read_body(scope, receive, self._most_bytes)
                job = self._job(sent, body, version, receive)
                self._lane(body).join(job, alone=self._is_alone())
                response = await job.answer
        except Exception as error:
            self._count_failure(error, job.live or live if job else live, origin=sent.origin)
            raise
        answered = (job.live or self.live()).metrics[sent.origin]
        answered.requests["ok"].inc()
        answered.seconds.observe(perf_counter() - job.started)
        answered.received_bytes.inc(len(body))
        answered.sent_bytes.inc(len(response.body))
        return response

    def live(self, version: str | None = None) -> Live:
        """Return what is loaded, if it is the version asked for."""
        live = self._slot.live
        if version is not None and (live is None or live.version != version):
            loaded = f"version {live.version}" if live else "none"
            msg = f"Version {version!r} of {self._model} is not loaded here. Loaded: {loaded}"
            raise NotFound(msg)
        if live is None:
            raise HttpError(503, self._slot.why_not_ready(), ((NO_VERSION.encode(), b"1"),))
        return live

    def close(self) -> None:
        """Wait for what runs in threads."""
        self._in_threads.close()

    def _job(self, sent: _Sent, body: bytes, version: str | None, receive: Receive) -> Job:
        started = perf_counter()
        return Job(
            body,
            sent.json_bytes,
            sent.fallback_id,
            sent.origin,
            version,
            started,
            started + min(self._deadline_s, sent.patience_s),
            receive,
            asyncio.get_running_loop().create_future(),
        )

    def _lane(self, body: bytes) -> Lane:
        live = self._slot.live
        is_slow = live is not None and live.model.row_seconds > _INLINE_ROW_SECONDS
        return self._in_threads if is_slow or len(body) > _INLINE_BYTES else self._on_loop

    def _count_failure(self, error: Exception, live: Live | None, *, origin: Origin) -> None:
        """Count a request without an answer; whom the server turned away is its own fault."""
        series = (live.metrics if live else self._metrics.nothing_loaded)[origin]
        status = error_response(error).status
        fault = status >= _SERVER_FAULT or (isinstance(error, HttpError) and error.is_fault)
        series.requests["error" if fault else "client_error"].inc()
        if status in _REJECTED:
            series.rejected[_REJECTED[status]].inc()


def _read_headers(scope: Scope) -> _Sent:
    """Read what is asked of a request beside its body.

    Envoy sends the mirrored copy with the same request id, so both copies get one prediction id even if the
    caller names none.
    """
    host = request_id = patience = tester = b""
    json_bytes = None
    for name, value in scope["headers"]:
        if name == b"host":
            host = value
        elif name == b"x-request-id":
            request_id = value
        elif name == b"x-envoy-expected-rq-timeout-ms":
            patience = value
        elif name == TESTER_HEADER:
            tester = value
        elif name == binary.HEADER:
            json_bytes = value
    patience_s = int(patience) / 1e3 if patience.strip(b"0").isdigit() else inf
    return _Sent(origin_of(host, tester), request_id.decode("latin-1") or uuid4().hex, json_bytes, patience_s)
