"""A fitted model on its way to be served."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import onnx
import pandas as pd

from retraining.dataset.labelled import Rows
from retraining.dataset.rows import FloatArray
from retraining.graphs.scorer import Scorer
from retraining.records import Params
from spec import ModelSpec
from spec.retrain import Learner

__all__ = ["Fitted", "Rows"]


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
    continues
        Version of the model that it goes on from; fitting it again would lose what that one knew.
    """

    learner: Learner
    params: Params
    graph: onnx.ModelProto
    passes: tuple[str, ...] = ()
    continues: str | None = None

    def changed(self, by: str, graph: onnx.ModelProto) -> Self:
        """Return the model with the graph that a pass made of it."""
        return replace(self, graph=graph, passes=(*self.passes, by))

    def scores(self, spec: ModelSpec, inputs: pd.DataFrame) -> FloatArray:
        """Return what the model server would answer, as of `retraining.graphs.scorer.Scorer.predict`."""
        return Scorer(spec.task, self.graph.SerializeToString()).predict(inputs)
