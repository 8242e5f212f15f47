from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import spec
from serving.model import OnnxModel

TIDES = """
model: tides
task: {task}
data: {{inference_log: log, labels: labels, id: id, time: at, target: {{name: height}}}}
features: {{depth: numeric, spring: boolean, port: categorical}}
"""
INPUTS = {"depth": TensorProto.FLOAT, "spring": TensorProto.FLOAT, "port": TensorProto.STRING}
Graph = Callable[..., Path]


@pytest.fixture
def graph(tmp_path: Path) -> Graph:
    """Write a regression graph: depth / spring, or with its parts changed."""

    def write(
        inputs: Mapping[str, int] = INPUTS,
        shape: Sequence[Any] = (None, 1),
        output: str = "variable",
        operator: str = "Div",
        operands: Sequence[str] = ("depth", "spring"),
    ) -> Path:
        node = helper.make_node(operator, operands, [output])
        declared = [helper.make_tensor_value_info(name, kind, shape) for name, kind in inputs.items()]
        result = helper.make_tensor_value_info(output, TensorProto.FLOAT, None)
        body = helper.make_graph([node], "tides", declared, [result])
        model = helper.make_model(body, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
        file = tmp_path / "model.onnx"
        onnx.save(model, str(file))
        return file

    return write


def load(file: Path, task: str = "regression") -> OnnxModel:
    """Open a graph as the server does."""
    return OnnxModel(file, spec.loads(TIDES.format(task=task)))


def feeds(depth: float, spring: float) -> dict[str, Any]:
    """One row."""
    return {
        "depth": np.array([[depth]], dtype=np.float32),
        "spring": np.array([[spring]], dtype=np.float32),
        "port": np.array([["Brest"]], dtype=object),
    }


def test_a_fitting_graph_predicts(graph: Graph) -> None:
    """A graph that fits the spec is loaded, warm, and scores rows."""
    file = graph(operator="Sub")
    model = load(file)

    assert model.predict(feeds(6.0, 1.5)).scores.tolist() == [[4.5]]
    assert model.predict(feeds(6.0, 1.5)).labels is None
    assert model.row_seconds > 0
    assert model.size_bytes == file.stat().st_size


def test_an_answer_that_is_no_number_is_an_error(graph: Graph) -> None:
    """Infinity and NaN are never answered."""
    model = load(graph(operator="Sub"))
    with pytest.raises(spec.TrimtabError, match="not a finite number"):
        model.predict(feeds(float("nan"), 0.0))


def test_a_model_that_fails_says_so(graph: Graph) -> None:
    """What ONNX Runtime raises comes out as an error of ours with its text."""
    model = load(graph(operator="Sub"))
    wrong = feeds(1.0, 1.0) | {"depth": np.array([[1.0, 2.0]], dtype=np.float32)}

    with pytest.raises(spec.TrimtabError, match=r"The model failed: .*depth"):
        model.predict(wrong)


def test_a_model_that_cannot_score_zeros_is_not_loaded(graph: Graph) -> None:
    """The warm-up finds a model whose answer is no number before any request does."""
    with pytest.raises(spec.TrimtabError, match="not a finite number"):
        load(graph(operator="Div"))


def test_scores_of_the_wrong_shape_are_not_loaded(graph: Graph) -> None:
    """The warm-up finds a graph that does not score every row."""
    with pytest.raises(spec.DataError, match=r"must score 64 rows as \[64, 1\]"):
        load(graph(operator="ReduceSum", operands=["depth"]))


def test_every_difference_of_a_graph_is_named(graph: Graph) -> None:
    """One error lists missing, extra, mistyped and misshapen inputs and missing outputs."""
    inputs = {"depth": TensorProto.DOUBLE, "moon": TensorProto.FLOAT, "port": TensorProto.STRING}
    file = graph(inputs, shape=(None, 2), operator="Identity", operands=["moon"], output="height")
    with pytest.raises(spec.DataError) as caught:
        load(file)

    hint = "Retrain the model, or put the feature back into the YAML"
    problems = [str(problem).partition(": ")[2] for problem in caught.value.problems]
    assert problems == [
        "input depth: must be tensor(float) for a numeric feature; found tensor(double)",
        "input depth: must have the shape [rows, 1] with any number of rows; found [None, 2]",
        "input spring: must exist for the feature of that name; found inputs depth, moon, port",
        "input port: must have the shape [rows, 1] with any number of rows; found [None, 2]",
        "input moon: must be a feature of the spec; found no such feature. " + hint,
        "output variable: must exist for regression; found outputs height",
    ]


def test_a_fixed_number_of_rows_does_not_fit(graph: Graph) -> None:
    """A graph for one row only is refused."""
    with pytest.raises(spec.DataError, match="any number of rows"):
        load(graph(shape=(1, 1), operator="Sub"))


def test_a_classifier_needs_label_and_probabilities(graph: Graph) -> None:
    """A regression graph does not fit a binary task."""
    with pytest.raises(spec.DataError) as caught:
        load(graph(operator="Sub"), task="binary")

    assert [problem.where.rpartition(" ")[2] for problem in caught.value.problems] == [
        "label",
        "probabilities",
    ]


def test_what_is_no_onnx_file_is_named(tmp_path: Path) -> None:
    """Bytes that are no model, and no file at all, are a DataError with the path."""
    file = tmp_path / "model.onnx"
    for content in (b"not a model", None):
        if content is None:
            file.unlink()
        else:
            file.write_bytes(content)
        with pytest.raises(spec.DataError, match="must be an ONNX model that ONNX Runtime can load"):
            load(file)
