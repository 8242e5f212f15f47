from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import FloatTensorType, StringTensorType

from retraining.dataset import rows
from retraining.graphs import converters, parity, trees
from retraining.graphs.converters import floor32
from retraining.graphs.export import to_onnx
from retraining.graphs.scorer import Scorer
from spec import ModelSpec
from spec.retrain import Learner

BOOSTED = [Learner.LIGHTGBM, Learner.HIST_GRADIENT_BOOSTING]


@given(st.floats(allow_nan=False), st.floats(allow_nan=False, width=32))
def test_every_float32_is_decided_as_before(threshold: float, value: float) -> None:
    """For any float64 threshold and float32 value, the floored threshold sends the value the same way."""
    assert (value <= threshold) == (value <= float(floor32(threshold)))


@given(st.floats(allow_nan=False))
def test_a_floored_threshold_is_a_float32(threshold: float) -> None:
    """What the graph stores is what was meant."""
    floored = float(floor32(threshold))

    assert floored == float(np.float32(floored))


def in_float64(spec: ModelSpec, frame: pd.DataFrame) -> pd.DataFrame:
    """Return the inputs with the precision of a data scientist's frame."""
    return rows.inputs(spec, frame).assign(amount=frame["amount"], weight=frame["weight"])


def on_thresholds(spec: ModelSpec, given_rows: pd.DataFrame, values: np.ndarray) -> pd.DataFrame:
    """Return a row for every value that is in a numeric feature's range, with the value in that feature."""
    blocks = []
    for name in ("amount", "weight"):
        within = values[(values >= given_rows[name].min()) & (values <= given_rows[name].max())]
        bases = given_rows.iloc[np.arange(len(within)) % len(given_rows)]
        blocks.append(bases.assign(**{name: within.astype("float32")}))
    return rows.inputs(spec, pd.concat(blocks))


@pytest.mark.parametrize("learner", BOOSTED)
def test_a_row_on_a_threshold_goes_the_librarys_way(
    shop: Callable[..., ModelSpec], orders: Any, small_pipeline: Any, learner: Learner
) -> None:
    """On every threshold of every tree, and one float32 beside it, graph and library agree."""
    spec, frame = shop(), orders(n=1500)
    given_rows = rows.inputs(spec, frame)
    pipeline = small_pipeline(spec, learner).fit(in_float64(spec, frame), rows.target(spec, frame))
    model = to_onnx(spec, pipeline)
    values = np.unique(trees.thresholds(model)).astype("float32")
    values = values[np.abs(values) > 1e-34]  # LightGBM takes those for zero
    beside = [np.nextafter(values, np.float32(side)) for side in (-np.inf, np.inf)]

    tried = on_thresholds(spec, given_rows, np.concatenate([values, *beside]))

    found = Scorer(spec.task, model.SerializeToString()).predict(tried)
    assert np.allclose(pipeline.predict_proba(tried)[:, 1], found, rtol=0, atol=1e-5)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("learner", BOOSTED)
def test_the_gate_refuses_what_rounds_to_the_nearest(
    shop: Callable[..., ModelSpec], orders: Any, small_pipeline: Any, monkeypatch: Any, learner: Learner
) -> None:
    """Without flooring, training rows agree; the rows on thresholds show the fault."""
    spec, frame = shop(), orders(n=1500)
    given_rows = rows.inputs(spec, frame)
    pipeline = small_pipeline(spec, learner).fit(in_float64(spec, frame), rows.target(spec, frame))
    converters.register()
    monkeypatch.setattr(converters, "floor32", np.asarray)
    types = [
        (name, StringTensorType([None, 1]) if name == "country" else FloatTensorType([None, 1]))
        for name in spec.features
    ]
    rounded = convert_sklearn(
        pipeline,
        initial_types=types,
        options={id(pipeline[-1]): {"zipmap": False}},
        target_opset={"": 18, "ai.onnx.ml": 3},
    )

    with pytest.raises(parity.NotFaithful, match="on a threshold"):
        parity.check(spec, pipeline, rounded.SerializeToString(), given_rows)
