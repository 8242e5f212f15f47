"""The payload receiver as a raw ASGI application: who may deliver, what is answered, the server's life."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hmac
import logging

from serving.http import (
    HttpError,
    Receive,
    Response,
    Scope,
    Send,
    error_response,
    json_response,
    read_body,
    respond,
)
from serving.log import delta_table, packing
from serving.log.upkeep import Upkeep
from serving.payloads.committer import Committer
from serving.payloads.desk import Desk
from serving.payloads.event import Event, parse
from serving.payloads.metrics import PayloadMetrics
from serving.payloads.pairs import Pairs
from serving.protocol import at_most
from spec import (
    ModelSpec,
    NotFound,
    Problem,
    RequestError,
    Settings,
    TrimtabError,
    read_secret,
)
from spec.payloads import Payloads

_logger = logging.getLogger(__name__)

_TOO_LARGE = 413
_METHODS = {"/": "POST", "/health": "GET", "/metrics": "GET"}


def create_app(spec: ModelSpec, settings: Settings, payloads: Payloads | None = None) -> PayloadApp:
    """Build the receiver of a model's payloads; it opens its file at ASGI start-up.

    ``POST /`` takes CloudEvents from whoever has the token of `settings.payload_token_file`, as a bearer
    token or as the password of basic credentials. ``GET /health`` and ``GET /metrics`` are open.

    Parameters
    ----------
    payloads
        Stands for the spec's own `data.payloads`; None for those, or for the defaults.
    """
    return PayloadApp(spec, settings, payloads or spec.data.payloads or Payloads())


class PayloadApp:
    """ASGI: KServe's payload logger in, rows of the inference log out."""

    def __init__(self, spec: ModelSpec, settings: Settings, payloads: Payloads) -> None:
        self._spec = spec
        self._settings = settings
        self._payloads = payloads
        self._metrics = PayloadMetrics(spec.model)
        self._desk: Desk | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or live the server's life."""
        if scope["type"] == "lifespan":
            await self._live_and_die(receive, send)
            return
        try:
            response = await self._answer(scope, receive)
        except (TrimtabError, HttpError) as error:
            response = error_response(error)
        except Exception:
            _logger.exception("%s %s failed", scope["method"], scope["path"])
            response = error_response(RuntimeError("an internal error; the receiver's log has it"))
        await respond(send, response)

    async def _answer(self, scope: Scope, receive: Receive) -> Response:
        path, method = scope["path"], scope["method"]
        allowed = _METHODS.get(path)
        if allowed is None:
            msg = f"There is nothing at {path}. Known: {', '.join(_METHODS)}"
            raise NotFound(msg)
        if method != allowed:
            raise HttpError(405, f"{path} answers {allowed}, not {method}", ((b"allow", allowed.encode()),))
        if path == "/metrics":
            body, content_type = self._metrics.exposition()
            return Response(200, body, content_type.encode())
        if path == "/health":
            return json_response({"status": "ok"})
        return await self._deliver(scope, receive)

    async def _deliver(self, scope: Scope, receive: Receive) -> Response:
        """Take the events of a delivery; good ones of a batch are kept even if others are not."""
        if self._desk is None:
            raise HttpError(503, "the receiver has not started: it needs an ASGI server with lifespan")
        self._authorize(scope)
        try:
            body = await read_body(scope, receive, self._spec.serving.body)
        except HttpError as error:
            self._metrics.rejected("too_large" if error.status == _TOO_LARGE else "envelope")
            raise
        try:
            events = parse(scope["headers"], body)
        except RequestError:
            self._metrics.rejected("envelope")
            raise
        errors: list[tuple[int, TrimtabError]] = []
        for at, event in enumerate(events):
            try:
                self._take(self._desk, event)
            except (RequestError, NotFound) as error:
                errors.append((at, error))
        if not errors:
            return json_response({"events": len(events)})
        raise errors[0][1] if len(events) == 1 else _of_batch(errors)

    def _take(self, desk: Desk, event: Event | RequestError) -> None:
        if isinstance(event, RequestError):
            self._metrics.rejected("envelope")
            raise event
        desk.take(event)

    def _authorize(self, scope: Scope) -> None:
        expected = read_secret(self._settings.payload_token_file).encode()
        sent = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
        if not hmac.compare_digest(_secret(sent), expected):
            self._metrics.rejected("credential")
            text = "payloads need the receiver's token: as Bearer, or as the password in the logger's URL"
            raise HttpError(401, text, ((b"www-authenticate", b'Basic realm="payloads"'),))

    async def _live_and_die(self, receive: Receive, send: Send) -> None:
        """Follow ASGI's lifespan: open the file; at the end commit what is finished."""
        await receive()
        try:
            read_secret(self._settings.payload_token_file)
            pairs = self._open()
        except TrimtabError as error:
            _logger.error("the payload receiver cannot start: %s", error)  # noqa: TRY400 - a reason, no fault
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        upkeep = Upkeep(self._settings.clock, self._spec.data.retention)
        table = delta_table.LogTable(self._settings.location(self._spec.data.inference_log), upkeep)
        committer = Committer(pairs, table, self._metrics, self._settings.clock, self._payloads.patience)
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await asyncio.to_thread(committer.close)
        await send({"type": "lifespan.shutdown.complete"})

    def _open(self) -> Pairs:
        folder = self._settings.home / "payloads" / self._spec.model
        pairs = Pairs(folder, packing.header(self._spec))
        self._desk = Desk(self._spec, self._settings, pairs, self._metrics, self._payloads)
        self._metrics.follow(lambda: pairs.waiting, lambda: pairs.rows)
        self._metrics.log_disk(folder)
        if pairs.rows or pairs.waiting:
            _logger.info("recovering %d finished rows, %d halves that wait", pairs.rows, pairs.waiting)
        return pairs


def _of_batch(errors: list[tuple[int, TrimtabError]]) -> RequestError:
    problems = []
    for at, error in errors:
        if isinstance(error, RequestError):
            problems += [
                one
                if one.where.startswith("[")
                else Problem(f"[{at}].{one.where}", one.must, one.found, one.hint)
                for one in error.problems
            ]
        else:
            problems.append(Problem(f"[{at}]", "must be of the receiver's model", str(error)))
    return RequestError(at_most(problems))


def _secret(authorization: bytes) -> bytes:
    """Return what a header proves: the bearer token, or the password of basic credentials."""
    scheme, _, sent = authorization.partition(b" ")
    if scheme.lower() == b"bearer":
        return sent.strip()
    if scheme.lower() != b"basic":
        return b""
    try:
        return base64.b64decode(sent.strip(), validate=True).partition(b":")[2]
    except binascii.Error:
        return b""
