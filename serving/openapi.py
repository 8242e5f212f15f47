"""The description of one model's server as OpenAPI 3.1: what a generated client or a tester reads."""

from __future__ import annotations

from typing import Any

from serving.protocol import Protocol

Json = dict[str, Any]

_VERSION = {"name": "version", "in": "path", "required": True, "schema": {"type": "string"}}
_ERROR = {
    "type": "object",
    "properties": {"error": {"type": "string"}},
    "required": ["error"],
    "additionalProperties": False,
}
_TEXTS = {
    400: "The request is not what the protocol or the model wants; every mistake is told.",
    401: "The serving token is missing or wrong.",
    404: "There is no such model, or its version is not loaded.",
    405: "The path answers another method.",
    409: "Another load runs, or nothing is loaded.",
    413: "The body is too large.",
    429: "Too many requests wait already; Retry-After says in how many seconds they are answered.",
    504: "The deadline passed before the request's turn came; nothing was computed.",
    422: "The rows, or the version, break what the spec states; or the model has no answer without a value.",
    503: "No version is loaded, the registry does not answer, or the answer cannot be logged.",
}
_RETRY: dict[int, Json] = {
    429: {"headers": {"Retry-After": {"required": True, "schema": {"type": "integer", "minimum": 1}}}}
}
_READY = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "live": {"type": "boolean"},
        "ready": {"type": "boolean"},
        "error": {"type": "string"},
    },
    "required": ["live", "ready"],
    "additionalProperties": False,
}
_STATE = {
    "type": "object",
    "properties": {name: {"type": "string"} for name in ("name", "version", "state", "reason")},
    "required": ["name", "version", "state"],
    "additionalProperties": False,
}
_NAMED = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
_WHICH = {
    "type": "object",
    "properties": {
        "parameters": {
            "type": "object",
            "properties": {
                "version": {"type": "string", "pattern": "^[0-9]+$"},
                "alias": {"type": "string", "minLength": 1},
            },
            "maxProperties": 1,
            "additionalProperties": False,
        }
    },
}


def document(protocol: Protocol, release: str) -> Json:
    """Return the OpenAPI document of a model's server.

    Parameters
    ----------
    release
        Version of this software.
    """
    return {
        "openapi": "3.1.0",
        "info": {
            "title": f"{protocol.model}: Open Inference Protocol V2",
            "version": release,
            "description": "Tensors come as JSON, or as bytes behind it (Inference-Header-Content-Length).",
        },
        "paths": _health(protocol.model) | _models(protocol) | _repository(protocol.model),
        "components": {
            "schemas": {"error": _ERROR},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _health(model: str) -> Json:
    live = {"type": "object", "additionalProperties": {"type": "boolean"}}
    server = {"type": "object", "required": ["name", "version", "extensions"]}
    text = {"description": "Prometheus or OpenMetrics text.", "content": {"text/plain": {"schema": {}}}}
    base = f"/v2/models/{model}"
    return {
        "/v2": {"get": _asked("The server.", server)},
        "/v2/health/live": {"get": _asked("Whether the server lives.", live)},
        "/v2/health/ready": {"get": _asked("Whether a version answers.", _READY, unready=_READY)},
        f"{base}/ready": {"get": _asked("Whether the model answers.", _READY, unready=_READY)},
        f"{base}/versions/{{version}}/ready": {
            "get": _asked("Whether this version answers.", _READY, 404, unready=_READY),
            "parameters": [_VERSION],
        },
        "/metrics": {"get": {"summary": "Metrics.", "responses": {"200": text}}},
    }


def _models(protocol: Protocol) -> Json:
    base = f"/v2/models/{protocol.model}"
    metadata = _asked("What the model takes and answers.", _NAMED)
    infer = _asked(
        "Answer rows.", _response(), 400, 404, 413, 422, 429, 503, 504, body=_request(protocol.metadata(None))
    )
    versioned = {"parameters": [_VERSION]}
    return {
        base: {"get": metadata},
        f"{base}/infer": {"post": infer},
        f"{base}/versions/{{version}}": versioned | {"get": _asked(metadata["summary"], _NAMED, 404, 503)},
        f"{base}/versions/{{version}}/infer": versioned | {"post": infer},
    }


def _repository(model: str) -> Json:
    base = f"/v2/repository/models/{model}"
    guarded: Json = {"security": [{"token": []}]}
    load = _asked("Load a version.", _STATE, 400, 401, 404, 409, 413, 422, 503, body=_WHICH) | guarded
    unload = _asked("Stop answering.", _STATE, 401, 404, 409, 413) | guarded
    listed = {"type": "array", "items": _STATE}
    return {
        "/v2/repository/index": {"post": _asked("The model and its state.", listed)},
        f"{base}/load": {"post": load},
        f"{base}/unload": {"post": unload},
    }


def _asked(
    summary: str, answer: Json, *errors: int, body: Json | None = None, unready: Json | None = None
) -> Json:
    """Describe one operation: what it answers, the statuses of its errors, and what it takes."""
    responses = {"200": {"description": summary, "content": _json(answer)}}
    for status in errors:
        schema = {"$ref": "#/components/schemas/error"}
        responses[str(status)] = {"description": _TEXTS[status], "content": _json(schema)} | _RETRY.get(
            status, {}
        )
    if unready is not None:
        responses["503"] = {"description": _TEXTS[503], "content": _json(unready)}
    operation: Json = {"summary": summary, "responses": responses}
    return operation if body is None else operation | {"requestBody": {"content": _json(body)}}


def _json(schema: Json) -> Json:
    return {"application/json": {"schema": schema}}


def _request(metadata: Json) -> Json:
    """Describe an inference request: a tensor a feature, as many rows in each, which no schema can say."""
    wanted = {"enum": [output["name"] for output in metadata["outputs"]]}
    output = {"type": "object", "properties": {"name": wanted}, "required": ["name"]}
    tensors = [_tensor(tensor) for tensor in metadata["inputs"]]
    return {
        "type": "object",
        "properties": {
            "id": {"type": "string", "minLength": 1},
            "parameters": {
                "type": "object",
                "properties": {
                    "event_time": {"format": "date-time"},
                    "timeout": {"type": "integer", "minimum": 1, "description": "Microseconds."},
                },
            },
            "inputs": {
                "type": "array",
                "prefixItems": tensors,
                "items": False,
                "minItems": len(tensors),
                "maxItems": len(tensors),
            },
            "outputs": {"type": "array", "items": output},
        },
        "required": ["inputs"],
    }


def _tensor(described: Json) -> Json:
    values = {"BYTES": "string", "BOOL": "boolean"}.get(described["datatype"], "number")
    return {
        "type": "object",
        "properties": {
            "name": {"const": described["name"]},
            "shape": {"type": "array", "items": {"type": "integer", "minimum": 1}},
            "datatype": {"const": described["datatype"]},
            "data": {"type": "array", "items": {"type": [values, "null"]}, "minItems": 1},
        },
        "required": ["name", "shape", "datatype", "data"],
    }


def _response() -> Json:
    return {
        "type": "object",
        "properties": {
            "model_name": {"type": "string"},
            "model_version": {"type": "string"},
            "id": {"type": "string"},
            "outputs": {"type": "array", "items": _NAMED},
        },
        "required": ["model_name", "model_version", "id", "outputs"],
        "additionalProperties": False,
    }
