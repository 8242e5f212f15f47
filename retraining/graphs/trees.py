"""Truncate a tree ensemble inside its ONNX graph: keep the first trees, whatever library grew them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, helper, numpy_helper

from retraining.graphs import flat_trees

_FIELDS = {"TreeEnsembleClassifier": "class", "TreeEnsembleRegressor": "target"}


def rounds(model: onnx.ModelProto) -> int | None:
    """Return how many boosting rounds (or trees of a forest) the graph holds.

    None where it holds no tree ensemble, or several, whose trees belong to different models.
    """
    node = _ensemble(model)
    return None if node is None else len(_trees(node)) // _trees_a_round(node)


def truncate(model: onnx.ModelProto, keep: int, *, averages: bool) -> onnx.ModelProto:
    """Return a copy of the graph with the first `keep` rounds.

    Parameters
    ----------
    keep
        1 ≤ keep ≤ `rounds(model)`.
    averages
        The model is the mean of its trees, whose weights were divided by their number.
    """
    pruned = onnx.ModelProto()
    pruned.CopyFrom(model)
    node = _ensemble(pruned)
    total = rounds(pruned)
    if node is None or total is None or not 1 <= keep <= total:
        msg = f"keep must lie in 1..{total}; got {keep}"
        raise ValueError(msg)
    kept = _trees(node)[: keep * _trees_a_round(node)]
    scale = total / keep if averages else 1.0
    if node.op_type == flat_trees.OPERATOR:
        _keep_flat(node, len(kept), scale)
    else:
        _keep(node, kept, scale)
    return pruned


def thresholds(model: onnx.ModelProto) -> NDArray[np.float64]:
    """Return the values at which the trees of the graph decide, of all features together; [n], unsorted."""
    values = [
        numpy_helper.to_array(_attribute(node, "nodes_splits").t)
        if node.op_type == flat_trees.OPERATOR
        else np.asarray(_attribute(node, "nodes_values").floats)
        for node in _ensembles(model)
    ]
    return np.concatenate(values).astype("float64") if values else np.empty(0)


def _ensembles(model: onnx.ModelProto) -> list[NodeProto]:
    return [node for node in model.graph.node if node.op_type in {*_FIELDS, flat_trees.OPERATOR}]


def _ensemble(model: onnx.ModelProto) -> NodeProto | None:
    found = _ensembles(model)
    return found[0] if len(found) == 1 else None


def _trees(node: NodeProto) -> NDArray[np.int64]:
    flat = node.op_type == flat_trees.OPERATOR
    return _ints(node, "tree_roots") if flat else np.unique(_ints(node, "nodes_treeids"))


def _keep(node: NodeProto, kept: NDArray[np.int64], scale: float) -> None:
    field = _FIELDS[node.op_type]
    for owner in ("nodes", field):
        _filter(node, f"{owner}_", np.isin(_ints(node, f"{owner}_treeids"), kept))
    weights = _attribute(node, f"{field}_weights")
    _replace(weights, (np.asarray(weights.floats) * scale).astype("float32").tolist())


def _keep_flat(node: NodeProto, keep: int, scale: float) -> None:
    given = {item.name: helper.get_attribute_value(item) for item in node.attribute}
    for name, values in flat_trees.first(given, keep, scale).items():
        _attribute(node, name).CopyFrom(helper.make_attribute(name, values))


def _trees_a_round(node: NodeProto) -> int:
    """Multiclass boosting grows one tree a class and round; every other ensemble one a round."""
    if node.op_type == flat_trees.OPERATOR:
        given = {item.name: helper.get_attribute_value(item) for item in node.attribute}
        targets = flat_trees.first(given, 1)["leaf_targetids"]
        return len(np.unique(given["leaf_targetids"])) // len(np.unique(targets))
    field = _FIELDS[node.op_type]
    classes, owners = _ints(node, f"{field}_ids"), _ints(node, f"{field}_treeids")
    in_first = np.unique(classes[owners == owners.min()])
    return len(np.unique(classes)) // len(in_first)


def _filter(node: NodeProto, prefix: str, mask: NDArray[np.bool_]) -> None:
    for attribute in node.attribute:
        if attribute.name.startswith(prefix):
            values = _values(attribute)
            if len(values) == len(mask):
                _replace(attribute, [value for value, kept in zip(values, mask, strict=True) if kept])


def _values(attribute: onnx.AttributeProto) -> Sequence[float | int | bytes]:
    values: Sequence[float | int | bytes] = attribute.floats or attribute.ints or attribute.strings
    return values


def _replace(attribute: onnx.AttributeProto, values: list[float] | list[float | int | bytes]) -> None:
    attribute.CopyFrom(helper.make_attribute(attribute.name, values))


def _attribute(node: NodeProto, name: str) -> onnx.AttributeProto:
    found: onnx.AttributeProto = next(item for item in node.attribute if item.name == name)
    return found


def _ints(node: NodeProto, name: str) -> NDArray[np.int64]:
    return np.asarray(_attribute(node, name).ints, "int64")
