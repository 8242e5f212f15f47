"""Take inference requests on, give each its turn, and count what becomes of it.

A small request to a fast model is answered on the event loop: one row takes some tens of microseconds, less
than handing it to a thread and back. A large body, or a model that takes longer than a millisecond a row,
goes to a thread instead, where ONNX Runtime lets go of the interpreter and other requests are answered
meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from math import inf
from time import perf_counter
from typing import NamedTuple
from uuid import uuid4

from serving import binary
from serving.admission import Admission
from serving.answers import Answers
from serving.http import Headers, HttpError, Receive, Response, Scope, error_response, failure, read_body
from serving.job import Job
from serving.lane import Lane
from serving.log.inference_log import InferenceLog
from serving.metrics import Reason, ServingMetrics
from serving.origin import COPY_HEADER, TESTER_HEADER, Origin, origin_of
from serving.slot import Live, Slot
from spec import ModelSpec, NotFound
from spec.routing import LOADING, NO_VERSION

_INLINE_BYTES = 32 * 1024
_INLINE_ROW_SECONDS = 0.001
_THREADS = 2
_TURN = 16
_PATIENCE_DIGITS = 15
"""Who would wait longer than these milliseconds waits for ever; int() refuses thousands of digits."""
_SERVER_FAULT = 500
_REJECTED: dict[int, Reason] = {429: "queue_full", 504: "deadline", 499: "disconnected"}


class Sent(NamedTuple):
    """What the headers of a request say."""

    origin: Origin
    fallback_id: str
    json_bytes: bytes | None
    patience_s: float
    """How long Envoy will wait for the answer."""
    body_bytes: int | None
    """Size of the body, if it is told."""


class Inference:
    """The hot path of one slot.

    Parameters
    ----------
    is_alone
        Tells whether no other request is being read or answered now.
    marked_by_host
        Whether the router tells copies by their Host; not where they have a port of their own.
    """

    def __init__(
        self,
        spec: ModelSpec,
        slot: Slot,
        metrics: ServingMetrics,
        log: InferenceLog,
        is_alone: Callable[[], bool],
        *,
        marked_by_host: bool = True,
    ) -> None:
        self._model = spec.model
        self._deadline_s = spec.serving.deadline.total_seconds()
        self._most_bytes = spec.serving.body
        self._slot = slot
        self._is_alone = is_alone
        self._marked_by_host = marked_by_host
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
        sent = _read_headers(scope["headers"], marked_by_host=self._marked_by_host)
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
        self._count_answer(job, response)
        return response

    def sent_directly(self, headers: Iterable[tuple[bytes, bytes]]) -> Sent | None:
        """Return what the headers of a request say, if `begin` takes it: small, to a fast model."""
        live, sent = self._slot.live, _read_headers(headers, marked_by_host=self._marked_by_host)
        if live is None or live.model.row_seconds > _INLINE_ROW_SECONDS or sent.body_bytes is None:
            return None
        return sent if sent.body_bytes <= min(_INLINE_BYTES, self._most_bytes) else None

    def begin(self, sent: Sent, body: bytes, receive: Receive, reply: Callable[[Response], None]) -> None:
        """Answer a request on the event loop by a call of `reply`, failures too; `infer` without its task."""
        live = self._slot.live
        try:
            self._admission.take()
        except HttpError as error:
            self._count_failure(error, live, origin=sent.origin)
            reply(error_response(error))
            return
        job = self._job(sent, body, None, receive)
        job.answer.add_done_callback(lambda _: self._end(job, live, reply))
        self._on_loop.join(job, alone=False)

    def _end(self, job: Job, live: Live | None, reply: Callable[[Response], None]) -> None:
        self._admission.release()
        try:
            response = job.answer.result()
        except Exception as error:  # noqa: BLE001 - it is answered, and logged if need be
            self._count_failure(error, job.live or live, origin=job.origin)
            reply(failure(error, f"A prediction of {self._model}"))
        else:
            self._count_answer(job, response)
            reply(response)

    def live(self, version: str | None = None) -> Live:
        """Return what is loaded, if it is the version asked for."""
        live = self._slot.live
        if version is not None and (live is None or live.version != version):
            loaded = f"version {live.version}" if live else "none"
            msg = f"Version {version!r} of {self._model} is not loaded here. Loaded: {loaded}"
            raise NotFound(msg)
        if live is None:
            raise HttpError(503, self._slot.why_not_ready(), self._no_version())
        return live

    def _no_version(self) -> Headers:
        return ((NO_VERSION.encode(), LOADING.encode() if self._slot.loading else b"none"),)

    def close(self) -> None:
        """Wait for what runs in threads."""
        self._in_threads.close()

    def _job(self, sent: Sent, body: bytes, version: str | None, receive: Receive) -> Job:
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

    def _count_answer(self, job: Job, response: Response) -> None:
        answered = (job.live or self.live()).metrics[job.origin]
        answered.requests["ok"].inc()
        answered.seconds.observe(perf_counter() - job.started)
        answered.received_bytes.inc(len(job.body))
        answered.sent_bytes.inc(len(response.body))

    def _count_failure(self, error: Exception, live: Live | None, *, origin: Origin) -> None:
        """Count a request without an answer; whom the server turned away is its own fault."""
        series = (live.metrics if live else self._metrics.nothing_loaded)[origin]
        status = error_response(error).status
        fault = status >= _SERVER_FAULT or (isinstance(error, HttpError) and error.is_fault)
        series.requests["error" if fault else "client_error"].inc()
        if status in _REJECTED:
            series.rejected[_REJECTED[status]].inc()


def _read_headers(headers: Iterable[tuple[bytes, bytes]], *, marked_by_host: bool) -> Sent:
    """Read what is asked of a request beside its body.

    Envoy sends the mirrored copy with the same request id, so both copies get one prediction id even if the
    caller names none.
    """
    host = request_id = patience = tester = length = b""
    json_bytes = None
    is_copy = False
    for name, value in headers:
        if name == b"host":
            host = value if marked_by_host else b""
        elif name == b"x-request-id":
            request_id = value
        elif name == b"x-envoy-expected-rq-timeout-ms":
            patience = value
        elif name == TESTER_HEADER:
            tester = value
        elif name == binary.HEADER:
            json_bytes = value
        elif name == b"content-length":
            length = value
        elif name == COPY_HEADER:
            is_copy = True
    stated = patience.strip(b"0").isdigit() and len(patience) <= _PATIENCE_DIGITS
    patience_s = int(patience) / 1e3 if stated else inf
    fallback_id = request_id.decode("latin-1") or uuid4().hex
    body_bytes = int(length) if length else None
    return Sent(origin_of(host, tester, is_copy=is_copy), fallback_id, json_bytes, patience_s, body_bytes)
