"""Ensembles in the operator of ai.onnx.ml 5, ``TreeEnsemble``: the same trees in a third of the bytes.

The older ``TreeEnsembleClassifier`` and ``TreeEnsembleRegressor`` name the tree and the number of every node
and spell its kind out as a string. ``TreeEnsemble`` keeps inner nodes apart from leaves, points by position,
and its numbers lie in tensors; equal leaves are stored once here.

Thresholds and leaves are copied and summed in the same order, so values, votes and labels stay the same bit
for bit. Probabilities of boosted ensembles stay within 2e-7: ``Softmax`` is a node of its own and rounds
otherwise. The operator's ``post_transform`` is not used, since ONNX Runtime numbers it otherwise than the
standard; a graph should mean the same everywhere.

One label changes for the better: where no leaf of a boosted ensemble for two classes is negative, the older
operator takes the logit for a share of votes. Here a label always is the likelier class.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from numpy.typing import ArrayLike, NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

from retraining.graphs import flat_trees

DOMAIN = "ai.onnx.ml"
_OPSET, _IR = 5, 10
_FIELDS = {"TreeEnsembleClassifier": "class", "TreeEnsembleRegressor": "target"}
_AGGREGATES = (b"AVERAGE", b"SUM", b"MIN", b"MAX")
_SOFTMAX: tuple[str, dict[str, int]] = ("Softmax", {"axis": 1})
_TRANSFORMS = {b"SOFTMAX": _SOFTMAX, b"LOGISTIC": ("Sigmoid", dict[str, int]()), b"NONE": None}
_PAIR = 2
_OF_LEAVES = frozenset({"class_ids", "class_nodeids", "class_treeids", "class_weights"})


def compact(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a copy of the graph whose ensembles are ``TreeEnsemble``.

    That has no room for leaves with a weight for each of several classes, as a forest of more than two
    classes has them. A graph with such leaves keeps the older operators, without what changes no answer.
    """
    ensembles = [node for node in model.graph.node if node.op_type in _FIELDS]
    made = {id(node): _rewritten(node) for node in ensembles}
    short = onnx.ModelProto()
    short.CopyFrom(model)
    if None in made.values():
        for node in short.graph.node:
            if node.op_type in _FIELDS:
                _slim(node)
    elif ensembles:
        _replace(short, [made.get(id(node)) or _Part(node.name, [node]) for node in model.graph.node])
    return short


@dataclass(slots=True)
class _Part:
    """The nodes that take the place of one; each added one reads the output of the last."""

    prefix: str
    nodes: list[NodeProto]
    constants: list[TensorProto] = field(default_factory=list)

    @property
    def last(self) -> str:
        name: str = self.nodes[-1].output[0]
        return name

    def add(self, op: str, constant: ArrayLike | None = None, **attributes: Any) -> None:
        """Append a node; with a second input where a float32 constant is given."""
        name = f"{self.prefix}_{op.lower()}"
        inputs = [self.last]
        if constant is not None:
            self.constant(f"{name}_by", np.asarray(constant, "float32"))
            inputs.append(f"{name}_by")
        self.nodes.append(helper.make_node(op, inputs, [name], name=name, **attributes))

    def constant(self, name: str, values: NDArray[Any]) -> None:
        self.constants.append(numpy_helper.from_array(values, name))


def _replace(model: onnx.ModelProto, parts: list[_Part]) -> None:
    del model.graph.node[:]
    for part in parts:
        model.graph.node.extend(part.nodes)
        model.graph.initializer.extend(part.constants)
    for opset in model.opset_import:
        if opset.domain == DOMAIN:
            opset.version = _OPSET
    model.ir_version = max(model.ir_version, _IR)


def _slim(node: NodeProto) -> None:
    """Leave out how often nodes were reached, the way of missing values if it is false's, and votes of 0."""
    given = {item.name: helper.get_attribute_value(item) for item in node.attribute}
    votes = _votes(given)
    for item in list(node.attribute):
        idle = item.name == "nodes_missing_value_tracks_true" and not any(item.ints)
        if item.name == "nodes_hitrates" or idle:
            node.attribute.remove(item)
        elif votes is not None and item.name in _OF_LEAVES:
            kept = np.asarray(given[item.name])[votes].tolist()
            item.CopyFrom(helper.make_attribute(item.name, kept))


def _votes(given: Mapping[str, Any]) -> NDArray[np.bool_] | None:
    """Return which weights of a forest's leaves count; the first tree keeps all, which tell the classes."""
    classes = np.unique(given.get("class_ids", ()))
    summed = "base_values" in given or given.get("post_transform", b"NONE") != b"NONE"
    if summed or len(classes) <= _PAIR:
        return None
    tree, leaf = (np.asarray(given[f"class_{name}ids"]) for name in ("tree", "node"))
    counts = (np.asarray(given["class_weights"]) != 0) | (tree == tree.min())
    leaves = tree << 32 | leaf
    left = np.isin(leaves, leaves[counts]).all()  # none may be left without a weight
    return counts if left else None


def _rewritten(node: NodeProto) -> _Part | None:
    given = {item.name: helper.get_attribute_value(item) for item in node.attribute}
    trees = flat_trees.attributes(given, _FIELDS[node.op_type])
    if trees is None:
        return None
    if node.op_type == "TreeEnsembleRegressor":
        return _values(node, given, trees)
    return _classes(node, given, trees)


def _values(node: NodeProto, given: Mapping[str, Any], trees: flat_trees.Attributes) -> _Part | None:
    aggregate = given.get("aggregate_function", b"SUM")
    if given.get("post_transform", b"NONE") != b"NONE" or aggregate not in _AGGREGATES:
        return None
    targets = given.get("n_targets", 1)
    part = _summed(node, trees, targets, _AGGREGATES.index(aggregate))
    if any(given.get("base_values", ())):
        part.add("Add", given["base_values"])
    part.nodes[-1].output[0] = node.output[0]
    return part


def _classes(node: NodeProto, given: Mapping[str, Any], trees: flat_trees.Attributes) -> _Part | None:
    """Return the nodes of a classifier; labels are told from the sums, as ties may come with the rounding."""
    numbers, names = (given.get(f"classlabels_{kind}", ()) for kind in ("int64s", "strings"))
    labels = np.asarray(numbers, "int64") if numbers else np.asarray(names, object)
    classes, scored = len(labels), set(trees["leaf_targetids"])
    transform, base = given.get("post_transform", b"NONE"), list(given.get("base_values", ()))
    if transform not in _TRANSFORMS or len(base) not in {0, len(scored)}:
        return None
    if classes == _PAIR and len(scored) == 1:
        part = _pair(node, trees, transform, base)
    elif classes > _PAIR and scored == set(range(classes)):
        part = _summed(node, trees, classes)
        if any(base):
            part.add("Add", base)
    else:
        part = None
    return None if part is None else _labelled(part, node, labels, transform)


def _pair(node: NodeProto, trees: flat_trees.Attributes, transform: bytes, base: list[float]) -> _Part | None:
    """Return the nodes that sum up for two classes whose leaves only speak of the second.

    A vote p becomes (1 - p, p); a logit s becomes (0, s), whose softmax are the two probabilities.
    """
    votes = transform == b"NONE"
    weights = numpy_helper.to_array(trees["leaf_weights"])
    if transform == b"SOFTMAX" or (votes and (base or (weights < 0).any())):
        return None
    part = _summed(node, trees | {"leaf_targetids": [0] * len(weights)}, 1)
    part.add("Mul", [-1, 1] if votes else [0, 1])
    if votes or any(base):
        part.add("Add", [1, 0] if votes else [0, *base])
    return part


def _labelled(part: _Part, node: NodeProto, labels: NDArray[Any], transform: bytes) -> _Part:
    label, probabilities = node.output
    source, applied = part.last, _TRANSFORMS[transform]
    if applied is not None:
        op, attributes = applied if len(labels) > _PAIR else _SOFTMAX
        part.add(op, **attributes)
    else:
        source = probabilities
    part.nodes[-1].output[0] = probabilities
    name = f"{part.prefix}_argmax"
    part.nodes.append(helper.make_node("ArgMax", [source], [label], name, axis=1, keepdims=0))
    if labels.dtype == object or not np.array_equal(labels, np.arange(len(labels))):
        index, names = f"{part.prefix}_index", f"{part.prefix}_labels"
        part.nodes[-1].output[0] = index
        part.constant(names, labels)
        part.nodes.append(helper.make_node("Gather", [names, index], [label], f"{part.prefix}_gather"))
    return part


def _summed(node: NodeProto, trees: flat_trees.Attributes, targets: int, aggregate: int = 1) -> _Part:
    """Return the part that begins with the sums of the trees, [n, targets]."""
    prefix = node.name or node.output[0]
    name = f"{prefix}_sum"
    made = helper.make_node(
        flat_trees.OPERATOR,
        node.input,
        [name],
        name=name,
        domain=DOMAIN,
        n_targets=targets,
        aggregate_function=aggregate,
        **trees,
    )
    return _Part(prefix, [made])
