"""Inference requests and answers: those of gRPC are those of REST with the binary tensor extension.

A tensor's bytes are the same in both. Typed contents of strings and floating point numbers become bytes as
well, for JSON has neither infinity nor all bytes; whole numbers and booleans become JSON's.
"""

from __future__ import annotations

from typing import Any

import orjson

from serving import binary
from serving.grpc.messages import ModelInferResponse
from serving.http import Response

_FIELDS = {
    "BOOL": "bool_contents",
    **dict.fromkeys(("INT8", "INT16", "INT32"), "int_contents"),
    "INT64": "int64_contents",
    **dict.fromkeys(("UINT8", "UINT16", "UINT32"), "uint_contents"),
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}
_LISTS = ("ids", "event_times")
"""Parameters that are lists, which gRPC's parameters cannot be: they come as strings of JSON."""

Tensor = dict[str, Any]


def body_of(request: Any) -> tuple[bytes, bytes]:
    """Return a REST request's body, and the header that tells how many bytes of it are JSON.

    What is wrong with the request stays wrong, for whoever answers it to say. Outputs come as bytes to those
    who send bytes, unless ``binary_data_output`` says otherwise.
    """
    raw: list[bytes] = list(request.raw_input_contents)
    is_raw = bool(raw)
    inputs = _raw(request.inputs, raw) if is_raw else [_typed(tensor, raw) for tensor in request.inputs]
    given = {name: _given(name, value_of(one)) for name, one in request.parameters.items()}
    content: Tensor = {"parameters": {"binary_data_output": is_raw} | given, "inputs": inputs}
    if request.id:
        content["id"] = request.id
    if request.outputs:
        content["outputs"] = [{"name": output.name} for output in request.outputs]
    text = orjson.dumps(content)
    return b"".join((text, *raw)), str(len(text)).encode()


def answer_of(response: Response) -> Any:
    """Return a REST answer as gRPC's: outputs that are bytes there are bytes here."""
    told = next((value for name, value in response.headers if name == binary.HEADER), None)
    at = len(response.body) if told is None else int(told)
    content = orjson.loads(response.body[:at])
    version = content["model_version"]
    answer = ModelInferResponse(model_name=content["model_name"], model_version=version, id=content["id"])
    for output in content["outputs"]:
        datatype = output["datatype"]
        tensor = answer.outputs.add(name=output["name"], datatype=datatype, shape=output["shape"])
        if told is None:
            values = output["data"]
            is_text = datatype == "BYTES"
            getattr(tensor.contents, _FIELDS[datatype]).extend(map(str.encode, values) if is_text else values)
        else:
            end = at + output["parameters"]["binary_data_size"]
            answer.raw_output_contents.append(response.body[at:end])
            at = end
    return answer


def value_of(parameter: Any) -> Any:
    """Return the value of a parameter, None if it has none."""
    choice = parameter.WhichOneof("parameter_choice")
    return getattr(parameter, choice) if choice else None


def _given(name: str, value: Any) -> Any:
    if name not in _LISTS or type(value) is not str:
        return value
    try:
        return orjson.loads(value)
    except orjson.JSONDecodeError:
        return value


def _head(tensor: Any) -> Tensor:
    return {"name": tensor.name, "datatype": tensor.datatype, "shape": list(tensor.shape)}


def _bytes(tensor: Any, data: bytes) -> Tensor:
    head = _head(tensor)
    head["parameters"] = {"binary_data_size": len(data)}
    return head


def _raw(inputs: Any, raw: list[bytes]) -> list[Tensor]:
    """Describe tensors whose bytes are behind the JSON; values beside them are as wrong there as here."""
    tensors = [_bytes(tensor, data) for tensor, data in zip(inputs, raw, strict=False)]
    for index in range(len(tensors)):
        if inputs[index].HasField("contents"):
            tensors[index]["data"] = []
    return [*tensors, *map(_head, inputs[len(raw) :])]


def _typed(tensor: Any, raw: list[bytes]) -> Tensor:
    """Describe a tensor with its values, or add their bytes to `raw`."""
    datatype = tensor.datatype
    if datatype not in _FIELDS:
        return _head(tensor)
    values = list(getattr(tensor.contents, _FIELDS[datatype]))
    if datatype in {"FP32", "FP64"}:
        raw.append(binary.packed(datatype, values))
    elif datatype == "BYTES":
        raw.append(b"".join(len(value).to_bytes(4, "little") + value for value in values))
    else:
        return _head(tensor) | {"data": values}
    return _bytes(tensor, raw[-1])
