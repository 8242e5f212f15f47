"""The whole retrain in one process, for the command line and for tests; the DAG runs the same stages."""

from __future__ import annotations

from dataclasses import dataclass

from retraining.optimize import optimize
from retraining.prepare import prepare
from retraining.records import Validation
from retraining.register import register
from retraining.train import train
from retraining.tune import tune
from retraining.validate import validate
from spec import ModelSpec, Settings


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a retrain ended: the verdict, and the version where it was accepted."""

    validation: Validation
    version: str | None


def retrain(spec: ModelSpec, settings: Settings, run: str) -> Outcome:
    """Run every stage in turn; raises what the stages raise.

    Parameters
    ----------
    run
        Name of the run and of its folder ``<home>/runs/<run>``; the same name replaces or resumes.
    """
    prepare(spec, settings, run)
    tune(spec, settings, run)
    train(spec, settings, run)
    optimize(spec, settings, run)
    verdict = validate(spec, settings, run)
    version = register(spec, settings, run) if verdict.accepted else None
    return Outcome(verdict, version)
