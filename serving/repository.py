"""The model repository extension: which version a slot answers with, changed by whoever holds the token."""

from __future__ import annotations

import hmac
from typing import Any

import orjson

from serving import tensors
from serving.http import HttpError, Receive, Response, Scope, json_response, read_body
from serving.slot import Slot
from spec import ModelSpec, Problem, RequestError, Settings, read_secret


class Repository:
    """Handlers of ``/v2/repository``; `load` and `unload` want the serving token as a bearer token."""

    def __init__(self, spec: ModelSpec, slot: Slot, settings: Settings) -> None:
        self._spec = spec
        self._slot = slot
        self._token_file = settings.serving_token_file

    async def index(self, _scope: Scope, _receive: Receive) -> Response:
        """List the one model of this server and the state of its slot."""
        live, loading = self._slot.live, self._slot.loading
        idle = "UNAVAILABLE" if loading is None else "LOADING"
        entry = {
            "name": self._spec.model,
            "version": live.version if live else "",
            "state": "READY" if live else idle,
            "reason": f"loading {loading}" if loading else "",
        }
        return json_response([entry])

    async def load(self, model: str, scope: Scope, receive: Receive) -> Response:
        """Load ``parameters.version``, or the version that ``parameters.alias`` (champion) names."""
        self._authorize(scope)
        version, alias = _which(await read_body(scope, receive))
        live = await self._slot.load(version, alias)
        return json_response({"name": model, "version": live.version, "state": "READY"})

    async def unload(self, model: str, scope: Scope, receive: Receive) -> Response:
        """Stop answering until the next load."""
        self._authorize(scope)
        await read_body(scope, receive)
        self._slot.unload()
        return json_response({"name": model, "version": "", "state": "UNAVAILABLE"})

    def _authorize(self, scope: Scope) -> None:
        expected = f"Bearer {read_secret(self._token_file)}".encode()
        sent = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
        if not hmac.compare_digest(sent, expected):
            text = "loading and unloading need the serving token: Authorization: Bearer TOKEN"
            raise HttpError(401, text, ((b"www-authenticate", b"Bearer"),))


def _which(body: bytes) -> tuple[str | None, str]:
    """Read version and alias out of a load request."""
    try:
        content: Any = orjson.loads(body) if body.strip() else {}
    except orjson.JSONDecodeError as error:
        raise RequestError([Problem("body", "must be JSON", str(error))]) from error
    parameters = (content.get("parameters") or {}) if isinstance(content, dict) else content
    if not isinstance(parameters, dict):
        must = 'must be {"parameters": {"version": "3"}} or {"parameters": {"alias": "champion"}}'
        raise RequestError([Problem("body", must, tensors.json_name(parameters))])
    problems = [
        Problem(f"parameters.{name}", "must be 'version' or 'alias'", "an unknown parameter")
        for name in parameters
        if name not in {"version", "alias"}
    ]
    version, alias = parameters.get("version"), parameters.get("alias", "champion")
    if version is not None and not (isinstance(version, str) and version.isdecimal()):
        must = "must be a version number of the registry as a string"
        problems.append(Problem("parameters.version", must, repr(version)))
    if not isinstance(alias, str) or not alias:
        problems.append(Problem("parameters.alias", "must be an alias of the registry", repr(alias)))
    if "version" in parameters and "alias" in parameters:
        problems.append(Problem("parameters", "must hold one of version and alias", "both"))
    if problems:
        raise RequestError(problems)
    return version, alias
