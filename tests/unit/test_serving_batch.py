from pathlib import Path

import numpy as np
import onnx
import orjson
import pytest
from onnx import TensorProto, helper

import spec
from serving import batch
from serving.model import NoAnswer, OnnxModel
from serving.protocol import InferRequest, Prediction, Protocol

TIDES = spec.loads("""
model: tides
task: regression
data: {inference_log: log, labels: labels, id: id, time: at, target: {name: height}}
features: {depth: numeric}
""")


@pytest.fixture
def model(tmp_path: Path) -> OnnxModel:
    """A graph that answers e to the depth: infinite from 89 on."""
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, 1]) for name in ("depth", "variable")
    ]
    graph = helper.make_graph([helper.make_node("Exp", ["depth"], ["variable"])], "g", ends[:1], ends[1:])
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9),
        str(tmp_path / "model.onnx"),
    )
    return OnnxModel(tmp_path / "model.onnx", TIDES)


def request(*depths: float) -> InferRequest:
    """Some rows."""
    tensor = {"name": "depth", "shape": [len(depths)], "datatype": "FP64", "data": depths}
    return Protocol(TIDES).parse(orjson.dumps({"inputs": [tensor]}), "x")


def test_each_request_gets_its_own_rows(model: OnnxModel) -> None:
    """Requests of several rows each are answered as each alone, to float noise."""
    requests = [request(0.0), request(1.0, 2.0, 3.0), request(-1.0, 0.5)]
    together = batch.predict(model, requests)
    alone = [batch.predict(model, [one])[0] for one in requests]

    for joined, single in zip(together, alone, strict=True):
        assert isinstance(joined, Prediction)
        assert isinstance(single, Prediction)
        np.testing.assert_allclose(joined.scores, single.scores, rtol=1e-6)


def test_a_bad_request_fails_alone(model: OnnxModel) -> None:
    """One that the model has no number for does not spoil the others' answers."""
    first, bad, last = batch.predict(model, [request(0.0), request(0.0, 1000.0), request(1.0)])

    assert isinstance(bad, NoAnswer)
    assert isinstance(first, Prediction)
    assert isinstance(last, Prediction)
    np.testing.assert_allclose([first.scores[0, 0], last.scores[0, 0]], [1.0, np.e], rtol=1e-6)
