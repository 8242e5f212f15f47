"""What becomes of one event: whose it is, which half of which prediction, and what is kept of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from hashlib import sha256
from typing import Any

import orjson

from serving.log.trouble import Trouble
from serving.payloads.committer import microseconds
from serving.payloads.event import Event
from serving.payloads.halves import Answered, Asked, joined, packed
from serving.payloads.metrics import PayloadMetrics, Reason
from serving.payloads.pairs import Kind, Outcome, Pairs
from serving.payloads.request import Requests
from serving.payloads.response import Responses
from spec import SLOTS, ModelSpec, NotFound, Problem, RequestError, Settings, Unavailable, did_you_mean
from spec.payloads import Payloads
from spec.private import Tokens

_KINDS: dict[str, Kind] = {
    "org.kubeflow.serving.inference.request": "request",
    "org.kubeflow.serving.inference.response": "response",
}
_COMPONENT = "predictor"
_VERSION, _SLOT = "trimtab/version", "trimtab/slot"
_CANARY = "canary"


class Desk:
    """Takes the events of one model.

    Parameters
    ----------
    payloads
        Which InferenceService is ours, and the version of events that name none.

    Raises
    ------
    SettingsError
        A feature is tokenized and there is no key.
    """

    def __init__(
        self, spec: ModelSpec, settings: Settings, pairs: Pairs, metrics: PayloadMetrics, payloads: Payloads
    ) -> None:
        self._spec = spec
        self._clock = settings.clock
        # Routes of another router are no InferenceServices.
        routes = settings.routes if settings.router != "gateway_api" else {}
        self._service = payloads.service or routes.get(spec.model) or spec.model.replace("_", "-")
        self._requests = Requests(spec, Tokens.of(spec, settings))
        self._responses = Responses(spec)
        self._pairs = pairs
        self._metrics = metrics
        self._version = payloads.version
        self._cannot_keep = Trouble("payloads cannot be kept, so they are refused")

    def take(self, event: Event) -> None:
        """Keep an event, or finish the prediction that it belongs to.

        Raises
        ------
        RequestError
            The event cannot be logged.
        NotFound
            It is of another InferenceService.
        Unavailable
            Nothing can be kept now.
        """
        with self._counted("envelope"):
            kind = self._kind(event)
        with self._counted("unknown_model"):
            self._check_service(event)
        if event.attributes.get("component", _COMPONENT) != _COMPONENT or not event.data.strip():
            self._metrics.took("ignored")
            return
        now = microseconds(self._clock.now())
        half = self._asked(event, now) if kind == "request" else self._answered(event, now)
        key = _key(event)
        with self._counted("rows"):
            self._metrics.took(self._offer(key, kind, packed(half), now))

    def _offer(self, key: str, kind: Kind, half: bytes, now: int) -> Outcome:
        join = partial(joined, self._spec, key, now=now)
        try:
            outcome = self._pairs.offer(key, kind, half, now, join)
        except Unavailable as error:
            self._metrics.write_failures.inc()
            self._cannot_keep.begins(error)
            raise
        self._cannot_keep.ends()
        return outcome

    def _kind(self, event: Event) -> Kind:
        kind = _KINDS.get(event.attributes["type"])
        if kind is None:
            must = f"must be {' or '.join(_KINDS)}"
            raise RequestError([Problem("type", must, repr(event.attributes["type"])[:80])])
        if "inferenceservicename" not in event.attributes:
            raise RequestError([Problem("inferenceservicename", "must name an InferenceService", "nothing")])
        return kind

    def _check_service(self, event: Event) -> None:
        name = event.attributes["inferenceservicename"]
        if name != self._service:
            hint = did_you_mean(name, [self._service])
            msg = f"This receiver takes the payloads of {self._service}, not of {name!r}. {hint}"
            raise NotFound(msg)

    def _asked(self, event: Event, now: int) -> Asked:
        with self._counted("payload"):
            sent = now if event.time is None else event.time
            return self._requests.read(event.data, event.id, sent)

    def _answered(self, event: Event, now: int) -> Answered:
        with self._counted("payload"):
            rows, values, version = self._responses.read(event.data)
            notes = _annotations(event)
            slot = _slot(event, notes)
        with self._counted("version"):
            known = notes.get(_VERSION) or version or self._version
            if not known:
                must = "must be known"
                hint = (
                    f"Log the annotation {_VERSION}, answer with model_version, or set data.payloads.version"
                )
                raise RequestError([Problem("version", must, "none in the event", hint)])
        sent = now if event.time is None else event.time
        return Answered(sent, rows, values, known, slot)

    @contextmanager
    def _counted(self, reason: Reason) -> Iterator[None]:
        try:
            yield
        except (RequestError, NotFound):
            self._metrics.rejected(reason)
            raise


def _key(event: Event) -> str:
    """Name the pair: an id is unique within its source; callers that choose it may share one."""
    names = ("source", "namespace", "inferenceservicename", "component", "id")
    text = "\0".join(event.attributes.get(name, "") for name in names)
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _annotations(event: Event) -> dict[str, str]:
    text = event.attributes.get("annotations")
    if text is None:
        return {}
    try:
        found: Any = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise RequestError([Problem("annotations", "must be JSON", str(error))]) from error
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise RequestError([Problem("annotations", "must be a JSON object of strings", text[:60])])
    return found


def _slot(event: Event, notes: dict[str, str]) -> str:
    """Return the slot that the answering revision stands for."""
    champion, challenger = SLOTS
    named = notes.get(_SLOT)
    if named is not None and named not in SLOTS:
        raise RequestError([Problem(f"annotation {_SLOT}", f"must be {' or '.join(SLOTS)}", repr(named))])
    return named or (challenger if event.attributes.get("endpoint") == _CANARY else champion)
