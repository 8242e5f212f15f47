from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnxruntime as ort
import optuna
import pandas as pd
import pytest

from retraining import learners
from retraining.dataset import rows
from retraining.graphs import parity
from retraining.graphs.export import to_onnx
from retraining.graphs.scorer import Scorer
from spec import ModelSpec, Task
from spec.retrain import Learner

TASKS = [task.value for task in Task]

OURS = [learner for learner in Learner if learner not in {Learner.OWN, Learner.XGBOOST}]


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("learner", OURS)
def test_every_learner_is_served_exactly(
    shop: Callable[..., ModelSpec],
    orders: Callable[..., pd.DataFrame],
    small_pipeline: Callable[..., Any],
    learner: Learner,
    task: str,
) -> None:
    """Each learner's graph keeps the contract of the model file and the parity gate, for each task."""
    spec, frame = shop(task), orders(task)
    given = rows.inputs(spec, frame)
    pipeline = small_pipeline(spec, learner).fit(given, rows.target(spec, frame))

    model = to_onnx(spec, pipeline).SerializeToString()

    assert parity.check(spec, pipeline, model, given).difference < (2e-5 if task == "regression" else 1e-5)
    session = ort.InferenceSession(model, providers=["CPUExecutionProvider"])
    assert {
        "amount": "tensor(float)",
        "weight": "tensor(float)",
        "country": "tensor(string)",
        "member": "tensor(float)",
    } == {node.name: node.type for node in session.get_inputs()}
    outputs = [(node.name, node.type, node.shape[1:]) for node in session.get_outputs()]
    classes = 2 if task == "binary" else 3
    if task == "regression":
        assert [("variable", "tensor(float)", [1])] == outputs
    else:
        assert [("label", "tensor(int64)", []), ("probabilities", "tensor(float)", [classes])] == outputs


@pytest.mark.parametrize("learner", OURS)
def test_the_default_lies_in_the_space(shop: Callable[..., ModelSpec], learner: Learner) -> None:
    """The first trial's parameters are the ones that are suggested, by name and range."""
    study = optuna.create_study()
    study.enqueue_trial(learners.defaults(learner))

    suggested = learners.suggest(shop(), learner, study.ask())

    assert learners.defaults(learner) == suggested


@pytest.mark.parametrize("learner", OURS)
def test_threads_do_not_change_the_model(
    shop: Callable[..., ModelSpec], orders: Callable[..., pd.DataFrame], learner: Learner
) -> None:
    """The same rows and seed give the same scores on one thread and on two."""
    spec, frame = shop(), orders(n=800)
    given, truth = rows.inputs(spec, frame), rows.target(spec, frame)

    fitted = [
        learners.build(spec, learner, learners.defaults(learner), threads=n).fit(given, truth) for n in (1, 2)
    ]

    one, two = (pipeline.predict_proba(given) for pipeline in fitted)
    assert np.allclose(one, two, rtol=0, atol=1e-12)


def test_the_same_model_is_the_same_file(
    shop: Callable[..., ModelSpec], orders: Callable[..., pd.DataFrame], small_pipeline: Callable[..., Any]
) -> None:
    """Exporting twice gives the same bytes, so that a hash names a model."""
    spec, frame = shop(), orders(n=800)
    pipeline = small_pipeline(spec, Learner.LIGHTGBM).fit(rows.inputs(spec, frame), rows.target(spec, frame))

    first, second = (to_onnx(spec, pipeline).SerializeToString(deterministic=True) for _ in range(2))

    assert first == second


def test_a_scorer_does_not_care_how_many_rows_come_at_once(
    shop: Callable[..., ModelSpec], orders: Callable[..., pd.DataFrame], small_pipeline: Callable[..., Any]
) -> None:
    """Batches are an implementation detail: 12,000 rows score as they do one by one."""
    spec, frame = shop(), orders(n=12_000)
    given = rows.inputs(spec, frame)
    pipeline = small_pipeline(spec, Learner.LIGHTGBM).fit(given, rows.target(spec, frame))
    scorer = Scorer(spec.task, to_onnx(spec, pipeline).SerializeToString())

    scores = scorer.predict(given)

    assert (12_000,) == scores.shape
    assert np.array_equal(scores[[0, 9_999, 10_000]], scorer.predict(given.iloc[[0, 9_999, 10_000]]))


def test_a_perceptron_does_not_go_on_beyond_what_it_saw(
    shop: Callable[..., ModelSpec], orders: Callable[..., pd.DataFrame]
) -> None:
    """A value far outside of the training range is taken for the range's end, in the graph as well."""
    spec, frame = shop(), orders(n=800)
    given = rows.inputs(spec, frame)
    pipeline = learners.build(spec, Learner.MLP, learners.defaults(Learner.MLP))
    scorer = Scorer(
        spec.task, to_onnx(spec, pipeline.fit(given, rows.target(spec, frame))).SerializeToString()
    )

    at_end, beyond = (given.assign(amount=np.float32(value)) for value in (given["amount"].max(), 1e6))

    assert np.allclose(scorer.predict(at_end), scorer.predict(beyond), rtol=0, atol=1e-5)
