"""The model file as MLflow knows it: an ONNX model with a signature, an example and requirements."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from retraining.dataset.rows import inputs
from retraining.registry.connection import quiet
from retraining.release import Release
from spec import FeatureType, ModelSpec, Task

_EXAMPLE_ROWS = 3


def write(spec: ModelSpec, release: Release, folder: Path) -> None:
    """Write MLmodel, model.onnx, input_example.json and requirements.txt into a new folder."""
    import onnx  # noqa: PLC0415 - as heavy as what follows
    import onnxruntime  # noqa: PLC0415 - as above

    with quiet():
        import mlflow.onnx
        from mlflow.models import ModelSignature
        from mlflow.types import ColSpec, Schema

    text = spec.features_of(FeatureType.CATEGORICAL)
    columns: list[Any] = [ColSpec("string" if name in text else "float", name) for name in spec.features]
    outputs = (
        {"variable": "float"} if spec.task is Task.REGRESSION else {"label": "long", "probabilities": "float"}
    )
    with quiet():
        mlflow.onnx.save_model(
            onnx.load(release.onnx),
            str(folder),
            signature=ModelSignature(
                Schema(columns), Schema([ColSpec(kind, name) for name, kind in outputs.items()])
            ),
            input_example=inputs(spec, release.population.head(_EXAMPLE_ROWS)),
            pip_requirements=[f"onnxruntime=={onnxruntime.__version__}"],
            onnx_execution_providers=["CPUExecutionProvider"],
        )
