"""Truncate a tree ensemble inside its ONNX graph: keep the first trees, whatever library grew them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, helper

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
    field = _FIELDS[node.op_type]
    for owner in ("nodes", field):
        _filter(node, f"{owner}_", np.isin(_ints(node, f"{owner}_treeids"), kept))
    if averages:
        weights = _attribute(node, f"{field}_weights")
        scaled = np.asarray(weights.floats, "float64") * (total / keep)
        _replace(weights, scaled.astype("float32").tolist())
    return pruned


def thresholds(model: onnx.ModelProto) -> NDArray[np.float64]:
    """Return the values at which the trees of the graph decide, of all features together; [n], unsorted."""
    nodes = [node for node in model.graph.node if node.op_type in _FIELDS]
    values = [np.asarray(_attribute(node, "nodes_values").floats, "float64") for node in nodes]
    return np.concatenate(values) if values else np.empty(0)


def may_mistake_labels(model: onnx.ModelProto) -> bool:
    """Return whether a boosted binary ensemble, or its first trees, may label a row by its less likely class.

    ONNX Runtime compares the sum of the leaves with 0.5 where no leaf is negative, as it is right for a
    forest's votes, and with 0 otherwise; the logit of a boosted ensemble is always to be held against 0.
    """
    node = _ensemble(model)
    if node is None or node.op_type != "TreeEnsembleClassifier":
        return False
    if not any(item.name == "post_transform" and item.s == b"LOGISTIC" for item in node.attribute):
        return False
    owners = _ints(node, "class_treeids")
    first = np.asarray(_attribute(node, "class_weights").floats)[owners == owners.min()]
    return bool((first >= 0).all())


def _ensemble(model: onnx.ModelProto) -> NodeProto | None:
    found = [node for node in model.graph.node if node.op_type in _FIELDS]
    return found[0] if len(found) == 1 else None


def _trees(node: NodeProto) -> NDArray[np.int64]:
    return np.unique(_ints(node, "nodes_treeids"))


def _trees_a_round(node: NodeProto) -> int:
    """Multiclass boosting grows one tree a class and round; every other ensemble one a round."""
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
