"""A fitted scikit-learn pipeline as one ONNX graph, preprocessing included.

Inputs: one a feature, named as it, [None, 1], float32 or string (``""`` is null). Outputs: ``label``
(int64 [None]) and ``probabilities`` (float32 [None, k]), or ``variable`` (float32 [None, 1]). Ensembles of
trees are as `retraining.graphs.compact_trees` makes them, wherever it can.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import FloatTensorType, StringTensorType
from sklearn.pipeline import Pipeline

from retraining.graphs import converters
from retraining.graphs.compact_trees import compact
from spec import DataError, FeatureType, ModelSpec, Problem, Refused, Task

_OPSETS = {"": 18, "ai.onnx.ml": 3}
_OUTPUTS = {True: ("variable",), False: ("label", "probabilities")}


def to_onnx(spec: ModelSpec, pipeline: Pipeline) -> onnx.ModelProto:
    """Convert a fitted pipeline; whether the graph is faithful is for `retraining.graphs.parity` to say.

    Raises
    ------
    DataError
        The pipeline's classes are not those of the spec.
    Refused
        The pipeline holds something that has no conversion.
    """
    order = _class_order(spec, pipeline)
    model = compact(_convert(spec, pipeline))
    _name_outputs(model, spec)
    if order is not None:
        _reorder_classes(model, order)
    _declare_all_inputs(model, spec)
    onnx.checker.check_model(model)
    return model


def _convert(spec: ModelSpec, pipeline: Pipeline) -> onnx.ModelProto:
    converters.register()
    if type(pipeline.steps[-1][1]).__module__.startswith("xgboost."):
        from retraining.graphs import xgboost  # noqa: PLC0415 - an extra

        xgboost.register()
    text = spec.features_of(FeatureType.CATEGORICAL)
    types = [
        (name, StringTensorType([None, 1]) if name in text else FloatTensorType([None, 1]))
        for name in spec.features
    ]
    options = {} if spec.task is Task.REGRESSION else {id(pipeline.steps[-1][1]): {"zipmap": False}}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # protobuf and the converter deprecate each other's types
            model: onnx.ModelProto = convert_sklearn(
                pipeline, spec.model, types, options=options, target_opset=_OPSETS
            )
            return model
    except (RuntimeError, ValueError, TypeError, KeyError, IndexError, AttributeError, NameError) as error:
        why = " ".join(str(error).split())[:400]
        msg = f"The pipeline does not convert to ONNX: {type(error).__name__}: {why}"
        raise Refused(msg) from error


def _class_order(spec: ModelSpec, pipeline: Pipeline) -> list[int] | None:
    """Return the pipeline's column of each class of the spec; None where its labels already are 0..k-1."""
    if spec.task is Task.REGRESSION:
        return None
    found = list(getattr(pipeline, "classes_", ()))
    wanted: list[Any] = [0, 1] if spec.task is Task.BINARY else list(spec.data.target.classes or ())
    if found == list(range(len(wanted))):
        return None
    if sorted(map(str, found)) == sorted(map(str, wanted)) and spec.task is Task.MULTICLASS:
        return [found.index(name) for name in wanted]
    must = f"must be {', '.join(map(str, wanted))}"
    hint = "Fit on true and false, or 1 and 0" if spec.task is Task.BINARY else "Fit on the names of the spec"
    raise DataError([Problem("pipeline.classes_", must, ", ".join(map(str, found)) or "none", hint)])


def _name_outputs(model: onnx.ModelProto, spec: ModelSpec) -> None:
    wanted = _OUTPUTS[spec.task is Task.REGRESSION]
    found = [output.name for output in model.graph.output]
    if len(found) != len(wanted):
        msg = f"The converted graph answers {', '.join(found)} where {', '.join(wanted)} is expected"
        raise Refused(msg)
    for old, new in zip(found, wanted, strict=True):
        _rename_output(model, old, new)


def _rename_output(model: onnx.ModelProto, old: str, new: str) -> None:
    if old == new:
        return
    model.graph.node.append(helper.make_node("Identity", [old], [new], name=f"name_{new}"))
    next(output for output in model.graph.output if output.name == old).name = new


def _reorder_classes(model: onnx.ModelProto, order: list[int]) -> None:
    """Put the classes in the spec's order and answer the index of the likeliest instead of its name."""
    graph = model.graph
    for node in graph.node:
        for index, name in enumerate(node.output):
            if name in _OUTPUTS[False]:
                node.output[index] = f"own_{name}"
        for index, name in enumerate(node.input):
            if name in _OUTPUTS[False]:
                node.input[index] = f"own_{name}"
    graph.initializer.append(numpy_helper.from_array(np.asarray(order, "int64"), "class_order"))
    graph.node.extend(
        [
            helper.make_node("Gather", ["own_probabilities", "class_order"], ["probabilities"], axis=1),
            helper.make_node("ArgMax", ["probabilities"], ["label"], axis=1, keepdims=0),
        ]
    )
    label = helper.make_tensor_value_info("label", TensorProto.INT64, [None])
    graph.output[0].CopyFrom(label)


def _declare_all_inputs(model: onnx.ModelProto, spec: ModelSpec) -> None:
    """A feature that the pipeline drops is still an input, so that every caller feeds all features."""
    there = {node.name for node in model.graph.input}
    for name, feature in spec.features.items():
        if name not in there:
            text = feature.type is FeatureType.CATEGORICAL
            kind = TensorProto.STRING if text else TensorProto.FLOAT
            model.graph.input.append(helper.make_tensor_value_info(name, kind, [None, 1]))
