"""The champion's own pipeline, for a candidate that goes on where it ended."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import pandas as pd
from sklearn.pipeline import Pipeline

from retraining.records import Params
from retraining.registry import Registry
from retraining.workspace import Workspace
from spec import ModelSpec, Settings
from spec.retrain import Learner

_FOLDER = "champion"


@dataclass(frozen=True, slots=True)
class Champion:
    """What is served, as it was registered.

    Parameters
    ----------
    pipeline
        As it was fitted, before any pass made it small.
    until
        Event time before which all its training rows lie.
    """

    version: str
    learner: Learner
    params: Params
    pipeline: Pipeline
    until: datetime

    def unseen(self, times: pd.Series[pd.Timestamp]) -> pd.Series[bool]:
        """Return which rows [n] it was not fitted on for sure."""
        return times >= self.until


def load(spec: ModelSpec, settings: Settings, work: Workspace) -> Champion | None:
    """Return the champion; None where there is none, or it did not come from a retrain of ours.

    Raises
    ------
    Refused
        Its file holds types that nobody trusts.
    Unavailable
        The registry did not answer.
    """
    registry = Registry(settings)
    version = registry.version(spec.model, "champion")
    if version is None:
        return None
    told = registry.params(spec.model, version)
    learner = next((item for item in Learner if item.value == told.get("learner")), None)
    if learner is None or "holdout_start" not in told:
        return None
    from retraining import native  # noqa: PLC0415 - skops and LightGBM, for a champion that goes on

    file = registry.native(spec.model, version, work.path(_FOLDER))
    if file is None:
        return None
    until = datetime.fromisoformat(told["holdout_start"])
    return Champion(version, learner, hyperparameters(learner, told), native.load(file), until)


def hyperparameters(learner: Learner, told: dict[str, str]) -> Params:
    """Return a learner's hyperparameters of what its run was logged with."""
    prefix = f"{learner.value}."
    return {
        name.removeprefix(prefix): _number(value) for name, value in told.items() if name.startswith(prefix)
    }


def _number(text: str) -> int | float | str:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
