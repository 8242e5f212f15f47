from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer

from retraining import native
from retraining.dataset import rows
from retraining.graphs import parity
from retraining.graphs.export import to_onnx
from retraining.learners import build, defaults
from spec import DataError, ModelSpec, Refused
from spec.retrain import Learner

KINDS = [
    ("binary", Learner.LIGHTGBM),
    ("binary", Learner.HIST_GRADIENT_BOOSTING),
    ("binary", Learner.RANDOM_FOREST),
    ("binary", Learner.LINEAR),
    ("binary", Learner.MLP),
    ("regression", Learner.LIGHTGBM),
    ("regression", Learner.MLP),
    ("multiclass", Learner.RANDOM_FOREST),
]


@pytest.fixture(scope="module")
def fitted(shop: Callable[..., ModelSpec], orders: Callable[..., pd.DataFrame]) -> Callable[..., Any]:
    """Return a fitted pipeline of a task and learner, with what it was fitted on."""
    small = {"n_estimators": 8, "max_iter": 8, "epochs": 2}

    def fit(task: str, learner: Learner) -> tuple[ModelSpec, Pipeline, pd.DataFrame]:
        spec, frame = shop(task), orders(task, n=500)
        params = defaults(learner)
        pipeline = build(spec, learner, params | {key: small[key] for key in params.keys() & small.keys()})
        given = rows.inputs(spec, frame)
        return spec, pipeline.fit(given, rows.target(spec, frame)), given

    return fit


@pytest.mark.parametrize(("task", "learner"), KINDS)
def test_the_loaded_pipeline_answers_as_the_graph_does(
    fitted: Callable[..., Any], tmp_path: Path, task: str, learner: Learner
) -> None:
    """What lies beside the graph is its pipeline: every row and edge row within the parity gate."""
    spec, pipeline, given = fitted(task, learner)

    assert native.save(pipeline, tmp_path / "native")
    loaded = native.load(tmp_path / "native" / native.FILE)

    graph = to_onnx(spec, pipeline).SerializeToString()
    assert parity.check(spec, loaded, graph, given).difference < parity.TOLERANCE
    assert np.array_equal(parity.answer(spec, pipeline, given)[0], parity.answer(spec, loaded, given)[0])


def test_a_lightgbm_model_lies_beside_as_text(fitted: Callable[..., Any], tmp_path: Path) -> None:
    """LightGBM itself reads the text, and answers as its wrapper does."""
    spec, pipeline, given = fitted("binary", Learner.LIGHTGBM)
    native.save(pipeline, tmp_path)

    booster = lightgbm.Booster(model_file=tmp_path / native.BOOSTER)

    codes = pipeline[:-1].transform(given)
    assert np.allclose(parity.answer(spec, pipeline, given)[0], booster.predict(codes, num_threads=1))


def ratio(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the columns as they are; it stands for code of somebody else."""
    return frame


def test_a_type_that_nobody_trusts_is_refused_by_name(tmp_path: Path) -> None:
    """All of them are named with the flag that would trust them, before anything is built."""
    frame = pd.DataFrame({"amount": [1.0, 2.0, 3.0, 4.0]})
    columns = ColumnTransformer([("own", FunctionTransformer(ratio), ["amount"])])
    pipeline = make_pipeline(columns, LogisticRegression()).fit(frame, [0, 1, 0, 1])
    file = tmp_path / "own.skops"
    skops.io.dump(pipeline, file)
    (foreign,) = (name for name in native.untrusted(file) if name.endswith("ratio"))

    with pytest.raises(Refused, match="holds types that are not trusted") as refusal:
        native.load(file)

    assert f"--trust {foreign}" in str(refusal.value)
    assert 4 == len(native.load(file, trust=[foreign]).predict(frame))


@pytest.mark.parametrize("content", [pickle.dumps({"a": 1}), b"", b"PK\x05\x06" + b"\x00" * 18])
def test_a_pickle_or_anything_else_is_not_loaded(tmp_path: Path, content: bytes) -> None:
    """A file that is none of skops' is refused with its name; nothing in it runs."""
    file = tmp_path / "model.pkl"
    file.write_bytes(content)

    with pytest.raises(DataError, match=r"model.pkl: must be a file of skops"):
        native.load(file)


def test_only_a_pipeline_is_loaded(tmp_path: Path) -> None:
    """A bare estimator, or no file at all, is said to be none."""
    file = tmp_path / "bare.skops"
    skops.io.dump(LogisticRegression(), file)

    with pytest.raises(DataError, match=r"must hold a fitted sklearn.pipeline.Pipeline; found LogisticReg"):
        native.load(file)
    with pytest.raises(DataError, match="must be a file; found nothing there"):
        native.load(tmp_path / "none.skops")
