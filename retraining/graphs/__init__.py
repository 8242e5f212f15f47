"""The served form of a model: one ONNX graph, its export, the gate of faithfulness, its trees, its scores."""
