"""The dense layers inside an ONNX graph: read them, replace them, and run everything before them.

A dense layer is ``activation(x @ weights + bias)``: a MatMul and an Add, or a Gemm, whose weights are
constants, and then maybe an activation. Only a graph whose dense layers form one chain has layers here; what
branches, or puts something else in between, is left alone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

Activation = Literal["identity", "relu", "tanh", "sigmoid", "softmax"]
RealArray = NDArray[np.floating]
"""float32, as graphs have it, or float64."""

_ACTIVATIONS: dict[str, Activation] = {
    "Relu": "relu",
    "Tanh": "tanh",
    "Sigmoid": "sigmoid",
    "Softmax": "softmax",
}
_OPERATORS = {name: operator for operator, name in _ACTIVATIONS.items()}


@dataclass(frozen=True, slots=True)
class Layer:
    """One dense layer: ``activation(x @ weights + bias)`` for x [n, inputs].

    Parameters
    ----------
    weights
        [inputs, units].
    bias
        [units]; None for none, as the first of two factors has.
    """

    weights: RealArray
    bias: RealArray | None
    activation: Activation

    @property
    def units(self) -> int:
        """Return the number of outputs."""
        return int(self.weights.shape[1])


@dataclass(frozen=True, slots=True)
class Chain:
    """Dense layers, each fed by the one before alone; `entry` and `exit` are the tensors at its ends."""

    layers: tuple[Layer, ...]
    entry: str
    exit: str


@dataclass(slots=True)
class _Found:
    """A layer with the nodes that compute it, in their order."""

    layer: Layer
    nodes: list[NodeProto]

    @property
    def entry(self) -> str:
        return str(self.nodes[0].input[0])

    @property
    def exit(self) -> str:
        return str(self.nodes[-1].output[0])


def find(model: onnx.ModelProto) -> Chain | None:
    """Return the graph's chain of dense layers; None where it has none, or they form no single chain."""
    found = _layers(model)
    if not found:
        return None
    return Chain(tuple(item.layer for item in found), found[0].entry, found[-1].exit)


def replace(model: onnx.ModelProto, layers: Sequence[Layer]) -> onnx.ModelProto:
    """Return a copy of the graph with other layers in the place of its chain.

    Parameters
    ----------
    layers
        Any number; the first takes as many inputs and the last has as many units as those in the graph.
    """
    found = _layers(model)
    chain = find(model)
    if chain is None:
        msg = "the graph has no chain of dense layers"
        raise ValueError(msg)
    ends = (layers[0].weights.shape[0], layers[-1].units)
    wanted = (chain.layers[0].weights.shape[0], chain.layers[-1].units)
    if ends != wanted:
        msg = f"the layers must take and give {wanted}; got {ends}"
        raise ValueError(msg)
    old = {id(node) for item in found for node in item.nodes}
    start = next(index for index, node in enumerate(model.graph.node) if id(node) in old)
    nodes, constants = _emitted(layers, chain.entry, chain.exit)
    before = [node for node in model.graph.node[:start] if id(node) not in old]
    after = [node for node in model.graph.node[start:] if id(node) not in old]
    return _with_nodes(model, [*before, *nodes, *after], constants)


def before(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the graph of everything before the chain: from the inputs to what the layers take [n, d]."""
    chain = find(model)
    if chain is None:
        msg = "the graph has no chain of dense layers"
        raise ValueError(msg)
    wanted, kept = {chain.entry}, []
    for node in reversed(model.graph.node):
        if wanted & set(node.output):
            kept.append(node)
            wanted |= set(node.input)
    inputs = helper.make_node("Identity", [chain.entry], ["layers_input"], name="layers_input")
    cut = _with_nodes(model, [*reversed(kept), inputs], [])
    shape = [None, chain.layers[0].weights.shape[0]]
    del cut.graph.output[:]
    cut.graph.output.append(helper.make_tensor_value_info("layers_input", TensorProto.FLOAT, shape))
    return cut


def _layers(model: onnx.ModelProto) -> list[_Found]:
    """Return the layers in their order; none where they are no single chain."""
    constants = {item.name: numpy_helper.to_array(item) for item in model.graph.initializer}
    users: dict[str, list[NodeProto]] = defaultdict(list)
    for node in model.graph.node:
        for name in node.input:
            users[name].append(node)
    outputs = {output.name for output in model.graph.output}
    found = [
        _grown(item, constants, users, outputs)
        for node in model.graph.node
        if (item := _product(node, constants)) is not None
    ]
    for one, following in pairwise(found):  # nodes are in topological order
        if following.entry != one.exit or len(users[one.exit]) > 1 or one.exit in outputs:
            return []
    hidden_softmax = any(item.layer.activation == "softmax" for item in found[:-1])
    return [] if hidden_softmax else found


def _product(node: NodeProto, constants: dict[str, NDArray[np.generic]]) -> _Found | None:
    """Return the layer that a product by constant float32 weights begins."""
    held = [constants.get(name) for name in node.input]
    if len(held) < 2 or held[0] is not None or held[1] is None:  # noqa: PLR2004 - x and weights
        return None
    weights = held[1]
    if weights.ndim != 2 or weights.dtype != np.float32:  # noqa: PLR2004 - a matrix
        return None
    if node.op_type == "MatMul":
        return _Found(Layer(weights.astype("float32"), None, "identity"), [node])
    settings = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
    plain = (settings.get("transA", 0), settings.get("alpha", 1.0), settings.get("beta", 1.0)) == (0, 1, 1)
    if node.op_type != "Gemm" or not plain:
        return None
    if settings.get("transB", 0):
        weights = weights.T
    bias = _vector(held[2], weights.shape[1]) if len(held) > 2 else None  # noqa: PLR2004 - with a bias
    if len(held) > 2 and bias is None:  # noqa: PLR2004 - as above
        return None
    return _Found(Layer(np.ascontiguousarray(weights, "float32"), bias, "identity"), [node])


def _grown(
    found: _Found,
    constants: dict[str, NDArray[np.generic]],
    users: dict[str, list[NodeProto]],
    outputs: set[str],
) -> _Found:
    """Take in the bias and the activation that follow."""
    layer, nodes = found.layer, list(found.nodes)
    following = _only_user(nodes[-1], users, outputs)
    if following is not None and following.op_type == "Add" and layer.bias is None:
        other = next(name for name in (*following.input, "") if name != nodes[-1].output[0])
        bias = _vector(constants.get(other), layer.units)
        if bias is not None:
            layer = Layer(layer.weights, bias, layer.activation)
            nodes.append(following)
            following = _only_user(following, users, outputs)
    if following is not None and following.op_type in _ACTIVATIONS and _along_units(following):
        layer = Layer(layer.weights, layer.bias, _ACTIVATIONS[following.op_type])
        nodes.append(following)
    return _Found(layer, nodes)


def _only_user(node: NodeProto, users: dict[str, list[NodeProto]], outputs: set[str]) -> NodeProto | None:
    name = node.output[0]
    return users[name][0] if len(users[name]) == 1 and name not in outputs else None


def _vector(constant: NDArray[np.generic] | None, units: int) -> RealArray | None:
    """Return a bias [units] of any shape that adds to each row alike."""
    if constant is None or constant.dtype != np.float32 or constant.size not in (1, units):
        return None
    return np.broadcast_to(constant.astype("float32").reshape(-1), (units,)).copy()


def _along_units(node: NodeProto) -> bool:
    axis = next((attribute.i for attribute in node.attribute if attribute.name == "axis"), -1)
    return node.op_type != "Softmax" or axis in (-1, 1)


def _emitted(
    layers: Iterable[Layer], entry: str, exit_: str
) -> tuple[list[NodeProto], list[onnx.TensorProto]]:
    """Return the nodes and constants of layers from tensor `entry` to tensor `exit_`."""
    nodes: list[NodeProto] = []
    constants = []
    at = entry
    for index, layer in enumerate(layers):
        steps = [("MatMul", f"dense_{index}_weights", layer.weights)]
        if layer.bias is not None:
            steps.append(("Add", f"dense_{index}_bias", layer.bias))
        for operator, name, values in steps:
            constants.append(numpy_helper.from_array(np.ascontiguousarray(values, "float32"), name))
            nodes.append(_node(operator, [at, name], f"dense_{index}_{operator.lower()}"))
            at = nodes[-1].output[0]
        if layer.activation != "identity":
            operator = _OPERATORS[layer.activation]
            nodes.append(_node(operator, [at], f"dense_{index}_{operator.lower()}"))
            at = nodes[-1].output[0]
    nodes[-1].output[0] = exit_
    return nodes, constants


def _node(operator: str, inputs: list[str], name: str) -> NodeProto:
    return helper.make_node(operator, inputs, [name], name=name)


def _with_nodes(
    model: onnx.ModelProto, nodes: list[NodeProto], constants: list[onnx.TensorProto]
) -> onnx.ModelProto:
    """Return a copy of the graph with these nodes, and of its constants only those that they use."""
    used = {name for node in nodes for name in node.input}
    new = {constant.name for constant in constants}
    kept = [item for item in model.graph.initializer if item.name in used - new]
    made = onnx.ModelProto()
    made.CopyFrom(model)
    graph = made.graph
    for old, wanted in ((graph.node, nodes), (graph.initializer, [*kept, *constants])):
        copies = [type(item).FromString(item.SerializeToString()) for item in wanted]
        del old[:]
        old.extend(copies)
    del graph.value_info[:]  # shapes of tensors that may be gone
    return made
