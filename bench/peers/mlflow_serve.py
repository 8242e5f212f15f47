"""Saves an ONNX file as MLflow's own flavour, for `mlflow models serve`: one thread, a tensor a feature.

    python mlflow_serve.py FILE FOLDER

With tensors in the signature a request becomes arrays; with columns it would become a pandas frame, which is
slower, and whose one-dimensional columns a graph of [rows, 1] inputs does not take.
"""

from __future__ import annotations

import sys

import mlflow.onnx  # noqa: TID253 - a program of its own
import numpy as np
import onnx
from mlflow.models import ModelSignature  # noqa: TID253 - as above
from mlflow.types import Schema, TensorSpec  # noqa: TID253 - as above


def save(file: str, folder: str) -> None:
    """Write the folder."""
    model = onnx.load(file)
    kinds = {onnx.TensorProto.STRING: np.dtype("str")}
    inputs = [
        TensorSpec(kinds.get(node.type.tensor_type.elem_type, np.dtype("float32")), (-1, 1), node.name)
        for node in model.graph.input
    ]
    mlflow.onnx.save_model(
        model,
        folder,
        signature=ModelSignature(Schema(inputs)),
        pip_requirements=["onnxruntime"],
        onnx_execution_providers=["CPUExecutionProvider"],
        onnx_session_options={"intra_op_num_threads": 1, "inter_op_num_threads": 1},
    )


if __name__ == "__main__":
    save(*sys.argv[1:])
