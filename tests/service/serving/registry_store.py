"""Fill an MLflow store with versions of a small model; run as a program, so that no test imports MLflow.

Arguments: tracking URI, folder of artifacts. Versions: 1 (champion) and 2 (challenger) fit the spec and
differ; 3 was trained on other features; 4 carries no ONNX file. Beside the store, ``1.onnx`` and ``2.onnx``.
"""

import sys
from pathlib import Path

import mlflow  # noqa: TID253 - a program of its own, no test waits for it
import mlflow.onnx  # noqa: TID253 - as above
import numpy as np
import onnx
import pandas as pd
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import FloatTensorType, StringTensorType
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder

MODEL = "tides"


def train(seed: int, extra: bool = False) -> onnx.ModelProto:  # noqa: FBT002 - a script's switch
    """Fit a pipeline on noise and convert it as the ONNX contract asks."""
    rng = np.random.default_rng(seed)
    numeric = ["depth", "spring", *(["moon"] if extra else [])]
    rows = pd.DataFrame({name: rng.normal(size=400) for name in numeric})
    rows["spring"] = (rows["spring"] > 0).astype(float)
    rows["port"] = rng.choice(["Brest", "Cuxhaven", ""], size=400).astype(object)
    late = (rows["depth"] * (-1) ** seed + rng.normal(size=400) > 0).astype(int)
    encode = ColumnTransformer(
        [("n", "passthrough", numeric), ("c", OneHotEncoder(handle_unknown="ignore"), ["port"])]
    )
    learner = LogisticRegression()
    pipeline = Pipeline([("encode", encode), ("learn", learner)]).fit(rows, late)
    types = [(name, FloatTensorType([None, 1])) for name in numeric] + [("port", StringTensorType([None, 1]))]
    return convert_sklearn(pipeline, initial_types=types, options={id(learner): {"zipmap": False}})


def main(uri: str, folder: Path) -> None:
    """Register the four versions and the two aliases."""
    mlflow.set_tracking_uri(uri)
    client = mlflow.MlflowClient()
    experiment = client.create_experiment(MODEL, artifact_location=(folder / "artifacts").as_uri())
    for version, model in enumerate((train(0), train(1), train(0, extra=True)), start=1):
        onnx.save(model, str(folder / f"{version}.onnx"))
        with mlflow.start_run(experiment_id=experiment):
            mlflow.onnx.log_model(
                model, name="model", registered_model_name=MODEL, pip_requirements=["onnxruntime"]
            )
    with mlflow.start_run(experiment_id=experiment) as run:
        mlflow.log_text("not a model", "model/README.txt")
    client.create_model_version(MODEL, f"{run.info.artifact_uri}/model", run.info.run_id)
    client.set_registered_model_alias(MODEL, "champion", "1")
    client.set_registered_model_alias(MODEL, "challenger", "2")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
