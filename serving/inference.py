"""Answer inference requests: parse, predict, write to the log, and only then answer.

Inference runs on the event loop: one row takes some tens of microseconds, less than handing it to a
thread and back, and a swap of versions is then one assignment between two requests. A large body, or a
model that takes longer than a millisecond a row, goes to a thread instead, where ONNX Runtime lets go of
the interpreter and other requests are answered meanwhile.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from time import perf_counter
from typing import NamedTuple
from uuid import uuid4

from serving import binary, door
from serving.http import Headers, HttpError, Receive, Response, Scope, error_response, read_body
from serving.inference_log import InferenceLog
from serving.metrics import ServingMetrics
from serving.protocol import Answer, InferRequest, Protocol, at_most
from serving.slot import Live, Slot
from spec import DataError, ModelSpec, NotFound
from spec.quality import Door

_INLINE_BYTES = 32 * 1024
_INLINE_ROW_SECONDS = 0.001
_THREADS = 2
_SERVER_FAULT = 500


class _Call(NamedTuple):
    """One request as its answer needs it; `started` is when its last byte had arrived."""

    body: bytes
    shadow: bool
    fallback_id: str
    json_bytes: bytes | None
    started: float


class Inference:
    """The hot path of one slot."""

    def __init__(self, spec: ModelSpec, slot: Slot, metrics: ServingMetrics, log: InferenceLog) -> None:
        self._model = spec.model
        self._protocol = Protocol(spec)
        self._door = door.constraints(spec)
        self._rejects = spec.monitor.quality.door is Door.REJECT
        self._slot = slot
        self._metrics = metrics
        self._log = log
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="inference")
        self._in_flight = 0
        metrics.in_flight(lambda: self._in_flight)

    async def infer(self, version: str | None, scope: Scope, receive: Receive) -> Response:
        """Answer one request with the live version.

        Raises
        ------
        RequestError, HttpError
            When the request cannot be answered as it is.
        DataError
            When it breaks what the spec states of the features, and `door` rejects that.
        NotFound
            When it names a version that is not loaded.
        TrimtabError
            When the model fails; `Unavailable` when the answer cannot be logged.
        """
        live = self._slot.live
        series = live.metrics if live else self._metrics.nothing_loaded
        shadow, fallback_id, json_bytes = _read_headers(scope)
        self._in_flight += 1
        try:
            body = await read_body(scope, receive)
            call = _Call(body, shadow, fallback_id, json_bytes, perf_counter())
            live = self.live(version)
            series = live.metrics
            if len(body) <= _INLINE_BYTES and live.model.row_seconds <= _INLINE_ROW_SECONDS:
                response = self._answer(live, call)
            else:
                work = partial(self._answer_queued, live, call)
                response = await asyncio.get_running_loop().run_in_executor(self._threads, work)
        except Exception as error:
            fault = error_response(error).status >= _SERVER_FAULT
            series[shadow].requests["error" if fault else "client_error"].inc()
            raise
        finally:
            self._in_flight -= 1
        answered = series[shadow]
        answered.requests["ok"].inc()
        answered.seconds.observe(perf_counter() - call.started)
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
            raise HttpError(503, self._slot.why_not_ready())
        return live

    def close(self) -> None:
        """Wait for what runs in threads."""
        self._threads.shutdown()

    def _answer_queued(self, live: Live, call: _Call) -> Response:
        """Answer on a thread of `_threads`."""
        live.metrics[call.shadow].queued_seconds.observe(perf_counter() - call.started)
        return self._answer(live, call)

    def _answer(self, live: Live, call: _Call) -> Response:
        request = self._protocol.parse(call.body, call.fallback_id, call.json_bytes)
        flags: Headers = () if self._door is None else self._at_the_door(self._door, live, call, request)
        prediction = live.model.predict(request.feeds)
        response = _response(self._protocol.answer(request, prediction, live.version), flags)
        latency_ms = (perf_counter() - call.started) * 1e3
        self._log.append(request, prediction, live.version, shadow=call.shadow, latency_ms=latency_ms)
        live.metrics[call.shadow].rows.inc(request.rows)
        return response

    def _at_the_door(
        self, constraints: door.Constraints, live: Live, call: _Call, request: InferRequest
    ) -> Headers:
        """Return the header that flags what the request breaks, if anything; or refuse the request."""
        breaches = constraints.broken(request)
        if not breaches:
            return ()
        if not call.shadow:  # the mirror's copy is the same rows again
            for breach in breaches:
                live.metrics[False].broken[breach.feature, breach.check].inc(breach.rows)
        if self._rejects:
            raise DataError(at_most(list(constraints.problems(breaches))))
        return (door.header(breaches),)


def _response(answer: Answer, headers: Headers) -> Response:
    if answer.json_bytes is None:
        return Response(200, answer.body, headers=headers)
    length = (binary.HEADER, str(answer.json_bytes).encode())
    return Response(200, answer.body, binary.CONTENT_TYPE, (*headers, length))


def _read_headers(scope: Scope) -> tuple[bool, str, bytes | None]:
    """Return whether this is Envoy's mirror, the id of a request without one, the bytes of its JSON.

    Envoy sends the mirrored copy with ``-shadow`` behind the host's name and with the same request id,
    so both copies get one prediction id even if the caller names none.
    """
    host = request_id = b""
    json_bytes = None
    for name, value in scope["headers"]:
        if name == b"host":
            host = value
        elif name == b"x-request-id":
            request_id = value
        elif name == binary.HEADER:
            json_bytes = value
    shadow = host.endswith(b"-shadow") or b"-shadow:" in host
    return shadow, request_id.decode("latin-1") or uuid4().hex, json_bytes
