"""What is read of the bodies of requests and responses."""

import json
import re
from typing import Any

import pytest

import spec
from serving.payloads.halves import Asked
from serving.payloads.request import Requests
from serving.payloads.response import Responses
from spec.private import Tokens

TIDES = """
model: tides
task: {task}
data: {{inference_log: log, labels: labels, id: id, time: at, target: {{name: late{classes}}}}}
features: {{depth: numeric, spring: boolean, port: categorical}}
"""
BINARY = spec.loads(TIDES.format(task="binary", classes=""))
MULTI = spec.loads(TIDES.format(task="multiclass", classes=", classes: [early, late, never]"))
REGRESSION = spec.loads(TIDES.format(task="regression", classes=""))
NUMBERS = spec.loads("""
model: waves
task: regression
data: {inference_log: log, labels: labels, id: id, time: at, target: {name: height}}
features: {wind: numeric, storm: boolean}
""")
NOON = 1_709_208_000_000_000
ROW: dict[str, Any] = {"depth": 2.5, "spring": True, "port": "Brest"}


def ask(content: object, model: spec.ModelSpec = BINARY) -> Asked:
    """Read a request."""
    return Requests(model, None).read(json.dumps(content).encode(), "ce", NOON)


def scores(content: object, model: spec.ModelSpec = BINARY) -> list[float]:
    """Read a response."""
    return Responses(model).read(json.dumps(content).encode()).values


def tensor(name: str, datatype: str, *data: Any) -> dict[str, Any]:
    """A V2 tensor of one dimension."""
    return {"name": name, "shape": [len(data)], "datatype": datatype, "data": list(data)}


V2 = [tensor("depth", "FP32", 2.5), tensor("spring", "BOOL", *[True]), tensor("port", "BYTES", "Brest")]


@pytest.mark.parametrize(
    "content",
    [
        {"instances": [[2.5, True, "Brest"]]},
        {"instances": [[2.5, 1, "Brest"]]},
        {"instances": [ROW]},
        {"inputs": V2},
        {"inputs": V2[::-1]},
    ],
    ids=["lists", "truth as a number", "objects", "V2", "V2 in any order"],
)
def test_both_protocols_say_the_same(content: dict[str, Any]) -> None:
    """A row is the same columns of the log, however it was asked for."""
    assert ask(content) == Asked(NOON, ["ce"], [NOON], {"depth": [2.5], "spring": [True], "port": ["Brest"]})


def test_a_matrix_of_v2_is_in_the_features_order() -> None:
    """One tensor [rows, features] holds the features in the spec's order, flat or nested."""
    flat = {"name": "input-0", "shape": [2, 2], "datatype": "FP32", "data": [1, 0, 2, 1]}
    nested = flat | {"data": [[1, 0], [2, 1]]}
    wanted = {"wind": [1, 2], "storm": [False, True]}

    assert ask({"inputs": [flat]}, NUMBERS).columns == wanted
    assert ask({"inputs": [nested]}, NUMBERS).columns == wanted


def test_rows_of_one_request_have_ids_and_times_of_their_own() -> None:
    """Columns of the id and the time name rows; else the event does, with the row's number behind its id."""
    named = [ROW | {"id": 7, "at": "2024-02-28T12:00:00Z"}, ROW | {"id": "8", "at": "2024-02-27T12:00:00Z"}]
    day = 86_400_000_000

    assert ask({"instances": named})[:3] == (NOON, ["7", "8"], [NOON - day, NOON - 2 * day])
    assert ask({"instances": [ROW, ROW]})[:3] == (NOON, ["ce/0", "ce/1"], [NOON, NOON])
    v2 = {"id": "own", "parameters": {"event_time": "2024-02-28T12:00:00Z"}, "inputs": V2}
    assert ask(v2)[:3] == (NOON, ["own"], [NOON - day])


def test_private_values_are_gone_before_anything_is_kept() -> None:
    """A dropped feature has no column, a tokenized one has tokens."""
    text = TIDES.format(task="binary", classes="").replace(
        "port: categorical", "port: {type: categorical, private: tokenize}"
    )
    model = spec.loads(
        text.replace("depth: numeric", "depth: {type: numeric, private: drop}") + "retrain: {on: []}"
    )
    tokens = Tokens(("port",), b"k" * 32, "0badc0de", re.compile("0badc0de:.*"))
    columns = Requests(model, tokens).read(json.dumps({"instances": [ROW]}).encode(), "ce", NOON).columns

    assert set(columns) == {"spring", "port"}
    assert columns["port"][0].startswith("0badc0de:")


@pytest.mark.parametrize(
    ("content", "where"),
    [
        ([], "data"),
        ({}, "inputs"),
        ({"instances": []}, "instances"),
        ({"instances": {"depth": [1]}}, "instances"),
        ({"instances": [[2.5, True]]}, "instances[0]"),
        ({"instances": [7]}, "instances[0]"),
        ({"instances": [ROW | {"tide": 1}]}, "instances[0]"),
        ({"instances": [{"depth": 1, "spring": None}]}, "instances[0].port"),
        ({"instances": [["deep", True, "Brest"]]}, "inputs: depth.data[0]"),
        ({"instances": [[2.5, 2, "Brest"]]}, "inputs: spring.data[0]"),
        ({"instances": [ROW | {"at": "noon"}]}, "parameters.event_times[0]"),
        ({"instances": [ROW | {"id": "a"}, ROW | {"id": "a"}]}, "parameters.ids"),
        ({"inputs": V2[:2]}, "inputs: port"),
        ({"inputs": [{"name": "x", "shape": [2, 3], "data": [1, 2, 3]}]}, "inputs[0].data"),
        ({"inputs": [{"name": "x", "shape": [1, 3], "data": [[1, 2, 3], 4]}]}, "inputs[0].data"),
        ({"inputs": V2, "parameters": 3}, "parameters"),
    ],
)
def test_a_request_that_cannot_be_right_is_refused(content: object, where: str) -> None:
    """The error says where."""
    with pytest.raises(spec.RequestError) as caught:
        ask(content)

    assert where in [problem.where for problem in caught.value.problems]


def test_a_request_is_no_larger_than_the_spec_allows() -> None:
    """More rows than `serving.rows` are refused."""
    small = BINARY.model_copy(update={"serving": BINARY.serving.model_copy(update={"rows": 1})})

    assert ask({"instances": [ROW]}, small).ids == ["ce"]
    with pytest.raises(spec.RequestError, match="at most 1 rows"):
        ask({"instances": [ROW, ROW]}, small)


def test_scores_are_those_of_the_log() -> None:
    """P(positive), P(class) by class, or the value, flat; of V1 and of V2."""
    assert scores({"predictions": [0.25, 0.5]}) == [0.25, 0.5]
    assert scores({"predictions": [[0.75, 0.25], [0.5, 0.5]]}) == [0.25, 0.5]
    assert scores({"predictions": [[0.5, 0.25, 0.25]]}, MULTI) == [0.5, 0.25, 0.25]
    assert scores({"predictions": [-3, 12]}, REGRESSION) == [-3, 12]
    label = tensor("label", "INT64", 0)
    own = {"name": "probabilities", "shape": [1, 2], "datatype": "FP32", "data": [0.75, 0.25]}
    assert scores({"outputs": [label, own, tensor("other", "FP32", 9)]}) == [0.25]
    assert scores({"outputs": [label, tensor("anything", "FP64", 0.25)]}) == [0.25]


def test_rounding_does_not_make_a_probability_wrong() -> None:
    """Single precision may say a hair more than 1; the log says 1."""
    assert scores({"predictions": [1.0000001, -0.0000001]}) == [1, 0]


def test_the_version_of_a_response_is_told() -> None:
    """V2's model_version is read; without one there is none."""
    read = Responses(REGRESSION).read
    v2 = {"model_version": "7", "outputs": [tensor("value", "FP32", 1.5)]}

    assert read(json.dumps(v2).encode()).version == "7"
    assert read(b'{"predictions": [1.5]}').version is None


@pytest.mark.parametrize(
    ("content", "model", "where"),
    [
        ({"predictions": [1, 0]}, BINARY, "predictions"),
        ({"predictions": [1.5]}, BINARY, "predictions"),
        ({"predictions": []}, BINARY, "predictions"),
        ({"predictions": ["late"]}, BINARY, "predictions"),
        ({"predictions": [[0.5], [0.5, 0.5]]}, BINARY, "predictions"),
        ({"predictions": [[0.5, 0.5]]}, MULTI, "predictions"),
        ({"predictions": [[1.0, 2.0]]}, REGRESSION, "predictions"),
        ({"predictions": {"a": 1}}, REGRESSION, "predictions"),
        ({"outputs": [tensor("label", "INT64", 1)]}, BINARY, "outputs"),
        ({"outputs": [tensor("a", "FP32", 1), tensor("b", "FP32", 1)]}, REGRESSION, "outputs"),
        ({"outputs": [tensor("value", "FP32", 1) | {"shape": [2]}]}, REGRESSION, "outputs: value.shape"),
        ({"outputs": [tensor("value", "FP32", 1) | {"shape": "x"}]}, REGRESSION, "outputs: value.shape"),
        ({"outputs": [tensor("value", "FP32", 1) | {"shape": [-1]}]}, REGRESSION, "outputs: value.shape"),
        ({"outputs": [tensor("value", "FP32", 1) | {"shape": None}]}, REGRESSION, "outputs: value.shape"),
        ({"error": "no"}, REGRESSION, "outputs"),
    ],
)
def test_a_response_without_scores_is_refused(content: object, model: spec.ModelSpec, where: str) -> None:
    """Labels, values beyond what they can be, and other shapes do not become scores."""
    with pytest.raises(spec.RequestError) as caught:
        scores(content, model)

    assert [where] == [problem.where for problem in caught.value.problems]
