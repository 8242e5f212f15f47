"""Requests of gRPC, whatever they hold, mean what the same values mean over REST."""

from contextlib import suppress
from typing import Any

import numpy as np
import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

import spec
from serving import binary
from serving.grpc import tensors
from serving.grpc.messages import SERVICE, message_class
from serving.protocol import InferRequest, Protocol
from serving.values import feeds

PROTOCOL = Protocol(
    spec.loads("""
model: tides
task: binary
data: {inference_log: log, labels: labels, id: id, time: at, target: {name: late}}
features: {depth: numeric, spring: boolean, port: categorical}
""")
)
Request: Any = message_class(SERVICE.methods_by_name["ModelInfer"].input_type)
unhurried = settings(deadline=None)  # the first example pays for imports
FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False)
ROWS = st.lists(
    st.tuples(FLOATS, st.booleans(), st.text(st.characters(codec="utf-8"))), min_size=1, max_size=5
)
TENSORS = (
    ("depth", "FP32", "fp32_contents"),
    ("spring", "BOOL", "bool_contents"),
    ("port", "BYTES", "bytes_contents"),
)
NAMES = st.sampled_from(["depth", "spring", "port", "", "flod"])
DATATYPES = st.sampled_from(["BOOL", "INT8", "UINT64", "INT64", "FP16", "FP32", "FP64", "BYTES", "", "FLOAT"])
CONTENTS = st.fixed_dictionaries(
    {},
    optional={
        "bool_contents": st.lists(st.booleans(), max_size=3),
        "int_contents": st.lists(st.integers(-(2**31), 2**31 - 1), max_size=3),
        "uint64_contents": st.lists(st.integers(0, 2**64 - 1), max_size=3),
        "fp32_contents": st.lists(st.floats(width=32), max_size=3),
        "fp64_contents": st.lists(st.floats(), max_size=3),
        "bytes_contents": st.lists(st.binary(max_size=5), max_size=3),
    },
)
PARAMETER = st.one_of(
    st.fixed_dictionaries({"bool_param": st.booleans()}),
    st.fixed_dictionaries({"int64_param": st.integers(-(2**63), 2**63 - 1)}),
    st.fixed_dictionaries({"double_param": st.floats()}),
    st.fixed_dictionaries(
        {"string_param": st.sampled_from(["", '["a"]', "[", "2024-02-29T12:00:00Z", "{}"])}
    ),
    st.just({}),
)
PARAMETERS = st.sampled_from(["ids", "event_times", "event_time", "timeout", "binary_data_output", "other"])


def parse(request: Any) -> InferRequest:
    """Parse as the server does."""
    body, json_bytes = tensors.body_of(request)
    return PROTOCOL.parse(body, "fallback", json_bytes)


@unhurried
@given(ROWS)
def test_typed_values_bytes_and_json_mean_the_same(rows: list[Any]) -> None:
    """The model gets the same feeds, in whichever of the three ways the values come."""
    typed, raw = Request(), Request()
    inputs = []
    for (name, datatype, field), column in zip(TENSORS, map(list, zip(*rows, strict=True)), strict=True):
        head = {"name": name, "datatype": datatype, "shape": [len(rows)]}
        inputs.append(head | {"data": column})
        raw.inputs.add(**head)
        raw.raw_input_contents.append(binary.packed(datatype, column))
        values = [value.encode() for value in column] if datatype == "BYTES" else column
        getattr(typed.inputs.add(**head).contents, field).extend(values)
    plain = PROTOCOL.parse(orjson.dumps({"inputs": inputs}), "fallback")

    for other in (parse(typed), parse(raw)):
        assert (other.rows, other.ids, set(other.outputs)) == (plain.rows, plain.ids, set(plain.outputs))
        for name, feed in feeds([plain.values]).items():
            np.testing.assert_array_equal(feeds([other.values])[name], feed)
    assert set(parse(typed).outputs.values()) == {False}
    assert set(parse(raw).outputs.values()) == {True}


@unhurried
@given(
    st.lists(st.tuples(NAMES, DATATYPES, st.lists(st.integers(-2, 3), max_size=2), CONTENTS), max_size=4),
    st.lists(st.binary(max_size=9), max_size=4),
    st.dictionaries(PARAMETERS, PARAMETER, max_size=3),
    st.lists(NAMES | st.just("label"), max_size=2),
)
def test_no_request_is_beyond_words(
    inputs: list[Any], raw: list[bytes], parameters: dict[str, Any], outputs: list[str]
) -> None:
    """Whatever a message holds, it is a request, or it is told what is wrong with it."""
    request = Request(raw_input_contents=raw)
    for name, datatype, shape, contents in inputs:
        tensor = request.inputs.add(name=name, datatype=datatype, shape=shape)
        for field, values in contents.items():
            getattr(tensor.contents, field).extend(values)
    for name, choice in parameters.items():
        request.parameters[name].SetInParent()
        for field, value in choice.items():
            setattr(request.parameters[name], field, value)
    for name in outputs:
        request.outputs.add(name=name)
    with suppress(spec.RequestError):
        parse(request)
