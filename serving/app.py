"""The model server of one slot as a raw ASGI application: routing, health, and the server's life."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from functools import partial
from importlib.metadata import version as installed_version
from pathlib import Path
from urllib.parse import quote

from serving import openapi
from serving.http import (
    HttpError,
    Receive,
    Response,
    Scope,
    Send,
    failure,
    json_response,
    respond,
)
from serving.inference import Inference, Sent
from serving.log.inference_log import InferenceLog
from serving.loop_lag import LoopLag
from serving.metrics import ServingMetrics
from serving.protocol import EXTENSIONS, Protocol
from serving.repository import Repository
from serving.slot import Slot
from spec import SLOTS, ModelSpec, NotFound, Settings, TrimtabError, did_you_mean

_logger = logging.getLogger(__name__)

_ROUTES = (
    "/v2, /v2/health/{live,ready}, /v2/models/MODEL[/versions/V][/ready], "
    "/v2/models/MODEL[/versions/V]/infer, /v2/repository/index, "
    "/v2/repository/models/MODEL/{load,unload}, /metrics, /openapi.json"
)

Handler = Callable[[Scope, Receive], Awaitable[Response]]


def create_app(spec: ModelSpec, slot: str, settings: Settings, file: Path | None = None) -> ServingApp:
    """Build the model server of a slot; it opens the log and loads its version at ASGI start-up.

    Parameters
    ----------
    slot
        One of `spec.SLOTS`.
    file
        ONNX file to answer with instead of the registry's versions; without it loaded, there is no start.

    Raises
    ------
    NotFound
        When there is no such slot.
    """
    if slot not in SLOTS:
        msg = f"There is no slot {slot!r}. {did_you_mean(slot, SLOTS)}"
        raise NotFound(msg)
    return ServingApp(spec, slot, settings, file)


class ServingApp:
    """ASGI: Open Inference Protocol V2, the model repository extension, and ``/metrics``."""

    def __init__(self, spec: ModelSpec, slot: str, settings: Settings, file: Path | None = None) -> None:
        self._spec = spec
        self._settings = settings
        self._metrics = ServingMetrics(spec, slot)
        self._slot = Slot(spec, slot, settings, self._metrics, file)
        self._repository = Repository(spec, self._slot, settings)
        self._protocol = Protocol(spec)
        self._inference: Inference | None = None
        self._infer_path = f"/v2/models/{spec.model}/infer"
        self.infer_url = quote(self._infer_path).encode()
        """Path of inference as it stands in a request's first line."""
        self.is_draining = False
        """Whether each answer is its connection's last."""
        self.is_alone: Callable[[], bool] = lambda: False
        """Tells whether no other request is open; an ASGI server that knows sets it before the start."""

    def drain(self) -> None:
        """Be unready from now on, and ask each client to close its connection with its next answer."""
        self.is_draining = True

    def sent_directly(self, headers: Iterable[tuple[bytes, bytes]]) -> Sent | None:
        """Read the headers of a POST to `infer_url`; None if `answer_directly` cannot take it."""
        return None if self._inference is None else self._inference.sent_directly(headers)

    def answer_directly(
        self, sent: Sent, body: bytes, receive: Receive, reply: Callable[[Response], None]
    ) -> None:
        """Answer a small inference request without ASGI, by one call of `reply` when its turn has come."""
        self._started().begin(sent, body, receive, reply)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or live the server's life."""
        if scope["type"] == "lifespan":
            await self._live_and_die(receive, send)
            return
        await respond(send, await self.answer(scope, receive), last=self.is_draining)

    async def answer(self, scope: Scope, receive: Receive) -> Response:
        """Answer one request, by whatever way it came; a failure is an answer too."""
        try:
            if scope["path"] == self._infer_path and scope["method"] == "POST":
                return await self._started().infer(None, scope, receive)
            return await self._handler(scope)(scope, receive)
        except Exception as error:  # noqa: BLE001 - it is answered, and logged if need be
            return failure(error, f"{scope['method']} {scope['path']}")

    def _handler(self, scope: Scope) -> Handler:
        """Return what answers the path.

        Raises
        ------
        NotFound, HttpError
            When nothing does (404), or not with this method (405).
        """
        method, handler = self._route(scope["path"])
        if scope["method"] != method:
            text = f"{scope['path']} answers {method}, not {scope['method']}"
            raise HttpError(405, text, ((b"allow", method.encode()),))
        return handler

    def _route(self, path: str) -> tuple[str, Handler]:
        match path.split("/")[1:]:
            case ["v2", "models", model, *rest]:
                self._known(model)
                return self._model_route(rest, path)
            case ["v2", "repository", "models", model, "load"]:
                return "POST", partial(self._repository.load, self._known(model))
            case ["v2", "repository", "models", model, "unload"]:
                return "POST", partial(self._repository.unload, self._known(model))
        fixed: dict[str, tuple[str, Handler]] = {
            "/metrics": ("GET", self._exposition),
            "/openapi.json": ("GET", self._openapi),
            "/v2": ("GET", self._server),
            "/v2/health/live": ("GET", self._health),
            "/v2/health/ready": ("GET", self._ready),
            "/v2/repository/index": ("POST", self._repository.index),
        }
        if path not in fixed:
            raise _nothing_at(path)
        return fixed[path]

    def _model_route(self, rest: list[str], path: str) -> tuple[str, Handler]:
        version: str | None = None
        if len(rest) > 1 and rest[0] == "versions":
            version, rest = rest[1], rest[2:]
        match rest:
            case []:
                return "GET", partial(self._model, version)
            case ["ready"]:
                return "GET", partial(self._model_ready, version)
            case ["infer"]:
                return "POST", partial(self._started().infer, version)
        raise _nothing_at(path)

    def _known(self, model: str) -> str:
        if model == self._spec.model:
            return model
        msg = f"This server has no model {model!r}. {did_you_mean(model, [self._spec.model])}"
        raise NotFound(msg)

    def _started(self) -> Inference:
        if self._inference is None:
            raise HttpError(503, "the server has not started: it needs an ASGI server with lifespan")
        return self._inference

    async def _server(self, _scope: Scope, _receive: Receive) -> Response:
        version = installed_version("trimtab")
        return json_response({"name": "trimtab", "version": version, "extensions": EXTENSIONS})

    async def _openapi(self, _scope: Scope, _receive: Receive) -> Response:
        return json_response(openapi.document(self._protocol, installed_version("trimtab")))

    async def _health(self, _scope: Scope, _receive: Receive) -> Response:
        return json_response({"live": True, "ready": self._slot.live is not None and not self.is_draining})

    async def _ready(self, _scope: Scope, _receive: Receive) -> Response:
        return self._readiness({})

    async def _model(self, version: str | None, _scope: Scope, _receive: Receive) -> Response:
        if version is not None:
            self._started().live(version)
        live = self._slot.live
        return json_response(self._protocol.metadata(live.version if live else None))

    async def _model_ready(self, version: str | None, _scope: Scope, _receive: Receive) -> Response:
        if version is not None:
            self._started().live(version)
        return self._readiness({"name": self._spec.model})

    def _readiness(self, about: dict[str, str]) -> Response:
        """Answer both keys: the protocol's text says ``live``, its readers look for ``ready``."""
        if self._slot.live is None or self.is_draining:
            why = "the server is about to stop" if self.is_draining else self._slot.why_not_ready()
            unready = {"live": True, "ready": False, "error": why}
            return json_response(about | unready, 503)
        return json_response(about | {"live": True, "ready": True})

    async def _exposition(self, _scope: Scope, _receive: Receive) -> Response:
        body, content_type = self._metrics.exposition()
        return Response(200, body, content_type.encode())

    async def _live_and_die(self, receive: Receive, send: Send) -> None:
        """Follow ASGI's lifespan: open the log, restore the slot; at the end commit the log."""
        await receive()
        try:
            await self._slot.open()
            log = InferenceLog(self._spec, self._slot.name, self._settings, self._metrics)
        except TrimtabError as error:
            _logger.error("the model server cannot start: %s", error)  # noqa: TRY400 - a reason, no fault
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        except OSError as error:
            _logger.exception("the model server cannot start")
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        self._metrics.log_disk(self._settings.home / "spool")
        by_host = not self._settings.shadow_port
        self._inference = Inference(
            self._spec, self._slot, self._metrics, log, self.is_alone, marked_by_host=by_host
        )
        lag = LoopLag(self._metrics.loop_lag_seconds.observe)
        restoring = asyncio.create_task(self._restore())
        await send({"type": "lifespan.startup.complete"})
        await receive()
        lag.stop()
        restoring.cancel()
        with suppress(asyncio.CancelledError):
            await restoring
        self._inference.close()
        await asyncio.to_thread(log.close)
        await send({"type": "lifespan.shutdown.complete"})

    async def _restore(self) -> None:
        try:
            await self._slot.restore()
        except Exception:
            _logger.exception("slot %s stays empty until a version is loaded", self._slot.name)


def _nothing_at(path: str) -> NotFound:
    msg = f"There is nothing at {path}. Known: {_ROUTES}"
    return NotFound(msg)
