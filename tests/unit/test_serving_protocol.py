import math
from collections.abc import Callable
from typing import Any

import numpy as np
import orjson
import pytest

import spec
from serving.protocol import InferRequest, Prediction, Protocol
from serving.values import feeds

FEATURES = "{depth: numeric, spring: boolean, port: categorical}"
TIDES = f"""
model: tides
task: binary
data: {{inference_log: log, labels: labels, id: id, time: at, target: {{name: late}}}}
features: {FEATURES}
"""
BINARY = Protocol(spec.loads(TIDES))
REGRESSION = Protocol(spec.loads(TIDES.replace("binary", "regression")))
MULTICLASS = Protocol(
    spec.loads(TIDES.replace("binary", "multiclass").replace("name: late", "name: late, classes: [a, b, c]"))
)

Body = dict[str, Any]


def request(**changes: Any) -> Body:
    """One good row; keywords replace or add top-level keys."""
    inputs = [
        {"name": "depth", "shape": [1], "datatype": "FP64", "data": [2.5]},
        {"name": "spring", "shape": [1], "datatype": "BOOL", "data": [True]},
        {"name": "port", "shape": [1], "datatype": "BYTES", "data": ["Brest"]},
    ]
    return {"id": "one", "inputs": inputs} | changes


def tensor(index: int, **changes: Any) -> Body:
    """One good row with one tensor changed; a value of None removes the key."""
    body = request()
    body["inputs"][index] |= changes
    body["inputs"][index] = {key: value for key, value in body["inputs"][index].items() if value is not None}
    return body


def parse(body: object, protocol: Protocol = BINARY) -> InferRequest:
    """Parse as the server does."""
    return protocol.parse(orjson.dumps(body), "fallback")


def test_a_good_row() -> None:
    """A row becomes float32 and string inputs of the shape [1, 1], and its own values for the log."""
    parsed = parse(request())

    assert (parsed.id, parsed.ids, parsed.event_times) == ("one", None, None)
    assert parsed.values.exact.tolist() == [[2.5], [1.0]]
    assert parsed.values.text == {"port": ["Brest"]}
    found = feeds([parsed.values])
    assert found["depth"].dtype == np.float32
    assert found["spring"].tolist() == [[1.0]]
    assert found["port"].tolist() == [["Brest"]]
    assert parsed.outputs == {"label": False, "probabilities": False}


def test_nulls_are_missing_values() -> None:
    """Null is NaN for a number or a boolean, the empty string for a category, and null in the log."""
    body = request()
    for one in body["inputs"]:
        one["data"] = [None]

    parsed = parse(body)

    found = feeds([parsed.values])
    assert math.isnan(found["depth"][0, 0])
    assert math.isnan(found["spring"][0, 0])
    assert found["port"].tolist() == [[""]]
    assert parsed.values.missing() == ["depth", "spring", "port"]
    assert parsed.values.text == {"port": [None]}


def test_the_order_of_the_tensors_does_not_matter() -> None:
    """Columns come in the order of the features, whatever the order in the request."""
    body = request()
    body["inputs"].reverse()

    values = parse(body).values
    assert values.names == ["depth", "spring"]
    assert values.exact.tolist() == [[2.5], [1.0]]


@pytest.mark.parametrize("datatype", ["FP64", "FP32", "FP16", "INT8", "INT64", "UINT8", "UINT64"])
def test_numbers_may_come_in_any_width(datatype: str) -> None:
    """A numeric feature takes every floating and whole type of the protocol."""
    assert parse(tensor(0, datatype=datatype, data=[7])).values.exact[0].tolist() == [7.0]


# what is changed in a good request -> what the error must say
BAD: dict[str, tuple[Callable[[], object], str]] = {
    "array body": (lambda: [1], "body: must be a JSON object; found a list"),
    "no inputs": (lambda: {"id": "a"}, "inputs: must be a list of tensors; found null"),
    "tensor is no object": (lambda: request(inputs=[3]), "inputs[0]: must be a tensor"),
    "nameless tensor": (lambda: tensor(0, name=None), "inputs[0].name: must be the name of a feature"),
    "unknown tensor": (lambda: tensor(0, name="dept"), "Did you mean 'depth'?"),
    "missing tensor": (lambda: request(inputs=request()["inputs"][:2]), "inputs: port: must be given"),
    "duplicated tensor": (
        lambda: request(inputs=[*request()["inputs"], request()["inputs"][0]]),
        "inputs[3]: depth: must be given once",
    ),
    "no shape": (lambda: tensor(0, shape=None), "inputs: depth.shape: must be [rows] or [rows, 1]"),
    "wide shape": (lambda: tensor(0, shape=[1, 2]), "inputs: depth.shape"),
    "no rows": (lambda: tensor(0, shape=[0], data=[]), "at least one row"),
    "no rows anywhere": (
        lambda: request(inputs=[one | {"shape": [0], "data": []} for one in request()["inputs"]]),
        "inputs: port.shape: must be [rows] or [rows, 1] with at least one row; found [0]",
    ),
    "negative rows": (lambda: tensor(0, shape=[-1]), "inputs: depth.shape"),
    "boolean shape": (lambda: tensor(0, shape=[True]), "inputs: depth.shape"),
    "rows differ": (lambda: tensor(1, shape=[2], data=[True, False]), "as many rows as the first tensor, 1"),
    "no datatype": (lambda: tensor(0, datatype=None), "inputs: depth.datatype: must be FP64, FP32"),
    "wrong datatype": (lambda: tensor(0, datatype="BYTES", data=["x"]), "inputs: depth.datatype"),
    "number as category": (lambda: tensor(2, datatype="FP64", data=[1]), "must be BYTES for a categorical"),
    "unhashable datatype": (lambda: tensor(0, datatype=["FP64"]), "inputs: depth.datatype"),
    "no data": (lambda: tensor(0, data=None), "inputs: depth.data: must be a list of values; found null"),
    "scalar data": (
        lambda: tensor(0, data=2.5),
        "inputs: depth.data: must be a list of values; found a number",
    ),
    "binary data": (
        lambda: tensor(0, data=None, parameters={"binary_data_size": 8}),
        "Name the bytes of the JSON in the header Inference-Header-Content-Length",
    ),
    "rows beyond any memory": (
        lambda: request(inputs=[one | {"shape": [2**40]} for one in request()["inputs"]]),
        "inputs: depth.data: must hold 1099511627776 values, as the shape says; found 1",
    ),
    "too little data": (lambda: tensor(0, data=[]), "must hold 1 value, as the shape says; found 0"),
    "too much data": (lambda: tensor(0, data=[1.0, 2.0]), "must hold 1 value, as the shape says; found 2"),
    "text in numbers": (lambda: tensor(0, data=["1.5"]), "inputs: depth.data[0]: must hold numbers or null"),
    "boolean in numbers": (lambda: tensor(0, data=[True]), "must hold numbers or null; found True"),
    "fraction in integers": (lambda: tensor(0, datatype="INT32", data=[1.5]), "must hold whole numbers"),
    "integer out of range": (lambda: tensor(0, datatype="INT8", data=[200]), "must fit INT8; found 200"),
    "negative unsigned": (lambda: tensor(0, datatype="UINT8", data=[-1]), "must fit UINT8; found -1"),
    "too large a number": (lambda: tensor(0, data=[1e300]), "must fit a 32-bit float; found 1e+300"),
    "number in categories": (lambda: tensor(2, data=[3]), "inputs: port.data[0]: must hold strings or null"),
    "number in booleans": (lambda: tensor(1, data=[1]), "must hold true, false or null; found 1"),
    "nested data, flat shape": (lambda: tensor(0, data=[[1.0]]), "must be flat for the shape [1]"),
    "ragged data": (lambda: tensor(0, shape=[2, 1], data=[[1.0], [1.0, 2.0]]), "inputs: depth.data[1]"),
    "half nested data": (lambda: tensor(0, shape=[2, 1], data=[[1.0], 2.0]), "inputs: depth.data[1]"),
    "numeric id": (lambda: request(id=7), "id: must be a non-empty string; found 7"),
    "empty id": (lambda: request(id=""), "id: must be a non-empty string"),
    "parameters list": (lambda: request(parameters=[]), "parameters: must be an object; found a list"),
    "binary output": (
        lambda: request(parameters={"binary_data_output": 1}),
        "parameters.binary_data_output: must be true or false; found 1",
    ),
    "too few ids": (lambda: request(parameters={"ids": []}), "parameters.ids: must be a list of 1"),
    "ids of numbers": (lambda: request(parameters={"ids": [1]}), "parameters.ids"),
    "ids of lists": (lambda: request(parameters={"ids": [["a"]]}), "parameters.ids"),
    "no time": (lambda: request(parameters={"event_time": "soon"}), "must be an ISO 8601 time"),
    "time without zone": (
        lambda: request(parameters={"event_time": "2013-07-01T08:00:00"}),
        "with a time zone",
    ),
    "time as number": (lambda: request(parameters={"event_time": 1372665600}), "must be an ISO 8601 time"),
    "time before 1970": (lambda: request(parameters={"event_time": "1900-01-01T00:00:00Z"}), "years 1970"),
    "time at the edge": (
        lambda: request(parameters={"event_time": "0001-01-01T00:00:00+14:00"}),
        "parameters.event_time",
    ),
    "too many times": (
        lambda: request(parameters={"event_times": ["2013-07-01T08:00:00Z"] * 2}),
        "list of 1",
    ),
    "both kinds of time": (
        lambda: request(
            parameters={"event_time": "2013-07-01T08:00:00Z", "event_times": ["2013-07-01T08:00:00Z"]}
        ),
        "one of event_time and event_times",
    ),
    "outputs object": (lambda: request(outputs={}), "outputs: must be a list of {name}"),
    "unknown output": (lambda: request(outputs=[{"name": "labl"}]), "Did you mean 'label'?"),
    "nameless output": (lambda: request(outputs=["label"]), "outputs[0].name: must be an output"),
    "output twice": (lambda: request(outputs=[{"name": "label"}] * 2), "must be asked for once"),
    "binary requested output": (
        lambda: request(outputs=[{"name": "label", "parameters": {"binary_data": "yes"}}]),
        "outputs[0].parameters.binary_data: must be true or false; found 'yes'",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_request_is_explained(case: str) -> None:
    """Each kind of mistake is a RequestError that says where it stands and what must hold."""
    build, expected = BAD[case]

    with pytest.raises(spec.RequestError) as caught:
        parse(build())

    assert expected in str(caught.value)


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"NaN", b'{"inputs": [1e999]}'])
def test_what_is_not_json_is_explained(body: bytes) -> None:
    """Bytes that are not JSON are a RequestError about the body."""
    with pytest.raises(spec.RequestError, match="body: must be JSON"):
        BINARY.parse(body, "fallback")


def test_all_problems_come_at_once() -> None:
    """One error names every problem of the request."""
    body = request(id=3, parameters={"event_time": "soon"}, outputs=[{"name": "x"}])
    body["inputs"][0]["datatype"] = "STRING"
    body["inputs"][1]["data"] = ["yes"]
    del body["inputs"][2]

    with pytest.raises(spec.RequestError) as caught:
        parse(body)

    places = [problem.where for problem in caught.value.problems]
    assert places == [
        "inputs: depth.datatype",
        "inputs: spring.data[0]",
        "inputs: port",
        "id",
        "parameters.event_time",
        "outputs[0].name",
    ]


def test_a_request_of_nothing_but_problems_stays_readable() -> None:
    """An error lists the first fifty problems and counts the others."""
    body = request(parameters={"event_times": ["soon"] * 80})
    for one in body["inputs"]:
        one["shape"], one["data"] = [80], one["data"] * 80

    with pytest.raises(spec.RequestError, match="found 30 that are not shown") as caught:
        parse(body)

    assert len(caught.value.problems) == 51


def test_ids_of_many_rows() -> None:
    """Rows are named by the ids that the request gives, or follow from its own."""
    body = request()
    for one in body["inputs"]:
        one["shape"], one["data"] = [2, 1], one["data"] * 2

    assert parse(body).ids is None
    assert parse(body | {"parameters": {"ids": ["x", "y"]}}).ids == ["x", "y"]
    with pytest.raises(spec.RequestError, match="different"):
        parse(body | {"parameters": {"ids": ["x", "x"]}})


def test_a_request_without_an_id_gets_the_fallback() -> None:
    """The fallback names a request that names itself not."""
    body = request()
    del body["id"]

    assert parse(body).id == "fallback"


def test_event_times_are_microseconds_in_utc() -> None:
    """An event time is read with its zone; one time stands for every row."""
    body = request(parameters={"event_time": "1970-01-01T02:00:00.000001+01:00"})

    assert parse(body).event_times == [3_600_000_001]


def test_only_the_requested_outputs_are_answered() -> None:
    """Outputs come as asked for, in that order; all of them when the request names none."""
    prediction = Prediction([1], np.array([[0.25, 0.75]], dtype=np.float32))
    asked = parse(request(outputs=[{"name": "probabilities"}]))
    answer = orjson.loads(BINARY.answer(asked, prediction, "3").body)

    assert answer == {
        "model_name": "tides",
        "model_version": "3",
        "id": "one",
        "outputs": [{"name": "probabilities", "shape": [1, 2], "datatype": "FP32", "data": [0.25, 0.75]}],
    }
    assert [
        one["name"] for one in orjson.loads(BINARY.answer(parse(request()), prediction, "3").body)["outputs"]
    ] == [
        "label",
        "probabilities",
    ]


def test_regression_answers_a_value() -> None:
    """A regression has one output, a number a row."""
    prediction = Prediction(None, np.array([[4.5]], dtype=np.float32))
    answer = orjson.loads(REGRESSION.answer(parse(request(), REGRESSION), prediction, "1").body)

    assert answer["outputs"] == [{"name": "value", "shape": [1], "datatype": "FP32", "data": [4.5]}]


def test_multiclass_answers_the_name_of_the_class() -> None:
    """A label is the class as the spec calls it, not its index."""
    prediction = Prediction([2], np.array([[0.1, 0.1, 0.8]], dtype=np.float32))
    answer = orjson.loads(MULTICLASS.answer(parse(request(), MULTICLASS), prediction, "1").body)

    assert answer["outputs"][0] == {"name": "label", "shape": [1], "datatype": "BYTES", "data": ["c"]}


def test_metadata_says_what_to_send_and_what_comes_back() -> None:
    """Metadata list every feature with its best datatype, every output, and the loaded version."""
    metadata = MULTICLASS.metadata("7")

    assert metadata["versions"] == ["7"]
    assert metadata["inputs"] == [
        {"name": "depth", "datatype": "FP64", "shape": [-1, 1]},
        {"name": "spring", "datatype": "BOOL", "shape": [-1, 1]},
        {"name": "port", "datatype": "BYTES", "shape": [-1, 1]},
    ]
    assert metadata["outputs"] == [
        {"name": "label", "datatype": "BYTES", "shape": [-1]},
        {"name": "probabilities", "datatype": "FP32", "shape": [-1, 3]},
    ]
    assert BINARY.metadata(None)["versions"] == []
