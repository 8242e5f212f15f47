"""From the bodies of requests to their answers: parse, check, predict, write to the log."""

from __future__ import annotations

from collections.abc import Sequence
from time import perf_counter
from typing import NamedTuple

from serving import batch, binary, cache, door
from serving.http import Headers, HttpError, Response
from serving.job import Job
from serving.lane import Outcome, late
from serving.log.inference_log import Answered, InferenceLog
from serving.model import NoAnswer
from serving.origin import Origin
from serving.protocol import Answer, InferRequest, Prediction, Protocol, at_most
from serving.slot import Live
from spec import DataError, ModelSpec, TrimtabError, Unavailable
from spec.quality import Door


class _Read(NamedTuple):
    """A request that can be answered, and the headers that flag it."""

    request: InferRequest
    flags: Headers


class _Written(NamedTuple):
    """A request and its answer, which nobody may see before the log holds it."""

    job: Job
    request: InferRequest
    prediction: Prediction
    response: Response


class Answers:
    """Answers requests with a version, several at once; called from the event loop and from threads."""

    def __init__(self, spec: ModelSpec, log: InferenceLog) -> None:
        self._protocol = Protocol(spec)
        self._door = door.constraints(spec)
        self._rejects = spec.monitor.quality.door is Door.REJECT
        self._together = spec.serving.batch
        self._log = log

    def of(self, live: Live, jobs: Sequence[Job]) -> list[Outcome]:
        """Return an answer a request, or why there is none; what one lacks is nothing to the others."""
        read = [self._read(live, job) for job in jobs]
        requests = [one.request for one in read if isinstance(one, _Read)]
        predictions = iter(self._predict(live, requests))
        written = [
            self._write(live, job, one, next(predictions)) if isinstance(one, _Read) else one
            for job, one in zip(jobs, read, strict=True)
        ]
        logged = iter(self._logged(live, [one for one in written if isinstance(one, _Written)]))
        return [next(logged) if isinstance(one, _Written) else one for one in written]

    def _read(self, live: Live, job: Job) -> _Read | Exception:
        try:
            request = self._protocol.parse(job.body, job.fallback_id, job.json_bytes)
            if request.timeout_s is not None and perf_counter() >= job.started + request.timeout_s:
                raise late()  # noqa: TRY301 - one way out for all that keep a request from its answer
            flags: Headers = () if self._door is None else self._at_the_door(self._door, live, job, request)
            return _Read(self._log.tokenized(request), flags)  # the door checks plain values
        except Exception as error:  # noqa: BLE001 - it is raised where the request waits
            return error

    def _write(
        self, live: Live, job: Job, read: _Read, prediction: Prediction | TrimtabError
    ) -> _Written | Exception:
        if not isinstance(prediction, Prediction):
            return _no_answer(prediction, read.request)
        try:
            answer = self._protocol.answer(read.request, prediction, live.version)
            return _Written(job, read.request, prediction, _response(answer, read.flags))
        except Exception as error:  # noqa: BLE001 - it is raised where the request waits
            return error

    def _logged(self, live: Live, written: Sequence[_Written]) -> list[Outcome]:
        """Return the answers once the log holds them; one that it cannot hold is nothing to the others."""
        if not written:
            return []
        now = perf_counter()
        answered = [
            Answered(one.request, one.prediction, one.job.origin.shadow, (now - one.job.started) * 1e3)
            for one in written
        ]
        try:
            self._log.append(answered, live.version)
        except Exception as error:  # noqa: BLE001 - it is raised where the requests wait
            if isinstance(error, Unavailable) or len(written) == 1:
                return [error] * len(written)
            return [self._logged(live, [one])[0] for one in written]
        for one in written:
            live.metrics[one.job.origin].rows.inc(one.request.rows)
        return [one.response for one in written]

    def _predict(self, live: Live, requests: Sequence[InferRequest]) -> Sequence[Prediction | TrimtabError]:
        """Score requests, those from the cache that it knows."""
        if live.cache is None:
            return self._run(live, requests)
        keys = [cache.keys(request) for request in requests]
        found = [live.cache.find(one) for one in keys]
        fresh = [request for request, known in zip(requests, found, strict=True) if known is None]
        computed = iter(self._run(live, fresh))
        predictions = []
        for request, row_keys, known in zip(requests, keys, found, strict=True):
            prediction = next(computed) if known is None else known
            predictions.append(prediction)
            if known is not None:
                live.cached_rows.inc(request.rows)
            elif isinstance(prediction, Prediction):
                live.cache.keep(row_keys, prediction)
        return predictions

    def _run(self, live: Live, requests: Sequence[InferRequest]) -> list[Prediction | TrimtabError]:
        """Score requests in as few runs of the model as it gains by."""
        together = self._together if live.model.gains_together else 1
        predictions: list[Prediction | TrimtabError] = []
        for start in range(0, len(requests), together):
            some = requests[start : start + together]
            live.batch_rows.observe(sum(request.rows for request in some))
            predictions += batch.predict(live.model, some)
        return predictions

    def _at_the_door(
        self, constraints: door.Constraints, live: Live, job: Job, request: InferRequest
    ) -> Headers:
        """Return the header that flags what the request breaks, if anything; or refuse the request."""
        breaches = constraints.broken(request)
        if not breaches:
            return ()
        if job.origin is Origin.LIVE:  # the mirror's copy is the same rows again
            for breach in breaches:
                live.metrics[Origin.LIVE].broken[breach.feature, breach.check].inc(breach.rows)
        if self._rejects:
            raise DataError(at_most(list(constraints.problems(breaches))))
        return (door.header(breaches),)


def _no_answer(error: TrimtabError, request: InferRequest) -> Exception:
    """Blame the rows where values are missing that the model cannot do without; it counts as an error still.

    A version that fails on rows which another one answers is the worse one.
    """
    if not isinstance(error, NoAnswer):
        return error
    missing = request.values.missing()
    if not missing:
        return error
    text = f"{error}; it may need a value where {', '.join(missing)} has none"
    return HttpError(422, text, is_fault=True)


def _response(answer: Answer, headers: Headers) -> Response:
    if answer.json_bytes is None:
        return Response(200, answer.body, headers=headers)
    length = (binary.HEADER, str(answer.json_bytes).encode())
    return Response(200, answer.body, binary.CONTENT_TYPE, (*headers, length))
