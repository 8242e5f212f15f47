"""Keep the first trees of an ensemble: as few as keep the loss within the budget.

Boosting adds trees that matter less and less, and an ensemble that was grown too long is better without its
last ones. The number is found on the curve of the loss over the number of trees, and carried over as a share.
"""

from __future__ import annotations

from functools import partial

from retraining import learners
from retraining.fitted import Fitted, Rows
from retraining.graphs import trees
from retraining.passes.degrees import harshest
from retraining.passes.optimization_pass import NotApplicable, Plan, Trial
from spec import ModelSpec

_SHARES = (0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.35, 0.3, 0.25, 0.2, 0.15, 0.1, 0.05)


class PruneTrees:
    """Truncate the ensemble inside its graph, whatever library grew it."""

    name = "prune_trees"

    def plan(self, trial: Trial) -> Plan:
        """Return ``{"share": …}``, the least share of the trees that keeps the loss within the budget."""
        total = trees.rounds(trial.model.graph)
        if total is None or total == 1:
            msg = "the graph holds no ensemble of trees" if total is None else "the ensemble has one tree"
            raise NotApplicable(msg)
        return {"share": harshest(trial, _SHARES, partial(_truncated, trial.model))}

    def apply(self, spec: ModelSpec, model: Fitted, fit: Rows, plan: Plan) -> Fitted:  # noqa: ARG002 - the contract
        """Keep the plan's share of the trees."""
        return _truncated(model, plan["share"])


def _truncated(model: Fitted, share: float) -> Fitted:
    total = trees.rounds(model.graph) or 1
    keep = max(1, round(total * share))
    graph = trees.truncate(model.graph, keep, averages=learners.averages(model.learner))
    return model.changed(PruneTrees.name, graph)
