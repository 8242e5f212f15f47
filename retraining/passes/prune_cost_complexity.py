"""Grow the trees of a forest no further than a split's gain pays for its leaves.

Minimal cost-complexity pruning (Breiman, Friedman, Olshen, Stone 1984, Classification and Regression Trees,
chapter 3), by scikit-learn's `ccp_alpha`: the forest is fitted again. A forest of full depth loses nine
tenths of its nodes and answers better.
"""

from __future__ import annotations

import numpy as np

from retraining.fitted import Fitted, Rows
from retraining.passes.degrees import bisected
from retraining.passes.optimization_pass import NotApplicable, Plan, Trial
from retraining.passes.refit import refit, require
from spec import ModelSpec, Task
from spec.retrain import Learner

_ALPHAS = (1e-5, 3e-5, 1e-4, 2e-4, 5e-4, 1e-3, 3e-3, 1e-2)


class PruneCostComplexity:
    """Fit a random forest again with the largest complexity penalty within the budget."""

    name = "prune_cost_complexity"

    def plan(self, trial: Trial) -> Plan:
        """Return ``{"alpha": …}`` in units of the impurity: Gini's index, or the target's variance.

        Found by bisection on a path of eight, fitting again each time.
        """
        if trial.model.learner is not Learner.RANDOM_FOREST:
            msg = f"{trial.model.learner.value} has no cost-complexity pruning; a random forest has"
            raise NotApplicable(msg)
        require(trial.model)
        scale = float(np.var(trial.fit.truth)) if trial.spec.task is Task.REGRESSION else 1.0
        path = [alpha * scale for alpha in _ALPHAS]

        def fitted(degree: int) -> Fitted:
            return self.apply(trial.spec, trial.model, trial.fit, {"alpha": path[degree - 1]})

        return {"alpha": path[bisected(trial, len(path), fitted) - 1]}

    def apply(self, spec: ModelSpec, model: Fitted, fit: Rows, plan: Plan) -> Fitted:
        """Fit again with the plan's penalty."""
        return refit(spec, model, fit, by=self.name, params={"ccp_alpha": plan["alpha"]})
