import struct
from contextlib import suppress
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tritonclient.http import InferInput, InferRequestedOutput, InferResult
from tritonclient.http._utils import _get_inference_request

import spec
from serving import binary
from serving.protocol import InferRequest, Prediction, Protocol
from serving.values import feeds
from spec import RequestError

TIDES = """
model: tides
task: TASK
data: {inference_log: log, labels: labels, id: id, time: at, target: {name: late}}
features: {depth: numeric, spring: boolean, port: categorical}
"""
BINARY = Protocol(spec.loads(TIDES.replace("TASK", "binary")))
CLASSES = Protocol(
    spec.loads(
        TIDES.replace("TASK", "multiclass").replace("name: late", "name: late, classes: [low, hôch, c]")
    )
)
NUMBERS = {"FP16": "f2", "FP32": "f4", "FP64": "f8"} | {
    f"{sign.upper()}INT{bits}": f"{kind}{bits // 8}"
    for sign, kind in (("", "i"), ("u", "u"))
    for bits in (8, 16, 32, 64)
}


def packed(rows: int = 2, datatype: str = "FP64", outputs: list[Any] | None = None) -> tuple[bytes, bytes]:
    """A request as Triton's client packs it, and its header: depths 2, 3, …, spring tides, odd names."""
    values = {
        "depth": (datatype, np.arange(2, 2 + rows, dtype=NUMBERS[datatype])),
        "spring": ("BOOL", np.arange(rows) % 2 == 0),
        "port": ("BYTES", np.array(["Brest", "", "Þórshöfn"] * rows, dtype=np.object_)[:rows]),
    }
    tensors = []
    for name, (kind, column) in values.items():
        tensor = InferInput(name, [rows, 1], kind)
        tensor.set_data_from_numpy(column.reshape(-1, 1), binary_data=True)
        tensors.append(tensor)
    body, size = _get_inference_request(tensors, "one", outputs, 0, False, False, 0, None, None)  # noqa: FBT003
    return body, str(size).encode()


def parse(body: bytes, header: bytes) -> InferRequest:
    """Parse as the server does."""
    return BINARY.parse(body, "fallback", header)


@pytest.mark.parametrize("datatype", NUMBERS)
def test_tritons_bytes_are_the_same_request_as_json(datatype: str) -> None:
    """Each width of numbers, booleans and strings of any script come out as JSON would have brought them."""
    parsed = parse(*packed(3, datatype))

    assert parsed.values.names == ["depth", "spring"]
    assert parsed.values.exact.tolist() == [[2, 3, 4], [1, 0, 1]]
    assert parsed.values.text == {"port": ["Brest", "", "Þórshöfn"]}
    assert feeds([parsed.values])["depth"].tolist() == [[2.0], [3.0], [4.0]]
    assert parsed.outputs == {"label": True, "probabilities": True}  # what the client wants unless told


@settings(deadline=None)
@given(
    st.lists(st.text("abñ", min_size=2, max_size=2), min_size=1, max_size=40)
    | st.lists(st.text("ab", min_size=2, max_size=2), min_size=14, max_size=20)
    | st.lists(st.text(st.characters(codec="utf-8"), max_size=3), min_size=14, max_size=20)
)
def test_strings_come_out_as_they_went_in(texts: list[str]) -> None:
    """Codes of one length, which are read together, and strings of any other kind."""
    content: dict[str, Any] = {"inputs": [{"datatype": "BYTES", "parameters": {"binary_data_size": 0}}]}
    raw = binary.packed("BYTES", texts)
    content["inputs"][0]["parameters"] = {"binary_data_size": len(raw)}
    problems: list[spec.Problem] = []

    binary.fill(content, raw, problems)

    assert not problems
    assert texts == content["inputs"][0]["data"]


def test_nan_is_a_missing_number() -> None:
    """As null is in JSON, for the model and in the log."""
    body, header = packed(1)
    parsed = parse(body.replace(struct.pack("<d", 2.0), struct.pack("<d", float("nan"))), header)

    assert parsed.values.missing() == ["depth"]
    assert np.isnan(feeds([parsed.values])["depth"]).all()


def test_outputs_come_as_bytes_where_they_are_wanted_so() -> None:
    """Triton's reader finds JSON and bytes in one answer; labels of classes are strings in bytes too."""
    prediction = Prediction([1, 0], np.array([[0.25, 0.5, 0.25], [0.9, 0.05, 0.05]], dtype=np.float32))
    outputs = [InferRequestedOutput("probabilities", binary_data=False), InferRequestedOutput("label")]
    answer = CLASSES.answer(parse(*packed(2, outputs=outputs)), prediction, "3")
    assert answer.json_bytes is not None
    read = InferResult.from_response_body(answer.body, False, answer.json_bytes)  # noqa: FBT003 - not verbose

    assert [text.decode() for text in read.as_numpy("label")] == ["hôch", "low"]
    np.testing.assert_array_equal(read.as_numpy("probabilities"), prediction.scores)
    assert read.get_response()["model_version"] == "3"


def test_json_outputs_need_no_header() -> None:
    """A binary request may want JSON alone."""
    outputs = [InferRequestedOutput("label", binary_data=False)]
    prediction = Prediction([1], np.array([[0.25, 0.75]], dtype=np.float32))
    answer = BINARY.answer(parse(*packed(1, outputs=outputs)), prediction, "3")

    assert answer.json_bytes is None
    assert orjson.loads(answer.body)["outputs"][0]["data"] == [1]


def odd(name: str, **changes: Any) -> tuple[bytes, bytes]:
    """A binary request with one tensor's description changed."""
    body, header = packed()
    content = orjson.loads(body[: int(header)])
    next(tensor for tensor in content["inputs"] if tensor["name"] == name).update(changes)
    text = orjson.dumps(content)
    return text + body[int(header) :], str(len(text)).encode()


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (
            (b"{}", b"3"),
            "Inference-Header-Content-Length: must be the bytes of the JSON, at most the body's 2",
        ),
        ((b"{}", b"-1"), "found '-1'"),
        ((b"{}", b"9" * 40), "must be the bytes of the JSON"),
        ((b"{}", "²".encode("latin-1")), "must be the bytes of the JSON"),
        (odd("depth", parameters={"binary_data_size": 7}), "multiple of 8 bytes, one FP64 each; found 7"),
        (odd("depth", parameters={"binary_data_size": 8}), "must hold 2 values, as the shape says; found 1"),
        (odd("depth", parameters={"binary_data_size": 999}), "at most the 31 that are left"),
        (odd("depth", parameters={"binary_data_size": True}), "found True"),
        (odd("depth", data=[1.0, 2.0]), "must have data or a binary_data_size; found both"),
        (odd("depth", datatype="BF16"), "inputs: depth.datatype: must be FP64"),
        (odd("port", parameters={"binary_data_size": 9}), "must end with the 27 bytes"),
        (odd("port", parameters={"binary_data_size": 10}), "string 1 ends behind the tensor"),
    ],
)
def test_odd_bytes_are_explained(request_: tuple[bytes, bytes], expected: str) -> None:
    """Sizes that do not fit, cut strings and unknown types are told with their place."""
    with pytest.raises(RequestError) as caught:
        parse(*request_)
    assert expected in str(caught.value)


def test_bytes_that_are_no_text_are_explained() -> None:
    """A category is UTF-8, as it is in JSON."""
    body, header = packed()
    with pytest.raises(RequestError, match=r"string 0: must be UTF-8"):
        parse(body.replace(b"Brest", b"Bre\xffs"), header)


@given(st.binary(max_size=60), st.integers(0, 80), st.integers(-3, 3))
def test_any_bytes_are_answered_or_explained(noise: bytes, cut: int, shift: int) -> None:
    """Whatever stands behind the JSON, and whatever the header says: an answer or a reason, no crash."""
    body, header = packed()
    length = int(header)
    broken = body[: length + cut] + noise
    with suppress(RequestError):
        assert parse(broken, str(length + shift).encode()).rows


@pytest.mark.parametrize("text", ["12", "1e3", "nan", "inf", " 7 "])
def test_a_string_beside_bytes_is_no_number(text: str) -> None:
    """Where another tensor came as bytes, a string that spells a number is refused as it always is."""
    two = Protocol(spec.loads(TIDES.replace("TASK", "binary").replace("{depth:", "{salt: numeric, depth:")))
    tensors: list[dict[str, Any]] = [
        {"name": "salt", "shape": [1], "datatype": "FP64", "parameters": {"binary_data_size": 8}},
        {"name": "depth", "shape": [1], "datatype": "FP64", "data": [text]},
        {"name": "spring", "shape": [1], "datatype": "BOOL", "data": [None]},
        {"name": "port", "shape": [1], "datatype": "BYTES", "data": ["Brest"]},
    ]
    content = orjson.dumps({"inputs": tensors})

    with pytest.raises(RequestError, match=f"depth.data.0.: must hold numbers or null; found '{text}'"):
        two.parse(content + bytes(8), "fallback", str(len(content)).encode())
