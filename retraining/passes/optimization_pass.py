"""The contract of an optimization pass: a model in, a smaller or faster one out, or a typed refusal.

A pass works in two steps, because its quality must be seen on rows that the model was not fitted on, while
what is served is fitted on all rows:

1. `plan` looks at the *proxy*, fitted on the older rows, and at the validation rows that it has not seen.
   It decides how far to go (how many trees, which layers stay in float) and says so as JSON.
2. `apply` carries the plan out: on the proxy, so that the result can be measured, and later in the same way
   on the model of all rows. It sees no validation rows.

The same model, rows and plan give the same result.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from retraining.fitted import Fitted, Rows
from retraining.metrics import objective, row_losses
from retraining.passes.tolerance import Tolerance
from spec import ModelSpec, Refused

Plan = Mapping[str, Any]
"""What a pass decided, as JSON types; kept with the variant, so that a reader sees what was done."""


class NotApplicable(Refused):
    """The pass has nothing to do on this model, or cannot; the message says why in one sentence."""


@dataclass(frozen=True, slots=True)
class Judged:
    """Whether a model keeps the quality budget, its loss, and both in words."""

    kept: bool
    loss: float
    told: str


@dataclass(frozen=True, slots=True)
class Trial:
    """A model with the rows that decide about it.

    Parameters
    ----------
    fit
        The rows that the model was fitted on.
    validation
        Later rows that it has not seen.
    allowed
        The largest loss (as of `retraining.metrics.objective`) on the validation rows within the budget.
    tolerance
        What the model may lose at worst; None where the loss on the validation rows is taken at its word.
    """

    spec: ModelSpec
    model: Fitted
    fit: Rows
    validation: Rows
    allowed: float
    tolerance: Tolerance | None = None

    def loss(self, model: Fitted) -> float:
        """Return a model's loss on the validation rows."""
        return objective(
            self.spec.task, self.validation.truth, model.scores(self.spec, self.validation.inputs)
        )

    def judged(self, model: Fitted, looks: int = 1) -> Judged:
        """Judge a model.

        Parameters
        ----------
        looks
            So many models are looked at, and one that is kept is taken: each has its part of the risk.
        """
        task, truth = self.spec.task, self.validation.truth
        scores = model.scores(self.spec, self.validation.inputs)
        loss = objective(task, truth, scores)
        if not loss <= self.allowed:
            return Judged(kept=False, loss=loss, told=f"loss {loss:.5f} is over {self.allowed:.5f}")
        if self.tolerance is None:
            return Judged(kept=True, loss=loss, told=f"loss {loss:.5f}")
        found = self.tolerance.rise(row_losses(task, truth, scores), looks)
        told = f"loss {loss:.5f} is {self.tolerance.told(found)}"
        return Judged(kept=self.tolerance.grants(found), loss=loss, told=told)


class Pass(Protocol):
    """One way to make a model smaller or faster."""

    name: str
    """As the spec's `optimize.passes` names it."""

    def plan(self, trial: Trial) -> Plan:
        """Decide how far to go.

        Raises
        ------
        NotApplicable
            There is nothing to do, or no degree of it keeps the budget as `trial.judged` sees it.
        """
        ...

    def apply(self, spec: ModelSpec, model: Fitted, fit: Rows, plan: Plan) -> Fitted:
        """Return the changed model.

        Parameters
        ----------
        fit
            The rows that `model` was fitted on; no others may be learnt from.

        Raises
        ------
        NotApplicable
            The plan cannot be carried out on this model.
        """
        ...
