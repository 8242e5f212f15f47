"""Open the dense layers of a served graph for a pass that changes them, and let the changed ones learn again.

What comes before the layers stays as it is and is run by ONNX Runtime, so that the layers learn from the very
numbers that they will be served.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from retraining.fitted import Fitted, Rows
from retraining.graphs import dense
from retraining.graphs.dense import Activation, Chain, Layer, RealArray
from retraining.graphs.scorer import Scorer
from retraining.networks.backpropagation import outputs
from retraining.networks.training import Course, Examples, train
from retraining.networks.unit import Unit
from retraining.passes.degrees import Degree, harshest
from retraining.passes.optimization_pass import NotApplicable, Trial
from spec import ModelSpec, Task

_BATCH, _RATE, _PENALTY = 256, 5e-4, 1.0
_STEPS, _MOST_EPOCHS = 300, 10
_MOST_BYTES = 2**30
_CALL = 10_000
_COMPARED = 200
_LAST: dict[Task, tuple[Activation, ...]] = {
    Task.BINARY: ("sigmoid", "softmax"),
    Task.MULTICLASS: ("softmax",),
    Task.REGRESSION: ("identity",),
}


@dataclass(frozen=True, slots=True)
class Opened:
    """A model's layers, and the rows that they were fitted on as they see them."""

    model: Fitted
    chain: Chain
    examples: Examples
    seed: int

    def tuned(self, layers: Sequence[Layer]) -> Sequence[Layer]:
        """Return the layers after an epoch on the rows; a few where an epoch has few steps."""
        epochs = math.ceil(_STEPS * _BATCH / len(self.examples))
        course = Course(min(epochs, _MOST_EPOCHS), _BATCH, _RATE, _PENALTY, seed=self.seed)
        if layers[-1].activation != "identity":
            return train(layers, self.examples, course)
        unit = Unit.of(self.examples.targets)
        return unit.given_to(train(unit.taken_from(layers), unit.standardised(self.examples), course))

    def changed(self, by: str, layers: Sequence[Layer], *, tuned: bool) -> Fitted:
        """Return the model with other layers, as they are or after `tuned`."""
        made = self.tuned(layers) if tuned else layers
        return self.model.changed(by, dense.replace(self.model.graph, made))

    def harshest(
        self,
        trial: Trial,
        by: str,
        degrees: Sequence[Degree],
        layers: Callable[[Degree], Sequence[Layer]],
    ) -> tuple[Degree, bool]:
        """Return the harshest of degrees, the mildest first, within the budget, and whether to tune it."""
        tuned: dict[Degree, bool] = {}

        def made(degree: Degree) -> Fitted:
            tuned[degree], model = self.better(trial, by, layers(degree))
            return model

        found = harshest(trial, degrees, made, options=2)
        return found, tuned[found]

    def better(self, trial: Trial, by: str, layers: Sequence[Layer]) -> tuple[bool, Fitted]:
        """Return whether the layers are better tuned, and the model with the better ones.

        Mostly they are; on rows of another season a further epoch can make a network too sure of itself.
        """
        raw, tuned = (self.changed(by, layers, tuned=tuned) for tuned in (False, True))
        return (True, tuned) if trial.loss(tuned) < trial.loss(raw) else (False, raw)


def opened(spec: ModelSpec, model: Fitted, fit: Rows) -> Opened:
    """Return the model's layers; of the rows the newest that fit into a gigabyte.

    Raises
    ------
    NotApplicable
        The graph holds no chain of dense layers with a hidden one, or what it answers is not what they do.
    """
    chain = dense.find(model.graph)
    if chain is None or len(chain.layers) == 1:
        msg = "the graph holds no chain of dense layers"
        raise NotApplicable(msg)
    if chain.layers[-1].activation not in _LAST[spec.task]:
        msg = f"the last layer is {chain.layers[-1].activation}, which is no output of a {spec.task} model"
        raise NotApplicable(msg)
    rows = _newest(fit, _MOST_BYTES // (4 * chain.layers[0].weights.shape[0]))
    weights = None if rows.weights is None else rows.weights.astype("float32")
    examples = Examples(_inputs(spec, model, rows), _targets(spec, rows, chain.layers[-1].units), weights)
    _require_faithful(spec, model, chain, rows, examples)
    return Opened(model, chain, examples, spec.retrain.search.seed)


def _targets(spec: ModelSpec, rows: Rows, units: int) -> RealArray:
    """Return the truth as a network's output [n, units]: the value, P(positive), or one column a class."""
    if units > 1 and spec.task is not Task.REGRESSION:
        columns: RealArray = np.eye(units, dtype="float32")[np.asarray(rows.truth, "int64")]
        return columns
    return rows.truth.astype("float32").reshape(-1, 1)


def _newest(rows: Rows, most: int) -> Rows:
    if len(rows) <= most:
        return rows
    weights = None if rows.weights is None else rows.weights[-most:]
    return Rows(rows.inputs.iloc[-most:], rows.truth[-most:], rows.days[-most:], weights)


def _inputs(spec: ModelSpec, model: Fitted, rows: Rows) -> RealArray:
    """Return what the layers are given [n, d] for the rows."""
    scorer = Scorer(spec.task, dense.before(model.graph).SerializeToString())
    parts = [rows.inputs.iloc[at : at + _CALL] for at in range(0, len(rows), _CALL)]
    return np.concatenate([scorer.call(scorer.feeds(part))[0] for part in parts])


def _require_faithful(spec: ModelSpec, model: Fitted, chain: Chain, rows: Rows, examples: Examples) -> None:
    """Refuse a graph that does something else to what the layers answer than to show it."""
    answers = outputs(chain.layers, examples.inputs[:_COMPARED])[-1]
    scores = model.scores(spec, rows.inputs.iloc[:_COMPARED])
    shown = answers if spec.task is Task.MULTICLASS else answers[:, -1]
    near = 1e-3 * (float(scores.std()) if spec.task is Task.REGRESSION else 1)
    if shown.shape != scores.shape or not np.allclose(shown, scores, rtol=1e-4, atol=near):
        msg = "the model's scores are not what its dense layers answer"
        raise NotApplicable(msg)
