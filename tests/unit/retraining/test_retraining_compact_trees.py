from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from retraining import learners
from retraining.dataset import rows
from retraining.graphs import export, trees
from retraining.graphs.compact_trees import compact
from spec import ModelSpec, Task
from spec.retrain import Learner

FEATURES = 3
EDGES = (0.0, -0.0, 1.5, -2.25, 1e-40, 3.4e38, np.inf, -np.inf, np.nan)
VALUES = st.sampled_from(EDGES[:6]) | st.floats(-3, 3, width=32)
MODES = ("BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ", "BRANCH_NEQ")
OLD = {"TreeEnsembleClassifier", "TreeEnsembleRegressor"}


@dataclass
class Listed:
    """Trees as the attributes of the older operators; `owner` is what their leaves belong to."""

    owner: str
    fields: dict[str, list[Any]] = field(default_factory=dict)

    def put(self, **values: Any) -> None:
        """Append one value to each of the attributes named."""
        for name, value in values.items():
            self.fields.setdefault(name, []).append(value)

    def add(self, tree: Any, number: int, target: int, weights: Callable[[float], float]) -> None:
        """Append a tree: a weight, or (feature, mode, value, missing goes to true, true, false)."""
        told: list[tuple[Any, int]] = []

        def place(node: Any) -> int:
            at = len(told)
            told.append((node, at))
            if isinstance(node, tuple):
                ends = [place(child) for child in node[4:]]
                told[at] = ((*node[:4], *ends), at)
            return at

        place(tree)
        for node, at in told:
            inner = node if isinstance(node, tuple) else (0, "LEAF", 0.0, 0, 0, 0)
            names = (
                "featureids",
                "modes",
                "values",
                "missing_value_tracks_true",
                "truenodeids",
                "falsenodeids",
            )
            self.put(**{f"nodes_{name}": value for name, value in zip(names, inner, strict=True)})
            self.put(nodes_treeids=number, nodes_nodeids=at, nodes_hitrates=1.0)
            if not isinstance(node, tuple):
                told_of = {"treeids": number, "nodeids": at, "ids": target, "weights": weights(node)}
                self.put(**{f"{self.owner}_{name}": value for name, value in told_of.items()})


def branching(below: Any) -> Any:
    """Return a strategy for a node above others."""
    return st.tuples(
        st.integers(0, FEATURES - 1), st.sampled_from(MODES), VALUES, st.integers(0, 1), below, below
    )


TREES = st.lists(st.recursive(st.floats(-2, 2, width=32), branching, max_leaves=8), min_size=1, max_size=7)


def graph(kind: str, grown: list[Any], base: list[float]) -> onnx.ModelProto:
    """Return a graph of one older operator: values, votes for two classes, logits for two or three."""
    classes = {"values": 1, "votes": 2, "pair": 2, "three": 3}[kind]
    listed = Listed("target" if kind == "values" else "class")
    grown = grown * 3 if kind == "three" else grown
    for number, tree in enumerate(grown):
        listed.add(tree, number, number % 3 if kind == "three" else 0, abs if kind == "votes" else float)
    transform = {"pair": "LOGISTIC", "three": "SOFTMAX"}.get(kind, "NONE")
    about: dict[str, Any] = {"post_transform": transform, **listed.fields}
    if base and kind != "votes":
        about["base_values"] = [base[0] + index for index in range(3 if kind == "three" else 1)]
    if kind == "values":
        node = helper.make_node(
            "TreeEnsembleRegressor", ["x"], ["variable"], domain="ai.onnx.ml", n_targets=1, **about
        )
    else:
        outputs, labels = ["label", "probabilities"], list(range(classes))
        node = helper.make_node(
            "TreeEnsembleClassifier", ["x"], outputs, domain="ai.onnx.ml", classlabels_int64s=labels, **about
        )
    shapes: dict[str, tuple[int, list[int | None]]] = {
        "label": (TensorProto.INT64, [None]),
        "probabilities": (TensorProto.FLOAT, [None, classes]),
    }
    ends = [
        helper.make_tensor_value_info(name, *shapes.get(name, (TensorProto.FLOAT, [None, 1])))
        for name in node.output
    ]
    given = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, FEATURES])]
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("ai.onnx.ml", 3)]
    return helper.make_model(helper.make_graph([node], "g", given, ends), opset_imports=opsets, ir_version=8)


def answers(model: onnx.ModelProto, fed: np.ndarray | dict[str, np.ndarray]) -> list[np.ndarray]:
    """Run a graph once, on one thread as the model server does; [n, features] go to an input named x."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return list(session.run(None, fed if isinstance(fed, dict) else {"x": fed}))


def inputs(model: onnx.ModelProto, seed: int, n: int = 300) -> np.ndarray:
    """Return rows [n, features] of numbers, edges and values that some node asks about."""
    rng = np.random.default_rng(seed)
    pool = np.concatenate([EDGES, trees.thresholds(model), rng.normal(size=50)])
    return rng.choice(pool, (n, FEATURES)).astype("float32")


@pytest.mark.parametrize("kind", ["values", "votes", "pair", "three"])
@given(grown=TREES, base=st.lists(st.floats(-1, 1, width=32), max_size=1), seed=st.integers(0, 999))
@settings(max_examples=40, deadline=None)
def test_any_trees_answer_the_same(kind: str, grown: list[Any], base: list[float], seed: int) -> None:
    """Values and votes stay bit for bit, labels too, and probabilities of sums within their rounding."""
    model = graph(kind, grown, base)
    short = compact(model)

    onnx.checker.check_model(short)
    assert not OLD & {node.op_type for node in short.graph.node}
    x = inputs(model, seed)
    before, after = answers(model, x), answers(short, x)
    exact = kind in {"values", "votes"}
    assert np.allclose(before[-1], after[-1], rtol=0, atol=0 if exact else 2e-7)
    assert kind == "pair" or np.array_equal(before[0], after[0])


def pipelines() -> list[Any]:
    """Return each learner that grows trees, with each task."""
    grown = [Learner.LIGHTGBM, Learner.HIST_GRADIENT_BOOSTING, Learner.RANDOM_FOREST, Learner.XGBOOST]
    return [pytest.param(learner, task, id=f"{learner.value}-{task}") for learner in grown for task in Task]


def old_form(monkeypatch: pytest.MonkeyPatch, spec: ModelSpec, pipeline: Any) -> onnx.ModelProto:
    """Return the graph as the converters give it."""
    with monkeypatch.context() as patched:
        patched.setattr(export, "compact", lambda model: model)
        return export.to_onnx(spec, pipeline)


def fitted(spec: ModelSpec, frame: pd.DataFrame, learner: Learner, grown: int = 12) -> Any:
    """Return a fitted pipeline of so many trees."""
    params = learners.defaults(learner)
    many = dict.fromkeys(params.keys() & {"n_estimators", "max_iter"}, grown)
    pipeline = learners.build(spec, learner, params | many)
    return pipeline.fit(rows.inputs(spec, frame), rows.target(spec, frame))


def requests(spec: ModelSpec, frame: pd.DataFrame, model: onnx.ModelProto, n: int) -> dict[str, np.ndarray]:
    """Return rows to feed: real values, nulls, infinities, thresholds and categories that nobody has seen."""
    rng = np.random.default_rng(0)
    real = rows.inputs(spec, frame.iloc[rng.integers(0, len(frame), n)])
    edges = np.concatenate([EDGES, rng.choice(trees.thresholds(model), 200)]).astype("float32")
    fed: dict[str, np.ndarray] = {}
    for name in real:
        column, text = real[name].to_numpy(copy=True), real[name].dtype == object
        struck = rng.random(n) < 0.2
        column[struck] = rng.choice(["", "nowhere"] if text else edges, int(struck.sum()))
        fed[str(name)] = column.reshape(-1, 1)
    return fed


@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
@pytest.mark.parametrize(("learner", "task"), pipelines())
def test_every_learner_answers_the_same(
    shop: Callable[..., ModelSpec],
    orders: Callable[..., pd.DataFrame],
    monkeypatch: pytest.MonkeyPatch,
    learner: Learner,
    task: Task,
) -> None:
    """On 10,000 rows, many at the edge: values, votes and labels bit for bit, probabilities to 2e-7."""
    if learner is Learner.XGBOOST:
        pytest.importorskip("xgboost")
    spec, frame = shop(task.value), orders(task.value, n=800)
    pipeline = fitted(spec, frame, learner)
    before, after = old_form(monkeypatch, spec, pipeline), export.to_onnx(spec, pipeline)

    kept = learner is Learner.RANDOM_FOREST and task is Task.MULTICLASS
    assert kept == bool(OLD & {node.op_type for node in after.graph.node})
    assert before.graph.output == after.graph.output
    assert before.graph.input == after.graph.input
    x = requests(spec, frame, before, 10_000)
    old, new = (answers(model, x) for model in (before, after))
    exact = learner is Learner.RANDOM_FOREST or task is Task.REGRESSION
    assert np.allclose(old[-1], new[-1], rtol=0, atol=0 if exact else 2e-7)
    assert np.array_equal(old[0], new[0])


@pytest.mark.parametrize(
    ("learner", "task", "part"),
    [
        (Learner.LIGHTGBM, "binary", 0.4),
        (Learner.RANDOM_FOREST, "binary", 0.3),
        (Learner.RANDOM_FOREST, "multiclass", 0.85),
    ],
)
def test_a_graph_of_a_hundred_trees_is_much_smaller(
    shop: Callable[..., ModelSpec],
    orders: Callable[..., pd.DataFrame],
    monkeypatch: pytest.MonkeyPatch,
    learner: Learner,
    task: str,
    part: float,
) -> None:
    """The bytes are a third; a forest for three classes, whose operator stays, loses what says nothing."""
    spec = shop(task)
    pipeline = fitted(spec, orders(task, n=800), learner, 100)
    before, after = old_form(monkeypatch, spec, pipeline), export.to_onnx(spec, pipeline)

    assert after.ByteSize() < part * before.ByteSize()


@pytest.mark.parametrize("kind", ["values", "votes", "pair", "three"])
@given(grown=TREES, seed=st.integers(0, 999))
@settings(max_examples=15, deadline=None)
def test_trees_are_truncated_alike_in_both_forms(kind: str, grown: list[Any], seed: int) -> None:
    """The first rounds of compact trees answer what the first rounds of the older operator do."""
    model = graph(kind, grown, [0.5])
    short = compact(model)
    assert trees.rounds(model) == trees.rounds(short) == len(grown)
    asked = set(trees.thresholds(model)) - set(trees.thresholds(short))
    assert asked <= {0.0}  # what the older operator has at a leaf

    keep = max(1, len(grown) // 2)
    first, second = (trees.truncate(one, keep, averages=kind == "votes") for one in (model, short))

    onnx.checker.check_model(second)
    x = inputs(model, seed)
    assert np.allclose(answers(first, x)[-1], answers(second, x)[-1], rtol=0, atol=2e-7)
    assert second.ByteSize() <= short.ByteSize()


def test_labels_stay_those_of_the_model() -> None:
    """Names of classes, or numbers that do not count from 0, are answered as they were."""
    leaf = [[1.0], [0.5], [0.25]]
    for name, labels in (
        ("classlabels_strings", [b"no", b"some", b"all"]),
        ("classlabels_int64s", [7, 8, 9]),
    ):
        model = graph("three", leaf[0], [0.0])
        node = model.graph.node[0]
        node.attribute.remove(next(item for item in node.attribute if item.name.startswith("classlabels")))
        node.attribute.append(helper.make_attribute(name, labels))
        if name == "classlabels_strings":
            model.graph.output[0].type.tensor_type.elem_type = TensorProto.STRING
        x = inputs(model, 0, 20)

        assert np.array_equal(answers(model, x)[0], answers(compact(model), x)[0])


@pytest.mark.parametrize(
    "attribute", [("post_transform", "PROBIT"), ("nodes_modes", ["BRANCH_ODD", "LEAF", "LEAF"])]
)
def test_what_has_no_compact_form_stays(attribute: tuple[str, Any]) -> None:
    """A transform or a question that is not known is left to the older operator."""
    model = graph("values", [(0, "BRANCH_LT", 0.5, 0, 1.0, 2.0)], [])
    node = model.graph.node[0]
    node.attribute.remove(next(item for item in node.attribute if item.name == attribute[0]))
    node.attribute.append(helper.make_attribute(*attribute))

    assert [item.op_type for item in compact(model).graph.node] == ["TreeEnsembleRegressor"]


def test_a_graph_without_trees_stays(
    shop: Callable[..., ModelSpec], orders: Callable[..., pd.DataFrame], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A linear model keeps its operators and their version."""
    spec, frame = shop(), orders(n=400)
    pipeline = fitted(spec, frame, Learner.LINEAR)

    assert old_form(monkeypatch, spec, pipeline) == export.to_onnx(spec, pipeline)


def test_a_forest_keeps_its_number_of_trees() -> None:
    """Votes of 0 are left out but in the first tree: it shows the classes, also those it never votes for."""
    model = graph("votes", [(0, "BRANCH_LT", 0.5, 0, 1.0, 0.5), 0.5, 0.5], [])
    node = model.graph.node[0]
    given = {item.name: helper.get_attribute_value(item) for item in node.attribute}
    many = {name: np.repeat(given[f"class_{name}"], 4).tolist() for name in ("treeids", "nodeids")}
    many["ids"] = [0, 1, 2, 3] * 4
    many["weights"] = [0.5, 0.5, 0.0, 0.0] * 2 + [0.0, 0.0, 0.5, 0.5] * 2
    told = {f"class_{name}": values for name, values in many.items()} | {"classlabels_int64s": [0, 1, 2, 3]}
    for item in node.attribute:
        if item.name in told:
            item.CopyFrom(helper.make_attribute(item.name, told[item.name]))
    model.graph.output[1].type.tensor_type.shape.dim[1].dim_value = 4

    short = compact(model)

    assert 3 == trees.rounds(model) == trees.rounds(short)
    assert len(trees.thresholds(short)) == len(trees.thresholds(model))
    assert short.ByteSize() < model.ByteSize()
    x = inputs(model, 0)
    assert all(np.array_equal(*pair) for pair in zip(answers(model, x), answers(short, x), strict=True))
