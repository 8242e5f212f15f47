"""Which of its inputs a graph looks at: every graph declares all features, and some are in no computation."""

from __future__ import annotations

import onnx


def used(model: onnx.ModelProto) -> tuple[str, ...]:
    """Return the names of the inputs that some node reads, in the graph's order."""
    read = {name for node in model.graph.node for name in node.input}
    return tuple(node.name for node in model.graph.input if node.name in read)
