"""The nodes of a graph that multiply by a constant matrix, as the dense layers of a net do."""

from __future__ import annotations

import onnx
from onnx import TensorProto

MULTIPLY = ("MatMul", "Gemm")


def layers(model: onnx.ModelProto) -> tuple[str, ...]:
    """Return the names of the nodes that multiply by a constant float32 matrix, in the graph's order."""
    matrices = {item.name for item in floats(model) if len(item.dims) == 2}  # noqa: PLR2004 - a matrix
    return tuple(
        node.name for node in model.graph.node if node.op_type in MULTIPLY and node.input[1] in matrices
    )


def floats(model: onnx.ModelProto) -> list[TensorProto]:
    """Return the float32 constants of a graph; they may be changed in place."""
    return [item for item in model.graph.initializer if item.data_type == TensorProto.FLOAT]
