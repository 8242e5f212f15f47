"""Leave out the features that the model does not need, and fit it again with the rest.

Fewer features are less to compute, to encode and to feed, and less that can break. How much a feature is
needed is its permutation importance: what the loss grows by when its values change places (Breiman 2001,
Random Forests, section 10). It is measured on rows that the model was fitted on, and shows what the model
looks at: features chosen on the validation rows would look better on these than they are.
"""

from __future__ import annotations

import numpy as np

from retraining.fitted import Fitted, Rows
from retraining.graphs import usage
from retraining.graphs.scorer import Scorer
from retraining.metrics import objective
from retraining.passes.degrees import bisected
from retraining.passes.optimization_pass import NotApplicable, Plan, Trial
from retraining.passes.refit import refit, require
from spec import ModelSpec

_ROWS = 5000
_REPEATS = 2


class SelectFeatures:
    """Drop as many of the least important features as the budget allows."""

    name = "select_features"

    def plan(self, trial: Trial) -> Plan:
        """Return ``{"drop": [names]}``.

        How many is found by bisection, fitting again each time.
        """
        require(trial.model)
        ranked = _least_important(trial)
        if len(ranked) == 1:
            msg = "the model looks at one feature only"
            raise NotApplicable(msg)

        def without(degree: int) -> Fitted:
            return self.apply(trial.spec, trial.model, trial.fit, {"drop": ranked[:degree]})

        return {"drop": sorted(ranked[: bisected(trial, len(ranked) - 1, without)])}

    def apply(self, spec: ModelSpec, model: Fitted, fit: Rows, plan: Plan) -> Fitted:
        """Fit again without the plan's features."""
        return refit(spec, model, fit, by=self.name, without=plan["drop"])


def _least_important(trial: Trial) -> list[str]:
    """Return the features that the graph looks at, the least important first."""
    rng = np.random.default_rng(trial.spec.retrain.search.seed)
    picked = np.sort(rng.permutation(len(trial.fit))[:_ROWS])
    inputs, truth = trial.fit.inputs.iloc[picked], trial.fit.truth[picked]
    scorer = Scorer(trial.spec.task, trial.model.graph.SerializeToString())
    losses = {}
    for name in usage.used(trial.model.graph):
        values = inputs[name].to_numpy()
        shuffled = [inputs.assign(**{name: rng.permutation(values)}) for _ in range(_REPEATS)]
        losses[name] = sum(objective(trial.spec.task, truth, scorer.predict(rows)) for rows in shuffled)
    return sorted(losses, key=losses.__getitem__)
