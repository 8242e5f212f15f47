"""A fitted model on its way to be served, and the rows that it may learn from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import onnx
import pandas as pd
from numpy.typing import NDArray

from retraining.dataset.rows import FloatArray, IntArray
from retraining.graphs.scorer import Scorer
from retraining.records import Params
from spec import ModelSpec
from spec.retrain import Learner


@dataclass(frozen=True, slots=True)
class Rows:
    """Labelled rows [n].

    Parameters
    ----------
    inputs
        [n, features], as of `retraining.dataset.rows.inputs`.
    truth
        [n], as of `retraining.dataset.rows.target`.
    weights
        [n] how much each row counts in training, above 0; None where all count alike.
    days
        [n] index of each row's UTC day, rising; rows of one day share what happened that day.
    """

    inputs: pd.DataFrame
    truth: FloatArray | IntArray
    days: NDArray[np.int64]
    weights: FloatArray | None = None

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.inputs)


@dataclass(frozen=True, slots=True)
class Fitted:
    """A model in its served form, with what it takes to fit it again.

    Parameters
    ----------
    learner, params
        What it was fitted with; a pass that fits another model (a student) says so here.
    graph
        The whole pipeline as one graph, see `retraining.graphs.export`.
    passes
        The names of the passes that made it what it is, in their order.
    """

    learner: Learner
    params: Params
    graph: onnx.ModelProto
    passes: tuple[str, ...] = ()

    def changed(self, by: str, graph: onnx.ModelProto) -> Self:
        """Return the model with the graph that a pass made of it."""
        return replace(self, graph=graph, passes=(*self.passes, by))

    def scores(self, spec: ModelSpec, inputs: pd.DataFrame) -> FloatArray:
        """Return what the model server would answer, as of `retraining.graphs.scorer.Scorer.predict`."""
        return Scorer(spec.task, self.graph.SerializeToString()).predict(inputs)
