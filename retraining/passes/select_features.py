"""Leave out the features that the model does not need, and fit it again with the rest.

Fewer features are less to compute, to encode and to feed, and less that can break. How much a feature is
needed is its permutation importance: what the loss on unseen rows grows by when its values change places
(Breiman 2001, Random Forests, section 10).
"""

from __future__ import annotations

import numpy as np

from retraining.fitted import Fitted, Rows
from retraining.graphs import usage
from retraining.graphs.scorer import Scorer
from retraining.metrics import objective
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

        How many is found by bisection, fitting again each time: a loss that grows with each further
        feature dropped is taken for granted.
        """
        require(trial.model)
        ranked = _least_important(trial)
        enough, too_many = 0, len(ranked)  # to drop all of them leaves nothing to look at
        while too_many - enough > 1:
            tried = (enough + too_many) // 2
            model = self.apply(trial.spec, trial.model, trial.fit, {"drop": ranked[:tried]})
            if trial.loss(model) <= trial.allowed:
                enough = tried
            else:
                too_many = tried
        if not enough:
            msg = "without any one feature the loss is over the budget" if len(ranked) > 1 else "one feature"
            raise NotApplicable(msg)
        return {"drop": sorted(ranked[:enough])}

    def apply(self, spec: ModelSpec, model: Fitted, fit: Rows, plan: Plan) -> Fitted:
        """Fit again without the plan's features."""
        return refit(spec, model, fit, by=self.name, without=plan["drop"])


def _least_important(trial: Trial) -> list[str]:
    """Return the features that the graph looks at, the least important first."""
    rng = np.random.default_rng(trial.spec.retrain.search.seed)
    picked = np.sort(rng.permutation(len(trial.validation))[:_ROWS])
    inputs, truth = trial.validation.inputs.iloc[picked], trial.validation.truth[picked]
    scorer = Scorer(trial.spec.task, trial.model.graph.SerializeToString())
    losses = {}
    for name in usage.used(trial.model.graph):
        values = inputs[name].to_numpy()
        shuffled = [inputs.assign(**{name: rng.permutation(values)}) for _ in range(_REPEATS)]
        losses[name] = sum(objective(trial.spec.task, truth, scorer.predict(rows)) for rows in shuffled)
    return sorted(losses, key=losses.__getitem__)
