"""An experiment as a rollout that has only one step. Pure."""

from __future__ import annotations

from spec import ModelSpec
from spec.experiment import Experiment
from spec.steps import Step


def plan(spec: ModelSpec, terms: Experiment) -> ModelSpec:
    """Return the model as if its rollout were the experiment's split and nothing else.

    What judges, shares out `rollout.alpha` and sets the traffic then needs to know of rollouts alone: the
    tests of one step share the level that those of all steps would.
    """
    step = Step(share=terms.share, deadline=terms.lasts)
    held = spec.rollout.model_copy(update={"steps": (step,), "approval": "never"})
    return spec.model_copy(update={"rollout": held})
